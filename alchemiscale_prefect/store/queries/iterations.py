"""Iterations of Strategies in the database: which are due, what they go by, and what they have come to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from alchemiscale_prefect.domain.proposals import PlannedTask
from alchemiscale_prefect.domain.result_summaries import ENERGY_UNITS, MOST, OtherAttempts, ResultSummary
from alchemiscale_prefect.domain.strategies import StrategyState, StrategyStatus
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.store.queries.scopes import NAME

_PERFORMED = "g.mode <> 'disabled' and g.status <> 'error' and n.state = 'active'"

# A result is looked at before its time where nothing waits for a worker: what waits for the interval then is compute.
_DUE = text(
    f"""
    with candidate as (
        select g.*, g.last_iteration + make_interval(secs => greatest(g.sleep_interval, :minimum)) <= now() as rested
        from strategy g join network n on n.id = g.network_id where {_PERFORMED})
    select o.key || '-' || {NAME}
    from candidate g join gufe_object o on o.id = g.network_id join scope s on s.id = o.scope_id
    where g.requested_at is not null or g.last_iteration is null or (g.status = 'awake' and g.rested)
       or ((g.status = 'dormant' or not exists (
                select 1 from action a join task t on t.id = a.task_id
                where a.network_id = g.network_id and t.status = 'waiting'))
           and g.last_iteration_result_count <> (
                select count(*) from network_transformation link
                join result r on r.transformation_id = link.transformation_id and r.ok
                where link.network_id = g.network_id))
    order by g.last_iteration nulls first, g.network_id
    """  # noqa: S608  the interpolated text is of constants
)

_STANDING = text(
    f"""
    select g.*, {_PERFORMED} as performed, n.state as network_state
    from strategy g join network n on n.id = g.network_id where g.network_id = :network
    """  # noqa: S608  the interpolated text is a constant
)

_SUMMARIES = text(
    """
    with found as (
        select link.transformation_id,
               case when r.units = :energy and abs(r.estimate) < :most then r.estimate end as estimate,
               case when r.units = :energy and abs(r.estimate) < :most and r.uncertainty >= 0 and r.uncertainty < :most
                   then r.uncertainty end as uncertainty,
               extract(epoch from a.ended_at - a.started_at)::float8 as seconds
        from network_transformation link
        join result r on r.transformation_id = link.transformation_id and r.ok
        join attempt a on a.task_id = r.task_id and a.n = r.attempt
        where link.network_id = :network)
    select o.key, count(*) as n, count(estimate) as n_estimates, coalesce(avg(estimate), 0) as mean,
           coalesce(var_pop(estimate) * count(estimate), 0) as squares, count(uncertainty) as n_stated,
           coalesce(sum(uncertainty ^ 2), 0) as stated, count(seconds) as n_timed, coalesce(sum(seconds), 0) as seconds
    from found join gufe_object o on o.id = found.transformation_id
    group by o.key
    """
)

# Tasks of one attempt, which gave a result, are most, and left out first. What was copied is others' compute.
_OTHER_ATTEMPTS = text(
    """
    select coalesce(sum(extract(epoch from a.ended_at - a.started_at)) filter (where a.ended_at > a.started_at), 0)
               ::float8 as seconds,
           coalesce(extract(epoch from now() - min(a.started_at) filter (where a.state = 'running')), 0)
               ::float8 as longest_running
    from network_transformation link
    join task t on t.transformation_id = link.transformation_id and (t.status <> 'complete' or t.attempts > 1)
    join attempt a on a.task_id = t.id and a.state <> 'complete'
    where link.network_id = :network and t.copied_from_id is null
    """
)

_RESULTS = text(
    """
    select o.key, r.location, r.gufe_version
    from network_transformation link
    join result r on r.transformation_id = link.transformation_id and r.ok
    join gufe_object o on o.id = link.transformation_id
    where link.network_id = :network order by r.id
    """
)

# what is finished, invalid or deleted is only counted
_TASKS = text(
    """
    select o.key as transformation, link.transformation_id, t.id, t.key, t.status, a.task_id is not null as actioned
    from network_transformation link
    join gufe_object o on o.id = link.transformation_id
    left join task t on t.transformation_id = link.transformation_id and t.status in ('waiting', 'running', 'error')
    left join action a on a.task_id = t.id and a.network_id = :network
    where link.network_id = :network order by t.id
    """
)

_COMPLETE = text(
    """
    select count(*) from network_transformation link
    join task t on t.transformation_id = link.transformation_id and t.status = 'complete'
    where link.network_id = :network
    """
)

_FINISH = text(
    """
    update strategy set
        status = case when requested_at is distinct from :request then status else :status end,
        exception = case when requested_at is distinct from :request then exception else :exception end,
        traceback = case when requested_at is distinct from :request then traceback else :traceback end,
        requested_at = case when requested_at is distinct from :request then requested_at end,
        iterations = iterations + 1, last_iteration = clock_timestamp(), last_iteration_result_count = :results
    where network_id = :network returning *
    """
).bindparams(bindparam("exception", type_=JSONB(none_as_null=True)))


@dataclass(frozen=True, slots=True)
class Standing:
    """A network's Strategy, before an iteration or in the middle of it.

    Attributes
    ----------
    strategy_id
        Of the gufe object.
    creator
        Identifier of the identity that set it.
    set_at
        When; tells one setting from the next.
    request
        When it was asked for, if it is yet to be performed for that.
    performed
        Whether it may be: it is not disabled or in error, and the network is active.
    """

    network_id: int
    strategy_id: int
    creator: str
    set_at: datetime
    request: datetime | None
    performed: bool
    network_state: str
    state: StrategyState

    def continues(self, begun: "Standing") -> bool:
        """Whether it may end the iteration that `begun` began: nobody has set it anew or performed it meanwhile."""
        return (
            self.performed
            and (self.set_at, self.strategy_id) == (begun.set_at, begun.strategy_id)
            and self.state.iterations == begun.state.iterations
        )


@dataclass(frozen=True, slots=True)
class NetworkTasks:
    """Tasks of a network's Transformations that wait, run or have failed.

    Attributes
    ----------
    transformation_ids
        By the key.
    planned
        By the key of the Transformation; every one is in it.
    ids
        Of the Tasks, by their keys.
    complete
        How many more Tasks are complete.
    """

    transformation_ids: Mapping[str, int]
    planned: Mapping[str, list[PlannedTask]]
    ids: Mapping[str, int]
    complete: int


def due(connection: Connection, minimum: timedelta) -> list[str]:
    """ScopedKeys of the networks whose Strategy is to be performed now, the one that waits longest first.

    Parameters
    ----------
    minimum
        From one iteration to the next by the clock, where the Strategy's own interval is shorter.
    """
    return list(connection.execute(_DUE, {"minimum": minimum.total_seconds()}).scalars())


def standing(connection: Connection, network_id: int, *, lock: bool = False) -> Standing | None:
    """A network's Strategy; ``None`` if it has none.

    Parameters
    ----------
    lock
        Until the end of the transaction nobody changes it, nor the network's state.
    """
    if lock:
        # a statement of its own: what is read next is younger than the lock
        connection.execute(
            text(
                "select 1 from strategy g join network n on n.id = g.network_id "
                "where g.network_id = :network for update of g for share of n"
            ),
            {"network": network_id},
        )
    row = connection.execute(_STANDING, {"network": network_id}).one_or_none()
    if row is None:
        return None
    return Standing(
        network_id,
        row.strategy_id,
        row.creator,
        row.created_at,
        row.requested_at,
        row.performed,
        row.network_state,
        StrategyState.from_dict(row._asdict()),
    )


def transformations(connection: Connection, network_id: int) -> list[str]:
    """Keys of a network's Transformations."""
    rows = connection.execute(
        text(
            "select o.key from network_transformation link join gufe_object o on o.id = link.transformation_id "
            "where link.network_id = :network order by o.id"
        ),
        {"network": network_id},
    )
    return list(rows.scalars())


