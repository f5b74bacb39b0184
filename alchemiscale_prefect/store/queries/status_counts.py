"""Tasks counted by status. Statuses that nothing has are left out.

The counts are read from ``task_count``, which triggers keep; `differences` holds them against the Tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.store.queries.objects import IN_SCOPE
from alchemiscale_prefect.store.queries.scopes import NAME

_STATUSES = sorted(status.value for status in TaskStatus)
_SUMS = ", ".join(f"coalesce(sum(c.{status}), 0) as {status}" for status in _STATUSES)
_NUMBERS = ", ".join(f"count(*) filter (where status = '{status}')" for status in _STATUSES)
_VALUES = ", ".join(f"('{status}', c.{status})" for status in _STATUSES)

_RECOUNT = text(
    f"""
    insert into task_count (scope_id, transformation_id, {", ".join(_STATUSES)})
    select scope_id, transformation_id, {_NUMBERS} from task group by 1, 2
    """  # noqa: S608  the interpolated text is made of constants
)

_DIFFERENCES = text(
    f"""
    with kept as (
        select c.transformation_id, each.status, sum(each.tasks) as tasks
        from task_count c, lateral (values {_VALUES}) each(status, tasks)
        group by 1, 2 having sum(each.tasks) <> 0),
    counted as (select transformation_id, status, count(*) as tasks from task group by 1, 2)
    select o.key || '-' || {NAME} as transformation, status,
           coalesce(kept.tasks, 0) as kept, coalesce(counted.tasks, 0) as counted
    from kept full join counted using (transformation_id, status)
    join gufe_object o on o.id = transformation_id join scope s on s.id = o.scope_id
    where kept.tasks is distinct from counted.tasks
    order by transformation_id, status
    """  # noqa: S608  the interpolated text is made of constants
)

_OF_NETWORKS = text(
    f"""
    select link.network_id, {_SUMS}
    from network_transformation link join task_count c on c.transformation_id = link.transformation_id
    where link.network_id = any(:networks) group by link.network_id
    """  # noqa: S608  the interpolated text is made of constants
)

_OF_TRANSFORMATION = text(
    f"select {_SUMS} from gufe_object o join task_count c on c.transformation_id = o.id where {IN_SCOPE}"  # noqa: S608
)

_OF_EACH_SCOPE = text(
    f"select {NAME} as scope, {_SUMS} from task_count c join scope s on s.id = c.scope_id group by s.id order by 1"  # noqa: S608
)

_OF_SCOPES = text(
    f"""
    with edge as (
        select distinct link.transformation_id
        from network n join network_transformation link on link.network_id = n.id
        where n.scope_id = any(:scopes) and (cast(:state as text) is null or n.state ~ :state))
    select {_SUMS} from edge join task_count c on c.transformation_id = edge.transformation_id
    """  # noqa: S608  the interpolated text is made of constants
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
    connection.execute(_RECOUNT)


def of_networks(connection: Connection, network_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Network id → counts of the Tasks on its Transformations, actioned or not."""
    counts: dict[int, dict[str, int]] = {network_id: {} for network_id in network_ids}
    for row in connection.execute(_OF_NETWORKS, {"networks": list(network_ids)}):
        counts[row.network_id] = _counts(row)
    return counts


def of_transformation(connection: Connection, transformation: ScopedKey) -> dict[str, int]:
    """Counts of the Tasks of a Transformation."""
    return _counts(connection.execute(_OF_TRANSFORMATION, transformation.to_dict()).one())


def of_scopes(connection: Connection, scope_ids: Sequence[int], network_state: str | None) -> dict[str, int]:
    """Counts of the Tasks, each once, on a network in these scopes whose state matches an anchored pattern."""
    return _counts(connection.execute(_OF_SCOPES, {"scopes": list(scope_ids), "state": network_state}).one())


def of_each_scope(connection: Connection) -> dict[str, dict[str, int]]:
    """Scope → counts of its Tasks, on a network or not."""
    return {row.scope: counts for row in connection.execute(_OF_EACH_SCOPE) if (counts := _counts(row))}


def _counts(row: Row[Any]) -> dict[str, int]:
    sums = row._mapping
    return {status: sums[status] for status in _STATUSES if sums[status]}
