"""The Strategies of networks in the database."""

from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from alchemiscale_prefect.domain.strategies import StrategyState, StrategyStatus

_SET = text(
    """
    insert into strategy (network_id, strategy_id, mode, status, iterations, sleep_interval, last_iteration,
                          last_iteration_result_count, max_tasks_per_transformation, task_scaling, weighting,
                          exception, traceback, creator)
    values (:network, :strategy, :mode, :status, :iterations, :sleep_interval, :last_iteration,
            :last_iteration_result_count, :max_tasks_per_transformation, :task_scaling, :weighting,
            :exception, :traceback, :creator)
    on conflict (network_id) do update set
        strategy_id = excluded.strategy_id, mode = excluded.mode, status = excluded.status,
        iterations = excluded.iterations, sleep_interval = excluded.sleep_interval,
        last_iteration = excluded.last_iteration,
        last_iteration_result_count = excluded.last_iteration_result_count,
        max_tasks_per_transformation = excluded.max_tasks_per_transformation, task_scaling = excluded.task_scaling,
        weighting = excluded.weighting, requested_at = null,
        exception = excluded.exception, traceback = excluded.traceback, creator = excluded.creator,
        created_at = clock_timestamp()
    """
).bindparams(bindparam("exception", type_=JSONB(none_as_null=True)))


def set_strategy(connection: Connection, network_id: int, strategy_id: int, state: StrategyState, creator: str) -> None:
    """Give a network a Strategy in this state, in place of the one it has."""
    parameters: dict[str, Any] = {
        **state.to_dict(),
        "network": network_id,
        "strategy": strategy_id,
        "creator": creator,
    }
    connection.execute(_SET, parameters)
    connection.execute(text("delete from strategy_proposal where network_id = :id"), {"id": network_id})


def remove(connection: Connection, network_id: int) -> bool:
    """Take a network's Strategy; False if it has none. The gufe object stays."""
    return bool(connection.execute(text("delete from strategy where network_id = :id"), {"id": network_id}).rowcount)


def object_of(connection: Connection, network_id: int) -> int | None:
    """The id of the gufe object that is a network's Strategy."""
    return connection.execute(
        text("select strategy_id from strategy where network_id = :id"), {"id": network_id}
    ).scalar_one_or_none()


def state_of(connection: Connection, network_id: int) -> StrategyState | None:
    """The state of a network's Strategy."""
    row = connection.execute(text("select * from strategy where network_id = :id"), {"id": network_id}).one_or_none()
    return None if row is None else StrategyState.from_dict(row._asdict())


def wake(connection: Connection, network_id: int) -> bool:
    """Set a network's Strategy awake and have it performed soon, its last failure forgotten; False if it has none."""
    done = connection.execute(
        text(
            "update strategy set status = :awake, exception = null, traceback = null, requested_at = clock_timestamp() "
            "where network_id = :id"
        ),
        {"awake": StrategyStatus.awake.value, "id": network_id},
    )
    return bool(done.rowcount)
