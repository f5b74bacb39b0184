"""Attempts counted, over all scopes."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.attempts import LIVE
from alchemiscale_prefect.store.queries.scopes import NAME


@dataclass(frozen=True, slots=True)
class RunningRow:
    """An attempt that runs."""

    task: str
    n: int
    pool: str
    host: str | None
    started_at: datetime | None


def live(connection: Connection) -> dict[str, dict[str, int]]:
    """Pool → state → attempts that are not over."""
    rows = connection.execute(
        text("select pool, state, count(*) as attempts from attempt where state = any(:live) group by pool, state"),
        {"live": [state.value for state in LIVE]},
    )
    grouped: dict[str, dict[str, int]] = {}
    for row in rows:
        grouped.setdefault(row.pool, {})[row.state] = row.attempts
    return grouped


def ended(connection: Connection, within: timedelta) -> dict[str, dict[str, int]]:
    """Pool → state → attempts that ended not longer ago than this."""
    rows = connection.execute(
        text(
            """
            select a.pool, a.state, count(*) as attempts from attempt a
            join task t on t.id = a.task_id and t.copied_from_id is null
            where a.ended_at > now() - cast(:within as interval) group by a.pool, a.state order by a.pool, a.state
            """
        ),
        {"within": within},
    )
    grouped: dict[str, dict[str, int]] = {}
    for row in rows:
        grouped.setdefault(row.pool, {})[row.state] = row.attempts
    return grouped


def running(connection: Connection, limit: int) -> list[RunningRow]:
    """Attempts that run, those that run longest first."""
    rows = connection.execute(
        text(
            f"""
            select t.key || '-' || {NAME} as task, a.n, a.pool, a.host, a.started_at
            from attempt a join task t on t.id = a.task_id join scope s on s.id = t.scope_id
            where a.state = 'running' order by a.started_at, t.id limit :limit
            """  # noqa: S608  the interpolated text is a constant
        ),
        {"limit": limit},
    )
    return [RunningRow(**row._mapping) for row in rows]
