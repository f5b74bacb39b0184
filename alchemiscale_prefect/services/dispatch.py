"""Filling a work pool: claim the next Tasks, commit, then ask Prefect for their flow runs; and mending what broke.

Everything here can be done by any number of dispatchers at once and again after a crash at any point.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from alchemiscale_prefect.domain.attempts import Capacity, Fate, Launch, Launched, Launcher, RunEnd, RunState
from alchemiscale_prefect.domain.losses import AT_ONCE, BackOff
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import attempts, losses
from alchemiscale_prefect.store.queries import dispatch as queries
from alchemiscale_prefect.store.queries.attempts import NotBegun

log = structlog.get_logger(__name__)

# a claim is launched by its own dispatcher within a moment; after this long another one takes it up
LAUNCH_GRACE = timedelta(seconds=15)
# how long a flow run may be silent before Prefect is asked what became of it
ASK_AFTER = timedelta(seconds=30)
BATCH = 200

UNLIMITED = Capacity()
# of a flow run that somebody deleted
UNKNOWN_END = RunEnd(Fate.lost, "Prefect does not know its flow run")


@dataclass(frozen=True, slots=True)
class Pool:
    """A work pool and how far to fill it.

    Attributes
    ----------
    name
        The Prefect work pool.
    buffer
        Flow runs kept waiting for a worker, beyond those that the work pool's limits leave room for. Small, so that
        weights and priorities steer until the last moment.
    max_in_flight
        Flow runs waiting and running together.
    start_timeout
        How long a flow run may be Pending (its worker took it) without beginning. How long it is Scheduled does not
        matter: behind GPU runs that is hours.
    max_losses
        After so many losses in a row a Task is in error.
    back_off
        How long a Task rests after each of them.
    """

    name: str
    buffer: int
    max_in_flight: int
    start_timeout: timedelta = timedelta(minutes=15)
    max_losses: int = 5
    back_off: BackOff = AT_ONCE


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass of the dispatcher did."""

    launched: int = 0
    failed: int = 0
    lost: int = 0
    cancelled: int = 0


def dispatch(database: Database, launcher: Launcher, pool: Pool) -> Pass:
    """One pass: give up what is lost, stop what nobody wants, launch what is claimed, claim what fits.

    One statement when there is nothing to do, and no question to the orchestrator.
    """
    with database.transaction() as connection:
        due = queries.due(connection, pool.name, ask_after=ASK_AFTER, launch_grace=LAUNCH_GRACE)
    lost = give_up_expired(database, pool) if due.expired else 0
    if due.not_begun:
        lost += give_up_never_begun(database, launcher, pool)
    rested = end_rest(database) if due.rested else 0
    cancelled = stop_unwanted(database, launcher, pool) if due.unsettled or lost else 0
    launched = _fill(database, launcher, pool) if due.queued or due.unlaunched or lost or rested else []
    failed = sum(item.flow_run_id is None for item in launched)
    return Pass(len(launched) - failed, failed, lost, cancelled)


def claim(database: Database, pool: Pool, capacity: Capacity = UNLIMITED) -> tuple[Launch, ...]:
    """Take Tasks off the queue for the pool's free slots and its buffer, each with a committed attempt."""
    with database.transaction() as connection:
        if not queue.try_lock_pool(connection, pool.name):
            return ()
        load = queue.load(connection, pool.name)
        if capacity.slots is None:
            ready = pool.buffer - load.dispatched
        else:
            ready = capacity.slots + pool.buffer - load.in_flight
        room = min(ready, pool.max_in_flight - load.in_flight)
        return queue.claim(connection, pool.name, max(room, 0))


def _fill(database: Database, launcher: Launcher, pool: Pool) -> list[Launched]:
    capacity = launcher.capacity()
    if capacity.paused:
        return []
    again = _launch(database, launcher, _unlaunched(database, pool))
    return [*again, *_launch(database, launcher, claim(database, pool, capacity))]


def give_up_expired(database: Database, pool: Pool) -> int:
    """Attempts whose run has not renewed its lease are lost; their Tasks wait again."""
    with database.transaction() as connection:
        expired = attempts.expired(connection)
        if not expired:
            return 0
        tasks = losses.lose(connection, expired, "its lease ran out", pool.max_losses, pool.back_off, settled=False)
    log.warning("attempts_lost", reason="lease", count=len(tasks))
    return len(tasks)


