"""Filling a work pool: claim the next Tasks, commit, then ask Prefect for their flow runs; and mending what broke.

Everything here can be done by any number of dispatchers at once and again after a crash at any point.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from alchemiscale_prefect.domain.attempts import Capacity, Launch, Launched, Launcher
from alchemiscale_prefect.domain.errors import Unavailable
from alchemiscale_prefect.domain.pools import Pool
from alchemiscale_prefect.services import shares
from alchemiscale_prefect.services.losses import ASK_AFTER, give_back_paused, give_up_expired, give_up_never_begun
from alchemiscale_prefect.services.shares import Books
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import attempts, losses, pools
from alchemiscale_prefect.store.queries import dispatch as queries

log = structlog.get_logger(__name__)

# a claim is launched by its own dispatcher within a moment; after this long another one takes it up
LAUNCH_GRACE = timedelta(seconds=15)
BATCH = 200

UNLIMITED = Capacity()


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass of the dispatcher did."""

    launched: int = 0
    failed: int = 0
    lost: int = 0
    cancelled: int = 0


def dispatch(database: Database, launcher: Launcher, pool: Pool, books: Books | None = None) -> Pass:
    """One pass: give up what is lost, stop what nobody wants, launch what is claimed, claim what fits.

    One statement when there is nothing to do, and no question to the orchestrator.

    Parameters
    ----------
    books
        Of fair share, kept from pass to pass.
    """
    with database.transaction() as connection:
        due = queries.due(connection, pool.name, ask_after=ASK_AFTER, launch_grace=LAUNCH_GRACE)
    lost = give_up_expired(database, pool, launcher) if due.expired else 0
    given_back = cancelled = 0
    with _apart("not_given_up"):
        lost += give_up_never_begun(database, launcher, pool) if due.not_begun else 0
    with _apart("not_given_back"):
        given_back = give_back_paused(database, launcher, pool) if due.not_begun or due.unlaunched else 0
    rested = end_rest(database) if due.rested else 0
    with _apart("not_cancelled"):
        cancelled = stop_unwanted(database, launcher, pool) if due.unsettled or lost or given_back else 0
    capacity = launcher.capacity() if due.queued or due.unlaunched or lost or rested else None
    launched = [] if capacity is None or capacity.paused else _fill(database, launcher, pool, capacity, books)
    failed = sum(item.flow_run_id is None for item in launched)
    if due.unheard or capacity not in (None, due.noted):
        with database.transaction() as connection:
            pools.note(connection, pool, capacity)
    return Pass(len(launched) - failed, failed, lost, cancelled)


@contextmanager
def _apart(event: str) -> Iterator[None]:
    """What the orchestrator cannot answer of some flow runs does not keep others from being made; asked again later."""
    try:
        yield
    except Unavailable as error:
        log.warning(event, why=str(error))


def claim(
    database: Database, pool: Pool, capacity: Capacity = UNLIMITED, books: Books | None = None
) -> tuple[Launch, ...]:
    """Take Tasks off the queue for the pool's free slots and its buffer, each with a committed attempt."""
    with database.transaction() as connection:
        if not queue.try_lock_pool(connection, pool.name):
            return ()
        load = queue.load(connection, pool.name)
        room = pool.room(capacity, load.dispatched, load.in_flight)
        if room <= 0:
            return ()
        launches = queue.claim(connection, pool.name, room, shares.hand_out(connection, pool.shares, books))
        claimed_at = queries.written_at(connection) if launches else None
    return tuple(replace(launch, claimed_at=claimed_at) for launch in launches)


def _fill(
    database: Database, launcher: Launcher, pool: Pool, capacity: Capacity, books: Books | None
) -> list[Launched]:
    again = _launch(database, launcher, _unlaunched(database, pool))
    return [*again, *_launch(database, launcher, claim(database, pool, capacity, books))]


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
