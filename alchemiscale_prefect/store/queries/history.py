"""What became of Tasks, in the database. A Task's key is its own, without the scope, where it is not said otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.attempts import LIVE, AttemptState

_LIVE = ", ".join(f"'{state}'" for state in LIVE)

# what a complete attempt told last may be older than its end
_ATTEMPT = """
    a.task_id, a.n, a.pool, a.flow_run_id, a.host, a.created_at, a.started_at, a.ended_at, a.state,
    a.lease_expires_at, case when a.state = 'complete' then a.units_total else a.units_done end as units_done,
    a.units_total, case when a.state = 'running' then a.fraction end as fraction, a.reason, r.key as result
    from attempt a left join result r on r.task_id = a.task_id and r.attempt = a.n
"""

_DETAILS = text(
    """
    select t.id, t.status, t.status_changed_at, t.reason, t.priority, t.creator, t.created_at, t.attempts,
           parent.key as extends, case when t.status = 'waiting' and t.not_before > now() then t.not_before end
    from task t left join task parent on parent.id = t.extends_id where t.id = any(:tasks)
    """
)

_LAST = text(
    f"""
    select distinct on (a.task_id, a.state in ({_LIVE})) {_ATTEMPT}
    where a.task_id = any(:tasks) order by a.task_id, a.state in ({_LIVE}), a.n desc
    """
)

_HISTORY = text(f"select {_ATTEMPT} where a.task_id = :task order by a.n desc limit :limit")

_TRACEBACKS = text(
    """
    select a.n, r.key, coalesce(r.created_at, a.ended_at) as created_at, r.creator, r.tracebacks, a.reason
    from attempt a left join result r on r.task_id = a.task_id and r.attempt = a.n
    where a.task_id = :task and a.state = 'error' order by a.n desc limit :limit
    """
)

_UNITS = text(
    """
    select distinct on (a.task_id) a.task_id,
           case when a.state = 'complete' then a.units_total else a.units_done end as done, a.units_total as total
    from attempt a where a.task_id = any(:tasks) and a.units_total > 0 order by a.task_id, a.n desc
    """
)

# in two parts, each of which has an index; a copied Task brought its attempts along, and used nothing
_SHARE = text(
    """
    with ran as (
        select a.task_id, a.started_at, a.ended_at from attempt a
        where a.ended_at > now() - :window and a.started_at is not null
        union all
        select a.task_id, a.started_at, now() from attempt a
        where a.state = 'running' and a.started_at is not null),
    used as (
        select t.scope_id, cast(extract(epoch from
            greatest(ran.ended_at - greatest(ran.started_at, now() - :window), interval '0')) as double precision)
            as seconds
        from ran join task t on t.id = ran.task_id where t.copied_from_id is null)
    select coalesce(sum(seconds) filter (where scope_id = any(:scopes)), 0) as part, coalesce(sum(seconds), 0) as whole
    from used
    """
)


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt as it stands, with the key of the result it stored."""

    task_id: int
    n: int
    pool: str
    flow_run_id: UUID | None
    host: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    state: AttemptState
    lease_expires_at: datetime | None
    units_done: int | None
    units_total: int | None
    fraction: float | None
    reason: str | None
    result: str | None


@dataclass(frozen=True, slots=True)
class DetailsRow:
    """A Task as it stands.

    `attempts` is how many there were, `extends` the key of the Task it extends, `not_before` when its rest ends.
    """

    id: int
    status: str
    status_changed_at: datetime
    reason: str | None
    priority: int
    creator: str | None
    created_at: datetime
    attempts: int
    extends: str | None
    not_before: datetime | None


@dataclass(frozen=True, slots=True)
class TracebacksRow:
    """A failed attempt; `key` and `tracebacks` are of the failure it stored, if it did."""

    n: int
    key: str | None
    created_at: datetime
    creator: str | None
    tracebacks: list[dict[str, Any]] | None
    reason: str | None


def details(connection: Connection, task_ids: Sequence[int]) -> dict[int, DetailsRow]:
    """Tasks by their ids."""
    rows = connection.execute(_DETAILS, {"tasks": list(task_ids)})
    return {row.id: DetailsRow(*row) for row in rows}


def last_attempts(connection: Connection, task_ids: Sequence[int]) -> list[AttemptRow]:
    """Of each Task the live attempt, and the last one that ended."""
    return [_attempt(row) for row in connection.execute(_LAST, {"tasks": list(task_ids)})]


def attempts(connection: Connection, task_id: int, limit: int | None) -> list[AttemptRow]:
    """The attempts of a Task, the most recent first."""
    return [_attempt(row) for row in connection.execute(_HISTORY, {"task": task_id, "limit": limit})]


def tracebacks(connection: Connection, task_id: int, limit: int | None) -> list[TracebacksRow]:
    """The attempts of a Task that failed, the most recent first."""
    return [TracebacksRow(*row) for row in connection.execute(_TRACEBACKS, {"task": task_id, "limit": limit})]


def units(connection: Connection, task_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """ProtocolUnits done and in all, of each Task's last attempt that told."""
    rows = connection.execute(_UNITS, {"tasks": list(task_ids)})
    return {row.task_id: (row.done or 0, row.total) for row in rows}


def seconds_run(connection: Connection, scope_ids: Sequence[int], window: timedelta) -> tuple[float, float]:
    """How long attempts ran within the last `window`: those of these scopes, and all that the connection sees."""
    row = connection.execute(_SHARE, {"scopes": list(scope_ids), "window": window}).one()
    return row.part, row.whole


def _attempt(row: Any) -> AttemptRow:
    return AttemptRow(**{**row._mapping, "state": AttemptState(row.state)})
