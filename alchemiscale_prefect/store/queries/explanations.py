"""What decides when a Task runs, in the database."""

from typing import Any

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.attempts import AttemptState
from alchemiscale_prefect.domain.explanations import MOST_COUNTED, LiveAttempt, QueuePlace, RestartPlace
from alchemiscale_prefect.store.queries.scopes import NAME

# more of one Task's networks, or of their restart patterns, are not told
_MOST = 100

_TASK = text(
    f"""
    select t.id, t.status, t.status_changed_at, t.reason, t.priority, t.losses, t.not_before, now() as now,
           parent.key || '-' || {NAME} as extends, parent.status as extends_status
    from task t join scope s on s.id = t.scope_id left join task parent on parent.id = t.extends_id
    where t.id = :task
    """  # noqa: S608  the interpolated text is a constant
)

_ATTEMPT = text(
    """
    select n, pool, state, host, created_at as claimed_at, launched_at, pending_since, started_at, lease_expires_at
    from attempt where task_id = :task and state in ('dispatched', 'running')
    """
)

# Both counts read the index of the queue, and no further than they count.
_PLACES = text(
    f"""
    select a.network_id, o.key || '-' || {NAME} as network, n.state, n.weight as network_weight, a.weight, a.queued,
           (select count(*) from (
                select 1 from action other
                where other.network_id = a.network_id and other.queued and other.priority < a.priority
                limit {MOST_COUNTED + 1}) lower) as by_priority,
           (select count(*) from (
                select 1 from action other
                where other.network_id = a.network_id and other.queued and other.priority = a.priority
                    and other.draw < a.draw
                limit {MOST_COUNTED + 1}) sooner) as by_draw
    from (select * from action where task_id = :task order by queued desc, network_id limit {_MOST}) a
    join network n on n.id = a.network_id
    join gufe_object o on o.id = a.network_id
    join scope s on s.id = n.scope_id
    order by a.queued desc, network
    """  # noqa: S608  the interpolated text is a constant
)

_RESTARTS = text(
    f"""
    select o.key || '-' || {NAME} as network, p.pattern, p.max_retries, coalesce(c.num_retries, 0) as num_retries
    from action a
    join restart_pattern p on p.network_id = a.network_id
    left join restart_count c on c.network_id = a.network_id and c.task_id = a.task_id and c.pattern_id = p.id
    join gufe_object o on o.id = a.network_id
    join scope s on s.id = a.scope_id
    where a.task_id = :task order by num_retries desc, p.id limit {_MOST}
    """  # noqa: S608  the interpolated text is a constant
)


def task(connection: Connection, task_id: int) -> Any:
    """The row of a Task, with the status of the one it extends and the database's time."""
    return connection.execute(_TASK, {"task": task_id}).one()


def live_attempt(connection: Connection, task_id: int) -> LiveAttempt | None:
    """The attempt that is under way."""
    row = connection.execute(_ATTEMPT, {"task": task_id}).one_or_none()
    return None if row is None else LiveAttempt(**{**row._mapping, "state": AttemptState(row.state)})


def places(connection: Connection, task_id: int) -> dict[int, QueuePlace]:
    """Network → the Task's action on it and its place there, those of the queue first."""
    rows = connection.execute(_PLACES, {"task": task_id})
    return {
        row.network_id: QueuePlace(
            row.network, row.state, row.network_weight, row.weight, row.queued, row.by_priority, row.by_draw
        )
        for row in rows
    }


def restarts(connection: Connection, task_id: int) -> list[RestartPlace]:
    """The restart patterns of the networks that have the Task actioned, those that restarted it first."""
    return [RestartPlace(*row) for row in connection.execute(_RESTARTS, {"task": task_id})]
