"""Holding our tables, Prefect and the object store against each other, and mending what differs.

What a dispatcher does for its pool with each pass is done here for every pool, also for those that no dispatcher serves
any more; and what nobody else does. It may run beside dispatchers and beside itself.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from alchemiscale_prefect.domain.attempts import Launcher, RunState
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.pools import Pool
from alchemiscale_prefect.domain.reconcile import (
    CANCELLING_GRACE,
    MOST_ORPHANS,
    RUN_GRACE,
    UNLAUNCHED_GRACE,
    FlowRuns,
    FlowRunUnderWay,
    Found,
    too_many,
)
from alchemiscale_prefect.services import dispatch, losses
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.objects.port import ObjectStore
from alchemiscale_prefect.store.queries import attempts
from alchemiscale_prefect.store.queries import reconcile as queries

log = structlog.get_logger(__name__)

_OVER = (RunState.ended, RunState.missing, RunState.cancelling)
_CHECKPOINTS = 200


def attempts_and_flow_runs(
    database: Database, launcher: Launcher, flow_runs: FlowRuns, pool: Pool, *, act: bool = True
) -> list[Found]:
    """Compare attempts with Prefect's flow runs both ways: lost ones are given up, unwanted ones stopped.

    Parameters
    ----------
    pool
        How often a Task may be lost, and the like; its name does not matter.
    act
        Without it nothing is changed.
    """
    with database.transaction() as connection:
        expired = attempts.expired(connection)
        names = queries.pools(connection)
        keys = queries.keys(connection, [silent.task_id for silent in expired])
    found = [Found.of("attempts whose lease ran out", keys, "given up")] if expired else []
    if expired and act:
        losses.give_up_expired(database, pool, launcher)
    closed = flow_runs.closed(names)
    for name in names:
        found += _attempts_of(database, launcher, replace(pool, name=name), closed.get(name), act=act)
    found += _unwanted(database, launcher, flow_runs, act=act)
    return _told(found, act=act)


def checkpoints(database: Database, store: ObjectStore, *, act: bool = True) -> list[Found]:
    """Drop the checkpoints of Tasks that will never run again."""
    dropped: list[str] = []
    while True:
        with database.transaction() as connection:
            stale = queries.stale_checkpoints(connection, _CHECKPOINTS)
            dropped += stale.values()
            locations = queries.drop_checkpoints(connection, list(stale)) if act else []
        store.delete(locations)
        if not act or len(stale) < _CHECKPOINTS:
            break
    return _told([Found.of("checkpoints of finished Tasks", dropped, "dropped")] if dropped else [], act=act)


def orphans(
    database: Database, store: ObjectStore, older_than: timedelta, *, act: bool = True, however_many: bool = False
) -> list[Found]:
    """Delete bytes that no row names: of runs that were superseded, or that died between two steps.

    Never those of a Task or a Transformation that is being computed, nor younger ones than `older_than`. Every object
    is listed: once a day is enough.

    Parameters
    ----------
    however_many
        Also if most of what is kept is nobody's. Else that is told and left alone: the store may be another database's.

    Raises
    ------
    InvalidInput
        `older_than` is less than an hour: a run may not have told yet what it has stored.
    """
    if older_than < timedelta(hours=1):
        raise InvalidInput("bytes may be orphans after an hour at the earliest", field="older_than")
    found: list[Found] = []
    for prefix, what, named in (
        ("protocoldagresult", "results that no row names", queries.named_results),
        ("checkpoint", "parts of checkpoints that no row names", queries.named_checkpoints),
    ):
        kept = 0
        nobodys: list[str] = []
        for batch in _older(store, prefix, older_than):
            kept += len(batch)
            nobodys += _unnamed(database, batch, named)
            if len(nobodys) >= MOST_ORPHANS:
                break
        if not nobodys:
            continue
        if too_many(len(nobodys), kept) and not however_many:
            found.append(Found.of(f"{what}, most of all {kept}: is this store another database's?", nobodys, ""))
            continue
        found.append(Found.of(what, nobodys, "deleted"))
        if act:
            # asked once more: listing may have taken minutes
            store.delete(_unnamed(database, nobodys, named))
    return _told(found, act=act)


def _attempts_of(database: Database, launcher: Launcher, pool: Pool, closed: str | None, *, act: bool) -> list[Found]:
    with database.transaction() as connection:
        waiting = attempts.not_begun(connection, pool.name, losses.ASK_AFTER)
        unlaunched = queries.never_launched(connection, pool.name, UNLAUNCHED_GRACE)
        unsettled = attempts.unsettled(connection, pool.name, dispatch.BATCH)
    states = launcher.states([item.flow_run_id for item in waiting]) if waiting else {}
    gone = [(item.task_id, item.n) for item in waiting if states[item.flow_run_id] in _OVER]
    if act and waiting:
        losses.give_up_never_begun(database, launcher, pool)
    with database.transaction() as connection:
        held = attempts.untaken(connection, pool.name, losses.GIVE_BACK_AFTER) if closed else ()
        found = [
            Found.of(
                f"{what} of work pool {pool.name}", queries.keys(connection, [task_id for task_id, _ in items]), done
            )
            for what, items, done in (
                ("attempts whose flow runs ended before they began", gone, "given up"),
                ("attempts that no dispatcher launches", unlaunched, "given back"),
                (f"attempts that wait in vain ({closed})", held, "given back"),
                ("flow runs of attempts that are over", list(unsettled.values()), "cancelled"),
            )
            if items
        ]
    if act:
        if unlaunched:
            losses.give_back(database, unlaunched, "no dispatcher launched it")
        if held:
            losses.give_back(database, held, closed or "")
        dispatch.stop_unwanted(database, launcher, pool)
    return found


def _unwanted(database: Database, launcher: Launcher, flow_runs: FlowRuns, *, act: bool) -> list[Found]:
    runs = {run.flow_run_id: run for run in flow_runs.under_way()}
    ours = {run.flow_run_id: (_own_key(run.attempt.task), run.attempt.n) for run in runs.values()}
    with database.transaction() as connection:
        unwanted = dict(queries.unwanted(connection, ours, RUN_GRACE))
    to_cancel = [run for run in unwanted if runs[run].state is not RunState.cancelling]
    hanging = [run for run in unwanted if runs[run].state is RunState.cancelling and _is_long(runs[run])]
    found = []
    if to_cancel:
        found.append(Found.of("flow runs that no attempt has", [unwanted[run] for run in to_cancel], "cancelled"))
        if act:
            launcher.cancel(to_cancel)
    if hanging:
        found.append(Found.of("flow runs that hang in Cancelling", [unwanted[run] for run in hanging], "ended"))
        if act:
            flow_runs.end(hanging)
    return found


def _is_long(run: FlowRunUnderWay) -> bool:
    return datetime.now(UTC) - run.since > CANCELLING_GRACE


def _own_key(task: str) -> str:
    try:
        return ScopedKey.from_str(task).gufe_key
    except InvalidInput:
        return task  # a flow run that somebody named by hand; no Task has that key


def _older(store: ObjectStore, prefix: str, age: timedelta) -> Iterator[list[str]]:
    before = datetime.now(UTC) - age
    for batch in store.list(prefix):
        if old := [item.location for item in batch if item.modified < before]:
            yield old


def _unnamed(
    database: Database, locations: Sequence[str], named: Callable[[Connection, Sequence[str]], frozenset[str]]
) -> list[str]:
    with database.transaction() as connection:
        known = named(connection, locations)
    return [location for location in locations if location not in known]


def _told(found: list[Found], *, act: bool) -> list[Found]:
    if not act:
        return [replace(item, done="") for item in found]
    for item in found:
        log.warning("reconciled", what=item.what, count=item.count, done=item.done, examples=item.examples)
    return found
