"""How far a network is, in the database: what runs, what waits, and how fast it went of late."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, text

_RUNNING = text(
    """
    select t.key, cast(extract(epoch from now() - coalesce(a.started_at, a.created_at)) as double precision) as seconds,
           coalesce(a.units_done, 0) as units_done, coalesce(a.units_total, 0) as units_total, a.flow_run_id,
           a.fraction
    from network_transformation link
    join task t on t.transformation_id = link.transformation_id and t.status = 'running'
    join attempt a on a.task_id = t.id and a.state = 'running'
    where link.network_id = :network order by seconds desc, t.id
    """
)

# actioned are only Tasks that wait, run, or are in error; the first are many, and counted by an index alone
_WAITING = text(
    """
    select (select count(*) from action where network_id = :network)
         - (select count(*)
            from network_transformation link
            join task t on t.transformation_id = link.transformation_id and t.status in ('running', 'error')
            join action a on a.network_id = link.network_id and a.task_id = t.id
            where link.network_id = :network)
    """
)

# by the index on the end of attempts: what ended of late is little, whatever the network holds
_COMPLETED = text(
    """
    select count(*) as tasks,
           cast(extract(epoch from avg(a.ended_at - a.started_at)) as double precision) as mean_seconds,
           cast(extract(epoch from now() - min(a.started_at)) as double precision) as since_seconds
    from attempt a
    join task t on t.id = a.task_id and t.copied_from_id is null
    join network_transformation link on link.transformation_id = t.transformation_id and link.network_id = :network
    where a.ended_at > now() - :window and a.started_at is not null and a.state = 'complete'
    """
)


@dataclass(frozen=True, slots=True)
class RunningRow:
    """A Task that runs: its own key, for how long, its ProtocolUnits, its flow run, and how much of it is done."""

    key: str
    seconds: float
    units_done: int
    units_total: int
    flow_run_id: UUID | None
    fraction: float | None


@dataclass(frozen=True, slots=True)
class Completed:
    """Tasks that were completed of late.

    Attributes
    ----------
    mean_seconds
        How long they ran; ``None`` if there are none.
    since_seconds
        How long ago the first of them began; ``None`` if there are none.
    """

    tasks: int
    mean_seconds: float | None
    since_seconds: float | None


def running(connection: Connection, network_id: int) -> list[RunningRow]:
    """The running Tasks on a network's Transformations, the longest running first."""
    return [RunningRow(*row) for row in connection.execute(_RUNNING, {"network": network_id})]


def waiting(connection: Connection, network_id: int) -> int:
    """How many waiting Tasks are actioned on a network."""
    return int(connection.execute(_WAITING, {"network": network_id}).scalar_one())


def completed(connection: Connection, network_id: int, window: timedelta) -> Completed:
    """The Tasks on a network's Transformations that were completed within the last `window`."""
    return Completed(*connection.execute(_COMPLETED, {"network": network_id, "window": window}).one())
