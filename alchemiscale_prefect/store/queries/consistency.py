"""Rows that contradict each other although no constraint forbids it. Nothing of ours writes such rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Connection, text

from alchemiscale_prefect.store import queue

EXAMPLES = 3

# what `store.queue.refresh` makes of an action
_OUT_OF_PLACE = """
    from action a
    join task t on t.id = a.task_id
    left join task parent on parent.id = t.extends_id
    where a.priority <> t.priority or a.queued <> (
        t.status = 'waiting' and t.not_before is null and a.weight > 0
        and (t.extends_id is null or parent.status = 'complete')
        and not exists (
            select 1 from attempt where attempt.task_id = t.id and attempt.state in ('dispatched', 'running')))
"""

CONTRADICTIONS: Mapping[str, str] = MappingProxyType(
    {
        "actions whose place in the queue is out of date": "select t.key as example" + _OUT_OF_PLACE,
        "running Tasks without a running attempt": """
            select t.key as example from task t
            where t.status = 'running' and not exists (
                select 1 from attempt a where a.task_id = t.id and a.state = 'running')
            """,
        "attempts under way of Tasks that are at something else": """
            select t.key || ' attempt ' || a.n as example from attempt a join task t on t.id = a.task_id
            where (a.state = 'running' and t.status <> 'running') or (a.state = 'dispatched' and t.status <> 'waiting')
            """,
        "attempts that their Task has not counted": """
            select t.key || ' attempt ' || a.n as example from attempt a join task t on t.id = a.task_id
            where a.n > t.attempts
            """,
        "finished Tasks that are still actioned": """
            select t.key as example from action a join task t on t.id = a.task_id
            where t.status in ('complete', 'invalid', 'deleted')
            """,
        "Tasks actioned on a network without their Transformation": """
            select t.key as example from action a join task t on t.id = a.task_id
            where not exists (
                select 1 from network_transformation link
                where link.network_id = a.network_id and link.transformation_id = t.transformation_id)
            """,
        "complete Tasks without a result": """
            select t.key as example from task t
            where t.status = 'complete' and not exists (
                select 1 from result r where r.task_id = t.id and r.ok)
            """,
        "results that their attempts do not tell of": """
            select r.key as example from result r join attempt a on a.task_id = r.task_id and a.n = r.attempt
            where a.state <> case when r.ok then 'complete' else 'error' end
            """,
        "results of another Transformation than their Task's": """
            select r.key as example from result r join task t on t.id = r.task_id
            where r.transformation_id <> t.transformation_id or r.scope_id <> t.scope_id
            """,
        "Tasks that extend one of another Transformation": """
            select t.key as example from task t join task parent on parent.id = t.extends_id
            where parent.transformation_id <> t.transformation_id
            """,
        "Tasks in another Scope than their Transformation": """
            select t.key as example from task t join transformation tf on tf.id = t.transformation_id
            where tf.scope_id <> t.scope_id
            """,
        "networks with Transformations of another Scope": """
            select distinct o.key as example
            from network_transformation link join network n on n.id = link.network_id
            join transformation tf on tf.id = link.transformation_id join gufe_object o on o.id = n.id
            where tf.scope_id <> n.scope_id
            """,
        "gufe objects that refer to what is not there": """
            select distinct o.key as example from gufe_object o cross join lateral unnest(o.refers_to) as link(id)
            where not exists (select 1 from gufe_object other where other.id = link.id and other.scope_id = o.scope_id)
            """,
        "networks whose keyed chain has gaps": """
            select distinct o.key as example
            from network n join gufe_object o on o.id = n.id cross join lateral unnest(n.chain) as link(id)
            where not exists (select 1 from gufe_object other where other.id = link.id and other.scope_id = n.scope_id)
            """,
    }
)
"""What it is → the statement that finds it."""

OUT_OF_PLACE = next(iter(CONTRADICTIONS))
"""The one that `requeue` mends."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Rows that cannot be.

    Attributes
    ----------
    what
        A key of `CONTRADICTIONS`.
    count
        How many there are.
    examples
        A few of them.
    """

    what: str
    count: int
    examples: tuple[str, ...]


def contradictions(connection: Connection) -> list[Contradiction]:
    """All there are: none, unless somebody wrote by hand. Looks at every row of most tables."""
    found = []
    for what, statement in CONTRADICTIONS.items():
        rows = connection.execute(
            text(f"select example, count(*) over () as total from ({statement}) found limit {EXAMPLES}")  # noqa: S608
        ).all()
        if rows:
            found.append(Contradiction(what, rows[0].total, tuple(row.example for row in rows)))
    return found


def requeue(connection: Connection) -> int:
    """Give every action its place in the queue that is out of it; how many Tasks that concerned."""
    tasks = sorted(connection.execute(text("select distinct t.id" + _OUT_OF_PLACE)).scalars())
    if tasks:
        queue.lock(connection, tasks)
        queue.refresh(connection, tasks)
    return len(tasks)
