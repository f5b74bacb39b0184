"""Tasks counted by status. Statuses that nothing has are left out."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.store.queries.objects import IN_SCOPE


def of_networks(connection: Connection, network_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Network id → counts of the Tasks on its Transformations, actioned or not."""
    rows = connection.execute(
        text(
            """
            select link.network_id, t.status, count(*) as tasks
            from network_transformation link join task t on t.transformation_id = link.transformation_id
            where link.network_id = any(:networks)
            group by link.network_id, t.status order by t.status
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
        select t.status, count(*) as tasks
        from gufe_object o join task t on t.transformation_id = o.id
        where {IN_SCOPE} group by t.status order by t.status
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
            select t.status, count(*) as tasks
            from edge join task t on t.transformation_id = edge.transformation_id
            group by t.status order by t.status
            """
        ),
        {"scopes": list(scope_ids), "state": network_state},
    )
    return {row.status: row.tasks for row in rows}


def units(connection: Connection, network_id: int) -> tuple[int, int]:
    """ProtocolUnits done and in all, of the running Tasks on a network's Transformations."""
    row = connection.execute(
        text(
            """
            select coalesce(sum(a.units_done), 0) as done, coalesce(sum(a.units_total), 0) as total
            from network_transformation link
            join task t on t.transformation_id = link.transformation_id and t.status = 'running'
            join attempt a on a.task_id = t.id and a.state = 'running'
            where link.network_id = :network
            """
        ),
        {"network": network_id},
    ).one()
    return int(row.done), int(row.total)