def summaries(connection: Connection, network_id: int) -> dict[str, ResultSummary]:
    """The summary of each Transformation's ok results, by its key; made of what `finish` has kept of each."""
    rows = connection.execute(_SUMMARIES, {"network": network_id, "energy": ENERGY_UNITS, "most": MOST})
    return {row.key: ResultSummary(**{k: v for k, v in row._asdict().items() if k != "key"}) for row in rows}


def other_attempts(connection: Connection, network_id: int) -> OtherAttempts:
    """What attempts of a network's Tasks took that gave no result that is ok, or none yet."""
    row = connection.execute(_OTHER_ATTEMPTS, {"network": network_id}).one()
    return OtherAttempts(row.seconds, row.longest_running)


def result_locations(connection: Connection, network_id: int) -> list[tuple[str, str, str | None]]:
    """Of each ok result, oldest first: the key of its Transformation, where its bytes are, and who wrote them."""
    return [(row.key, row.location, row.gufe_version) for row in connection.execute(_RESULTS, {"network": network_id})]


def tasks(connection: Connection, network_id: int) -> NetworkTasks:
    """What is there to plan with. Tasks come in the order in which they were made."""
    transformation_ids: dict[str, int] = {}
    planned: dict[str, list[PlannedTask]] = {}
    ids: dict[str, int] = {}
    for row in connection.execute(_TASKS, {"network": network_id}):
        transformation_ids[row.transformation] = row.transformation_id
        listed = planned.setdefault(row.transformation, [])
        if row.id is not None:
            ids[row.key] = row.id
            listed.append(PlannedTask(row.key, TaskStatus(row.status), row.actioned))
    # last: what completes meanwhile is counted twice rather than not at all
    complete = connection.execute(_COMPLETE, {"network": network_id}).scalar_one()
    return NetworkTasks(transformation_ids, planned, ids, complete)


def finish(
    connection: Connection,
    begun: Standing,
    status: StrategyStatus,
    results: int,
    exception: tuple[str, str] | None = None,
    traceback: str | None = None,
) -> StrategyState:
    """Count an iteration; its new state. What was asked for since it began is still asked for, and stays awake.

    Parameters
    ----------
    results
        How many ok results it went by.
    """
    row = connection.execute(
        _FINISH,
        {
            "network": begun.network_id,
            "request": begun.request,
            "status": status.value,
            "results": results,
            "exception": exception,
            "traceback": traceback,
        },
    ).one()
    return StrategyState.from_dict(row._asdict())


def keep_proposal(connection: Connection, network_id: int, proposal: Mapping[str, Any]) -> None:
    """Keep what an iteration has done, in place of the one before."""
    connection.execute(
        text(
            "insert into strategy_proposal (network_id, proposal) values (:network, :proposal) "
            "on conflict (network_id) do update set proposal = excluded.proposal"
        ).bindparams(bindparam("proposal", type_=JSONB)),
        {"network": network_id, "proposal": proposal},
    )


def proposal(connection: Connection, network_id: int) -> Mapping[str, Any] | None:
    """What the last iteration has done; ``None`` before the first."""
    found: Mapping[str, Any] | None = connection.execute(
        text("select proposal from strategy_proposal where network_id = :network"), {"network": network_id}
    ).scalar_one_or_none()
    return found
