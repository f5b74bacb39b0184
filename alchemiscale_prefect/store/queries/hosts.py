"""Hosts in the database: what a flow run that asks to begin has to know, and what ran where."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, text
from sqlalchemy.types import Uuid

from alchemiscale_prefect.domain.attempts import LIVE, AttemptState
from alchemiscale_prefect.domain.hosts import Health, HostState, Trial
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.verdicts import HostAttempt
from alchemiscale_prefect.store import queue

# how long a judgement is good while nothing new fails on the host
_JUDGED_FOR = timedelta(seconds=30)
# attempts that are looked at, at most: those that failed on hosts that are banned or tried, and of all others
_MOST_FAILED = 1_000
_MOST_RECENT = 3_000

# nearly always all that is asked: three look-ups in indexes. The statement knows no row-level security, hence the scope
_ASKING = text(
    """
    select a.task_id, a.pool, a.state, a.reason, coalesce(h.state, 'healthy') <> 'healthy' or (
               exists (select 1 from attempt f
                       where f.host = :host and f.failure is not null
                         and f.ended_at > greatest(h.counts_from, now() - cast(:window as interval))
                       offset :threshold - 1 limit 1)
               and (h.judged_at is null or h.judged_at < now() - cast(:judged_for as interval)
                    or exists (select 1 from attempt f
                               where f.host = :host and f.failure is not null and f.ended_at > h.judged_at))
           ) as doubtful,
           exists (select 1 from attempt f
                   where f.task_id = a.task_id and f.n < a.n and f.host = :host and f.failure is not null
           ) as failed_here
    from task t join scope s on s.id = t.scope_id
    join attempt a on a.task_id = t.id and a.n = :n
    left join host h on h.name = :host
    where t.key = :gufe_key and s.org = :org and s.campaign = :campaign and s.project = :project
      and ((a.state = 'dispatched' and (a.flow_run_id is null or a.flow_run_id = :flow_run))
           or (a.state = 'refused' and a.flow_run_id = :flow_run))
    """
).bindparams(bindparam("flow_run", type_=Uuid))

_ENSURE = text("insert into host (name) values (:name) on conflict do nothing")

_WRITE = text(
    """
    insert into host (name, state, bans, since, until, banned_by, reason, counts_from,
                      probe_task_id, probe_n, judged_at)
    values (:name, :state, :bans, :since, :until, :banned_by, :reason, :counts_from, :probe_task_id, :probe_n, now())
    on conflict (name) do update
    set state = excluded.state, bans = excluded.bans, since = excluded.since, until = excluded.until,
        banned_by = excluded.banned_by, reason = excluded.reason, counts_from = excluded.counts_from,
        probe_task_id = excluded.probe_task_id, probe_n = excluded.probe_n, judged_at = excluded.judged_at
    """
)

# copied Tasks brought their attempts along, which ran only once
_RAN = """
    a.host, a.pool, a.image, a.task_id, a.n, t.transformation_id, a.failure, a.state = 'running' as live,
    coalesce(a.ended_at, now()) as at, extract(epoch from coalesce(a.ended_at, now()) - a.started_at) as seconds
    from attempt a join task t on t.id = a.task_id and t.copied_from_id is null
    where a.host is not null and a.started_at is not null
"""

_RECENT = text(
    f"""
    (select {_RAN} and a.failure is not null and a.host = any(:hosts) and a.ended_at > :since
     order by a.ended_at desc limit :most_failed)
    union all
    (select {_RAN} and a.ended_at > :since
       and (a.state = 'complete' or (a.failure is not null and a.host <> all(:hosts)))
     order by a.ended_at desc limit :most_recent)
    union all
    (select {_RAN} and a.state = 'running' order by a.started_at limit :most_recent)
    """
)

# others that are healthy, where the Task has not failed
_ELSEWHERE = text(
    """
    select exists (
        select 1 from (
            select host, task_id from attempt where state = 'running' and pool = :pool
            union all
            select host, task_id from attempt
            where ended_at > now() - cast(:within as interval) and started_at is not null and pool = :pool) other
        where other.host <> :host
          and not exists (select 1 from host h where h.name = other.host and h.state <> 'healthy')
          and not exists (select 1 from attempt f
                          where f.task_id = :task and f.host = other.host and f.failure is not null))
    """
)

_AVOIDED = text(
    """
    select count(*) from attempt r
    where r.task_id = :task and r.state = 'refused'
      and r.n > (select max(s.n) from attempt s where s.task_id = :task and s.started_at is not null)
      and exists (select 1 from attempt f
                  where f.task_id = :task and f.host = r.host and f.failure is not null)
    """
)

_REFUSE = text(
    """
    update attempt
    set state = 'refused', ended_at = now(), reason = :reason, host = :host, image = :image,
        flow_run_id = :flow_run, flow_run_settled = true
    where task_id = :task and n = :n and state = 'dispatched' and (flow_run_id is null or flow_run_id = :flow_run)
    returning task_id
    """
).bindparams(bindparam("flow_run", type_=Uuid))


@dataclass(frozen=True, slots=True)
class Asking:
    """An attempt whose flow run asks to begin on a host.

    Attributes
    ----------
    refused
        Why this flow run was refused before, if it was.
    doubtful
        Whether the host is to be looked at.
    failed_here
        Whether an earlier attempt of the Task failed on it.
    """

    task_id: int
    pool: str
    refused: str | None
    doubtful: bool
    failed_here: bool


def asking(
    connection: Connection, task: ScopedKey, n: int, flow_run_id: UUID, host: str, threshold: int, window: timedelta
) -> Asking | None:
    """The attempt; ``None`` if it is not this flow run's to begin, or begun already. `threshold` is 1 or more."""
    parameters = {"n": n, "flow_run": flow_run_id, "host": host, "threshold": threshold, "window": window}
    row = connection.execute(_ASKING, {**task.to_dict(), **parameters, "judged_for": _JUDGED_FOR}).one_or_none()
    if row is None:
        return None
    refused = row.reason if row.state == AttemptState.refused else None
    return Asking(row.task_id, row.pool, refused, row.doubtful, row.failed_here)


