"""Actions in the database: which Tasks are to be run for which networks. `store.queue` enqueues them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.store.queries.objects import IN_SCOPE


@dataclass(frozen=True, slots=True)
class Candidate:
    """A Task on a network's Transformations, and whether it is actioned there."""

    status: str
    actioned: bool


def candidates(connection: Connection, network_id: int, task_ids: Collection[int]) -> dict[int, Candidate]:
    """Those of these Tasks that are on the network's Transformations."""
    rows = connection.execute(
        text(
            """
            select t.id, t.status, a.task_id is not null as actioned
            from task t
            join network_transformation link
              on link.transformation_id = t.transformation_id and link.network_id = :network
            left join action a on a.task_id = t.id and a.network_id = :network
            where t.id = any(:tasks)
            """
        ),
        {"network": network_id, "tasks": list(task_ids)},
    ).all()
    return {task_id: Candidate(status, actioned) for task_id, status, actioned in rows}


def remove(connection: Connection, network_id: int, task_ids: Collection[int]) -> set[int]:
    """Take Tasks off a network; those that were actioned on it."""
    rows = connection.execute(
        text("delete from action where network_id = :network and task_id = any(:tasks) returning task_id"),
        {"network": network_id, "tasks": list(task_ids)},
    )
    return set(rows.scalars())


def remove_from_networks(connection: Connection, network_ids: Sequence[int], task_ids: Collection[int]) -> None:
    """Take Tasks off several networks."""
    connection.execute(
        text("delete from action where network_id = any(:networks) and task_id = any(:tasks)"),
        {"networks": list(network_ids), "tasks": list(task_ids)},
    )


def remove_everywhere(connection: Connection, task_ids: Collection[int]) -> None:
    """Take Tasks off every network."""
    connection.execute(text("delete from action where task_id = any(:tasks)"), {"tasks": list(task_ids)})


def unactioned(connection: Connection, task_ids: Collection[int]) -> list[int]:
    """Those of these Tasks that are actioned nowhere."""
    rows = connection.execute(
        text(
            "select id from task t where id = any(:tasks) "
            "and not exists (select 1 from action a where a.task_id = t.id)"
        ),
        {"tasks": list(task_ids)},
    )
    return list(rows.scalars())


def of_networks_or_live(connection: Connection, network_ids: Sequence[int]) -> list[int]:
    """Tasks that are actioned on these networks, or that have a live attempt and are on their Transformations."""
    rows = connection.execute(
        text(
            """
            select task_id from action where network_id = any(:networks)
            union
            select live.task_id from attempt live
            join task t on t.id = live.task_id
            join network_transformation link on link.transformation_id = t.transformation_id
            where live.state in ('dispatched', 'running') and link.network_id = any(:networks)
            """
        ),
        {"networks": list(network_ids)},
    )
    return list(rows.scalars())


def of_networks(connection: Connection, network_ids: Sequence[int]) -> dict[int, dict[str, float]]:
    """Network id → keys of the Tasks actioned on it, with their weights, in the order they were."""
    rows = connection.execute(
        text(
            "select a.network_id, t.key, a.weight from action a join task t on t.id = a.task_id "
            "where a.network_id = any(:networks) order by a.created_at, t.id"
        ),
        {"networks": list(network_ids)},
    )
    grouped: dict[int, dict[str, float]] = {network_id: {} for network_id in network_ids}
    for row in rows:
        grouped[row.network_id][row.key] = row.weight
    return grouped


def of_task(connection: Connection, task: ScopedKey) -> dict[str, float]:
    """Keys of the networks a Task is actioned on, with its weight on each."""
    statement = text(
        f"""
        select n.key, a.weight from task o
        join action a on a.task_id = o.id join gufe_object n on n.id = a.network_id
        where {IN_SCOPE} order by a.created_at, n.id
        """  # noqa: S608  the interpolated text is a constant
    )
    return {row.key: row.weight for row in connection.execute(statement, task.to_dict())}