def give_up_never_begun(database: Database, launcher: Launcher, pool: Pool) -> int:
    """Attempts whose flow run ended, vanished, or hangs in Pending before it began are lost."""
    with database.transaction() as connection:
        waiting = attempts.not_begun(connection, pool.name, ASK_AFTER)
    if not waiting:
        return 0
    states = launcher.states([item.flow_run_id for item in waiting])
    gone = [item for item in waiting if states[item.flow_run_id] in (RunState.ended, RunState.missing)]
    taken = [item for item in waiting if states[item.flow_run_id] in (RunState.pending, RunState.running)]
    scheduled = [item for item in waiting if states[item.flow_run_id] is RunState.scheduled]
    _note_pending(database, [item for item in taken if item.pending_for is None], pending=True)
    _note_pending(database, [item for item in scheduled if item.pending_for is not None], pending=False)
    stuck = [item for item in taken if item.pending_for is not None and item.pending_for > pool.start_timeout]
    ends = launcher.ends([item.flow_run_id for item in gone]) if gone else {}
    lost = _lose(database, pool, stuck, "its flow run never began", settled=False)
    for end in sorted(set(ends.values()) | {UNKNOWN_END}, key=str):
        ended = [item for item in gone if ends.get(item.flow_run_id, UNKNOWN_END) == end]
        if end.fate is Fate.cancelled:
            _call_off(database, ended, end.reason)
        else:
            lost += _lose(database, pool, ended, f"it ended before it began: {end.reason}", settled=True)
    return lost


def end_rest(database: Database) -> int:
    """Tasks that have rested long enough after a loss are in the queue again."""
    with database.transaction() as connection:
        return losses.end_rest(connection)


def stop_unwanted(database: Database, launcher: Launcher, pool: Pool) -> int:
    """Have Prefect stop the flow runs of cancelled and lost attempts; how many that settled."""
    with database.transaction() as connection:
        unsettled = attempts.unsettled(connection, pool.name, BATCH)
    if not unsettled:
        return 0
    stopped = launcher.cancel(list(unsettled))
    with database.transaction() as connection:
        attempts.settle(connection, [unsettled[flow_run_id] for flow_run_id in stopped])
    if len(stopped) < len(unsettled):
        log.warning("not_cancelled", count=len(unsettled) - len(stopped))
    return len(stopped)


def _lose(database: Database, pool: Pool, items: Sequence[NotBegun], reason: str, *, settled: bool) -> int:
    if not items:
        return 0
    with database.transaction() as connection:
        lost = losses.lose(connection, _pairs(items), reason, pool.max_losses, pool.back_off, settled=settled)
    log.warning("attempts_lost", reason=reason, count=len(lost))
    return len(lost)


def _call_off(database: Database, items: Sequence[NotBegun], reason: str) -> None:
    if not items:
        return
    with database.transaction() as connection:
        called_off = losses.call_off(connection, _pairs(items), reason)
    log.warning("attempts_called_off", reason=reason, count=len(called_off))


def _note_pending(database: Database, items: Sequence[NotBegun], *, pending: bool) -> None:
    if items:
        with database.transaction() as connection:
            attempts.set_pending(connection, _pairs(items), pending=pending)


def _pairs(items: Sequence[NotBegun]) -> list[tuple[int, int]]:
    return [(item.task_id, item.n) for item in items]


def _unlaunched(database: Database, pool: Pool) -> tuple[Launch, ...]:
    with database.transaction() as connection:
        return attempts.unlaunched(connection, pool.name, LAUNCH_GRACE, BATCH)


def _launch(database: Database, launcher: Launcher, launches: tuple[Launch, ...]) -> tuple[Launched, ...]:
    if not launches:
        return ()
    launched = launcher.launch(launches)
    with database.transaction() as connection:
        attempts.record_launched(connection, launched)
    for item in launched:
        if item.flow_run_id is None:
            log.error("launch_failed", task=item.attempt.task, attempt=item.attempt.n, error=item.error)
    return launched