def lock(connection: Connection, name: str) -> tuple[Health, datetime]:
    """Where a host stands, until the end of the transaction; and the time."""
    connection.execute(_ENSURE, {"name": name})
    row = connection.execute(text("select h.*, now() as now from host h where name = :name for update"), {"name": name})
    found = row.one()
    return _health(found), found.now


def write(connection: Connection, name: str, health: Health) -> None:
    """Keep where a host stands, by a look at its attempts just now."""
    task_id, n = health.probe or (None, None)
    connection.execute(
        _WRITE,
        {
            "name": name,
            "state": health.state.value,
            "bans": health.bans,
            "since": health.since,
            "until": health.until,
            "banned_by": health.banned_by,
            "reason": health.reason,
            "counts_from": health.counts_from,
            "probe_task_id": task_id,
            "probe_n": n,
        },
    )


def every(connection: Connection) -> tuple[dict[str, Health], datetime]:
    """Where the hosts stand of which there is anything to say; and the time."""
    rows = connection.execute(text("select h.*, clock.now from (select now()) clock left join host h on true")).all()
    return {row.name: _health(row) for row in rows if row.name is not None}, rows[0].now


def is_known(connection: Connection, name: str) -> bool:
    """Whether there is anything to pardon a host for."""
    return bool(
        connection.execute(
            text(
                "select exists (select 1 from host where name = :name) "
                "or exists (select 1 from attempt where host = :name and failure is not null)"
            ),
            {"name": name},
        ).scalar_one()
    )


def recent(connection: Connection, hosts: Sequence[str], since: datetime) -> list[HostAttempt]:
    """What runs, and what succeeded or failed since, of all scopes; whatever failed on `hosts` is among it."""
    parameters = {"hosts": list(hosts), "since": since, "most_failed": _MOST_FAILED, "most_recent": _MOST_RECENT}
    return [
        HostAttempt(
            row.host,
            row.pool,
            row.image,
            row.task_id,
            row.transformation_id,
            row.failure,
            row.live,
            row.at,
            float(row.seconds),
        )
        for row in connection.execute(_RECENT, parameters)
    ]


def trial(connection: Connection, probe: tuple[int, int] | None) -> Trial:
    """What became of the attempt (Task id, number) that a host is tried with."""
    if probe is None:
        return Trial.void
    row = connection.execute(
        text("select state, failure from attempt where task_id = :task and n = :n"), {"task": probe[0], "n": probe[1]}
    ).one_or_none()
    if row is None:
        return Trial.void
    if row.state in LIVE:
        return Trial.live
    if row.state == AttemptState.complete:
        return Trial.succeeded
    return Trial.void if row.failure is None else Trial.failed


def avoided(connection: Connection, task_id: int) -> int:
    """How often a Task was refused since it last ran, on hosts where it had failed."""
    return int(connection.execute(_AVOIDED, {"task": task_id}).scalar_one())


def has_elsewhere(connection: Connection, task_id: int, pool: str, host: str, within: timedelta) -> bool:
    """Whether the pool has other hosts, healthy and lately active, where the Task has not failed."""
    parameters = {"task": task_id, "pool": pool, "host": host, "within": within}
    return bool(connection.execute(_ELSEWHERE, parameters).scalar_one())


def refuse(
    connection: Connection,
    attempt: tuple[int, int],
    flow_run_id: UUID,
    host: str,
    image: str | None,
    reason: str,
    rest: timedelta,
) -> bool:
    """End a dispatched attempt (Task id, number) that may not begin where it is; its Task is in the queue after `rest`.

    False if it has begun or ended meanwhile.
    """
    task_id, n = attempt
    queue.lock(connection, [task_id])
    parameters = {"task": task_id, "n": n, "flow_run": flow_run_id, "host": host, "image": image, "reason": reason}
    if connection.execute(_REFUSE, parameters).one_or_none() is None:
        return False
    if rest:
        connection.execute(
            text("update task set not_before = now() + cast(:rest as interval) where id = :task"),
            {"task": task_id, "rest": rest},
        )
    queue.refresh(connection, [task_id])
    return True


def _health(row: Row[tuple[object, ...]]) -> Health:
    return Health(
        HostState(row.state),
        row.bans,
        row.since,
        row.until,
        row.banned_by,
        row.reason,
        row.counts_from,
        None if row.probe_task_id is None else (row.probe_task_id, row.probe_n),
    )
