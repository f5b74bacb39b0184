"""Attempts whose flow runs vanished, never came, or were cancelled in Prefect: given up, called off, or given back.

Prefect is asked why, and only why: that a running attempt is over is proved by its lease.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import structlog

from alchemiscale_prefect.domain.attempts import Fate, Launcher, RunEnd, RunState
from alchemiscale_prefect.domain.errors import Unavailable
from alchemiscale_prefect.domain.pools import Pool
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import attempts, losses
from alchemiscale_prefect.store.queries.attempts import NotBegun, Silent

log = structlog.get_logger(__name__)

Item = TypeVar("Item", Silent, NotBegun)

# how long a flow run may be silent before Prefect is asked what became of it
ASK_AFTER = timedelta(seconds=30)
# a work pool in which nothing starts gives back what it has held for so long
GIVE_BACK_AFTER = timedelta(minutes=5)

# of a flow run that somebody deleted
UNKNOWN_END = RunEnd(Fate.lost, "Prefect does not know its flow run")
_CANCELLING = RunEnd(Fate.cancelled, "its flow run was cancelled in Prefect")
_VANISHED = RunEnd(Fate.lost, "its host vanished, hangs or is cut off")
_NOT_ASKED = RunEnd(Fate.lost, "")


def give_up_expired(database: Database, pool: Pool, launcher: Launcher | None = None) -> int:
    """Attempts whose run has not renewed its lease are lost, whatever their pool: their Tasks wait again.

    Those whose flow runs somebody cancelled in Prefect are called off.

    Parameters
    ----------
    pool
        How often a Task may be lost, and how long it rests.
    launcher
        Asked why. What it cannot tell now, nobody waits for.

    Returns
    -------
    int
        How many were lost.
    """
    with database.transaction() as connection:
        silent = attempts.expired(connection)
    if not silent:
        return 0
    ends = {} if launcher is None else _why(launcher, silent)
    lost = 0
    for end, items in _by_end(silent, ends, _NOT_ASKED if launcher is None else _VANISHED):
        ours = [item for item in items if item.flow_run_settled]
        theirs = [item for item in items if not item.flow_run_settled]
        if end.fate is Fate.cancelled:
            _call_off(database, theirs, end.reason)
            theirs = []
        # their runs may be heard of again: Prefect is told after a while (`attempts.UNWANTED`)
        reason = ": ".join(filter(None, ["its lease ran out", end.reason]))
        lost += _lose(database, pool, [*ours, *theirs], reason, end, settled=False)
    return lost


def give_up_never_begun(database: Database, launcher: Launcher, pool: Pool) -> int:
    """Attempts whose flow run ended, vanished, or hangs in Pending before it began are lost; how many.

    Those whose flow run somebody cancelled in Prefect are called off.
    """
    with database.transaction() as connection:
        waiting = attempts.not_begun(connection, pool.name, ASK_AFTER)
    if not waiting:
        return 0
    states = launcher.states([item.flow_run_id for item in waiting])
    cancelling = [item for item in waiting if states[item.flow_run_id] is RunState.cancelling]
    gone = [item for item in waiting if states[item.flow_run_id] in (RunState.ended, RunState.missing)]
    taken = [item for item in waiting if states[item.flow_run_id] in (RunState.pending, RunState.running)]
    scheduled = [item for item in waiting if states[item.flow_run_id] is RunState.scheduled]
    _note_pending(database, [item for item in taken if item.pending_for is None], pending=True)
    _note_pending(database, [item for item in scheduled if item.pending_for is not None], pending=False)
    stuck = [item for item in taken if item.pending_for is not None and item.pending_for > pool.start_timeout]
    ends = launcher.ends([item.flow_run_id for item in gone]) if gone else {}
    lost = _lose(database, pool, stuck, "its flow run never began", _VANISHED, settled=False)
    _call_off(database, cancelling, _CANCELLING.reason)
    for end, items in _by_end(gone, ends, UNKNOWN_END):
        if end.fate is Fate.cancelled:
            _call_off(database, items, end.reason)
        else:
            lost += _lose(database, pool, items, f"it ended before it began: {end.reason}", end, settled=True)
    return lost


def give_back_paused(database: Database, launcher: Launcher, pool: Pool) -> int:
    """Give back what no worker has taken while nothing starts in the work pool, so that other pools may have the Tasks.

    Returns
    -------
    int
        How many attempts; they are no losses.
    """
    with database.transaction() as connection:
        held = attempts.untaken(connection, pool.name, GIVE_BACK_AFTER)
    if not held or not launcher.capacity().paused:
        return 0
    return give_back(database, held, "its work pool is paused")


def give_back(database: Database, items: Sequence[tuple[int, int]], reason: str) -> int:
    """Take dispatched attempts (Task id, number) back into the queue; how many had not begun or ended meanwhile."""
    with database.transaction() as connection:
        given_back = losses.give_back(connection, items, reason)
    log.warning("attempts_given_back", reason=reason, count=len(given_back))
    return len(given_back)


def _why(launcher: Launcher, silent: Sequence[Silent]) -> Mapping[UUID, RunEnd]:
    """How the flow runs ended, by what Prefect says; those that have not, for all it knows, are left out."""
    flow_runs = [item.flow_run_id for item in silent]
    try:
        states = launcher.states(flow_runs)
        over = [flow_run for flow_run in flow_runs if states[flow_run] is RunState.ended]
        ends = launcher.ends(over) if over else {}
    except Unavailable:
        return dict.fromkeys(flow_runs, _NOT_ASKED)
    known = {RunState.cancelling: _CANCELLING, RunState.missing: UNKNOWN_END}
    return {**{run: known[state] for run, state in states.items() if state in known}, **ends}


def _by_end(items: Iterable[Item], ends: Mapping[UUID, RunEnd], otherwise: RunEnd) -> list[tuple[RunEnd, list[Item]]]:
    by_end: dict[RunEnd, list[Item]] = {}
    for item in items:
        by_end.setdefault(ends.get(item.flow_run_id, otherwise), []).append(item)
    return list(by_end.items())


def _lose(
    database: Database,
    pool: Pool,
    items: Collection[Silent | NotBegun],
    reason: str,
    end: RunEnd,
    *,
    settled: bool,
) -> int:
    if not items:
        return 0
    counted = end.fate not in (Fate.preempted, Fate.cancelled)
    with database.transaction() as connection:
        lost = losses.lose(
            connection, _pairs(items), reason, pool.max_losses, pool.back_off, settled=settled, counted=counted
        )
    log.warning("attempts_lost", reason=reason, fate=end.fate.value, count=len(lost))
    return len(lost)


def _call_off(database: Database, items: Collection[Silent | NotBegun], reason: str) -> None:
    if not items:
        return
    with database.transaction() as connection:
        called_off = losses.call_off(connection, _pairs(items), reason)
    log.warning("attempts_called_off", reason=reason, count=len(called_off))


def _note_pending(database: Database, items: Sequence[NotBegun], *, pending: bool) -> None:
    if items:
        with database.transaction() as connection:
            attempts.set_pending(connection, _pairs(items), pending=pending)


def _pairs(items: Iterable[Silent | NotBegun]) -> list[tuple[int, int]]:
    return [(item.task_id, item.n) for item in items]
