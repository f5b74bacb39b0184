"""Tasks counted by status. Statuses that nothing has are left out.

The counts are read from ``task_count``, which triggers keep; `differences` holds them against the Tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.store.queries.objects import IN_SCOPE
from alchemiscale_prefect.store.queries.scopes import NAME

_DIFFERENCES = text(
    f"""
    with kept as (
        select transformation_id, status, sum(tasks) as tasks from task_count group by 1, 2 having sum(tasks) <> 0),
    counted as (select transformation_id, status, count(*) as tasks from task group by 1, 2)
    select o.key || '-' || {NAME} as transformation, status,
           coalesce(kept.tasks, 0) as kept, coalesce(counted.tasks, 0) as counted
    from kept full join counted using (transformation_id, status)
    join gufe_object o on o.id = transformation_id join scope s on s.id = o.scope_id
    where kept.tasks is distinct from counted.tasks
    order by transformation_id, status
    """  # noqa: S608  the interpolated text is a constant
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A count that is wrong.

    Attributes
    ----------
    transformation
        ScopedKey of the Transformation.
    kept, counted
        What ``task_count`` says, and how many Tasks there are.
    """

    transformation: str
    status: str
    kept: int
    counted: int


def differences(connection: Connection) -> list[Difference]:
    """Where counts and Tasks differ: nowhere, unless somebody wrote with the triggers off. Looks at every Task."""
    rows = connection.execute(_DIFFERENCES)
    return [Difference(row.transformation, row.status, int(row.kept), row.counted) for row in rows]


def recount(connection: Connection) -> None:
    """Make the counts anew from the Tasks; nobody changes a Task meanwhile."""
    connection.execute(text("lock table task in share row exclusive mode"))
    connection.execute(text("delete from task_count"))
    connection.execute(
        text(
            "insert into task_count (scope_id, transformation_id, status, tasks) "
            "select scope_id, transformation_id, status, count(*) from task group by 1, 2, 3"
        )
    )


def of_networks(connection: Connection, network_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Network id → counts of the Tasks on its Transformations, actioned or not."""
    rows = connection.execute(
        text(
            """
            select link.network_id, c.status, cast(sum(c.tasks) as bigint) as tasks
            from network_transformation link join task_count c on c.transformation_id = link.transformation_id
            where link.network_id = any(:networks)
            group by link.network_id, c.status having sum(c.tasks) <> 0 order by c.status
            """
        ),
        {"networks": list(network_ids)},
    )
    grouped: dict[int, dict[str, int]] = {network_id: {} for network_id in network_ids}
    for row in rows:
        grouped[row.network_id][row.status] = row.tasks
    return grouped


def of_transformation(connection: Connection, transformation: ScopedKey) -> dict[str, int]:
    """Counts of the Tasks of a Transformation."""
    statement = text(
        f"""
        select c.status, cast(sum(c.tasks) as bigint) as tasks
        from gufe_object o join task_count c on c.transformation_id = o.id
        where {IN_SCOPE} group by c.status having sum(c.tasks) <> 0 order by c.status
        """  # noqa: S608  the interpolated text is a constant
    )
    return {row.status: row.tasks for row in connection.execute(statement, transformation.to_dict())}


def of_scopes(connection: Connection, scope_ids: Sequence[int], network_state: str | None) -> dict[str, int]:
    """Counts of the Tasks, each once, on a network in these scopes whose state matches an anchored pattern."""
    rows = connection.execute(
        text(
            """
            with edge as (
                select distinct link.transformation_id
                from network n join network_transformation link on link.network_id = n.id
                where n.scope_id = any(:scopes) and (cast(:state as text) is null or n.state ~ :state))
            select c.status, cast(sum(c.tasks) as bigint) as tasks
            from edge join task_count c on c.transformation_id = edge.transformation_id
            group by c.status having sum(c.tasks) <> 0 order by c.status
            """
        ),
        {"scopes": list(scope_ids), "state": network_state},
    )
    return {row.status: row.tasks for row in rows}
