"""Attempts in the database: leases, fences, checkpoints, losses. Every write of a run carries (Task, number, owner)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import BigInteger, Integer, Uuid

from alchemiscale_prefect.domain.attempts import AttemptId, Launch, Launched
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.losses import SETTLE_LOST
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.domain.transitions import Cause, Reason
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.queries import transitions

_TASK_NAME = "t.key || '-' || s.org || '-' || s.campaign || '-' || s.project"

UNWANTED = """
    state in ('cancelled', 'lost') and flow_run_id is not null and not flow_run_settled and (
        state = 'cancelled' or lease_expires_at is null or ended_at < now() - :settle_lost
        or exists (select 1 from attempt newer
                   where newer.task_id = attempt.task_id and newer.n > attempt.n and newer.started_at is not null))"""
"""Of an attempt whose flow run Prefect is to cancel: never one that may be heard of again (`losses.regain`)."""

PAIRS = (bindparam("tasks", type_=ARRAY(BigInteger)), bindparam("ns", type_=ARRAY(Integer)))
"""(Task id, number) of several attempts, as two arrays."""

_FENCE = text(
    """
    select a.task_id, a.n, a.state, t.key, t.transformation_id, t.scope_id, t.extends_id, a.flow_run_settled, a.host,
           s.org, s.campaign, s.project
    from attempt a join task t on t.id = a.task_id join scope s on s.id = t.scope_id
    where t.key = :task and a.n = :n and a.lease_owner = :owner
    for no key update of t, a
    """
)

# also after `finish`: a heartbeat sent before its answer came must not look like a lost lease to the run
_RENEW = text(
    """
    update attempt a
    set lease_expires_at = now() + :lease, units_done = :done, units_total = :total, fraction = :fraction
    from task t join scope s on s.id = t.scope_id
    where t.id = a.task_id and t.key = :gufe_key and a.n = :n and a.lease_owner = :owner
      and s.org = :org and s.campaign = :campaign and s.project = :project
      and a.state in ('running', 'complete', 'error')
    returning a.task_id
    """
)


@dataclass(frozen=True, slots=True)
class HeldAttempt:
    """The attempt a run holds the lease of; its Task and itself are locked for this transaction.

    Attributes
    ----------
    flow_run_settled
        Whether Prefect was told to cancel its flow run, when it was lost.
    """

    task_id: int
    n: int
    state: str
    task: str
    transformation_id: int
    scope_id: int
    extends_id: int | None
    scope: Scope
    flow_run_settled: bool
    host: str


@dataclass(frozen=True, slots=True)
class NotBegun:
    """An attempt whose flow run has not called ``begin``.

    Attributes
    ----------
    pending_for
        How long ago its flow run was first seen to have left the work pool's queue; ``None`` while it is in it.
    """

    flow_run_id: UUID
    task_id: int
    n: int
    pending_for: timedelta | None


class Silent(NamedTuple):
    """An attempt whose lease ran out.

    Attributes
    ----------
    flow_run_settled
        As of `HeldAttempt`.
    """

    task_id: int
    n: int
    flow_run_id: UUID
    flow_run_settled: bool


def renew(
    connection: Connection,
    task: ScopedKey,
    n: int,
    owner: str,
    lease: timedelta,
    units_done: int,
    units_total: int,
    fraction: float | None = None,
) -> bool:
    """Renew a lease; False if it is no longer the caller's. A heartbeat that crosses the finish is no harm."""
    parameters = {
        **task.to_dict(),
        "n": n,
        "owner": owner,
        "lease": lease,
        "done": units_done,
        "total": units_total,
        "fraction": fraction,
    }
    return connection.execute(_RENEW, parameters).first() is not None


def hold(connection: Connection, attempt: AttemptId, owner: str) -> HeldAttempt | None:
    """Lock the attempt that `owner` began, whatever became of it since; ``None`` if it never did."""
    row = connection.execute(_FENCE, {"task": attempt.task, "n": attempt.n, "owner": owner}).one_or_none()
    if row is None:
        return None
    scope = Scope(row.org, row.campaign, row.project)
    return HeldAttempt(
        *(row.task_id, row.n, row.state, row.key, row.transformation_id, row.scope_id, row.extends_id, scope),
        flow_run_settled=row.flow_run_settled,
        host=row.host,
    )


def end(
    connection: Connection,
    held: HeldAttempt,
    state: str,
    reason: str | None = None,
    units: tuple[int | None, int | None] = (None, None),
    failure: str | None = None,
) -> None:
    """Close an attempt that ends by itself; nothing is left to settle in Prefect.

    Parameters
    ----------
    units
        Done and in all.
    failure
        How it failed, if that may be its host's fault.
    """
    connection.execute(
        text(
            "update attempt set state = :state, ended_at = now(), reason = :reason, flow_run_settled = true, "
            "failure = :failure, units_done = coalesce(:done, units_done), units_total = coalesce(:total, units_total) "
            "where task_id = :task and n = :n"
        ),
        {
            "task": held.task_id,
            "n": held.n,
            "state": state,
            "reason": reason,
            "failure": failure,
            "done": units[0],
            "total": units[1],
        },
    )


def record_launched(connection: Connection, launched: Sequence[Launched]) -> None:
    """Write down which flow run was made for which attempt."""
    done = [item for item in launched if item.flow_run_id is not None]
    rows = connection.execute(
        text("select key, id from task where key = any(:keys)"), {"keys": [_key(item.attempt.task) for item in done]}
    )
    ids: dict[str, int] = {row.key: row.id for row in rows}
    queue.lock(connection, list(ids.values()))
    connection.execute(
        text(
            """
            update attempt a set flow_run_id = given.flow_run_id, launched_at = now()
            from unnest(:tasks, :ns, :runs) as given(task_id, n, flow_run_id)
            where a.task_id = given.task_id and a.n = given.n and a.flow_run_id is null
            """
        ).bindparams(*PAIRS, bindparam("runs", type_=ARRAY(Uuid))),
        {
            "runs": [item.flow_run_id for item in done],
            **pairs([(ids[_key(item.attempt.task)], item.attempt.n) for item in done]),
        },
    )


def unlaunched(connection: Connection, pool: str, older_than: timedelta, limit: int) -> tuple[Launch, ...]:
    """Attempts committed but without a flow run: the dispatcher that claimed them failed or died in between."""
    rows = connection.execute(
        text(
            f"""
            select {_TASK_NAME} as name, a.n, a.tags, a.created_at
            from attempt a join task t on t.id = a.task_id join scope s on s.id = t.scope_id
            where a.pool = :pool and a.state = 'dispatched' and a.flow_run_id is null
              and a.created_at < now() - :age
            order by a.created_at limit :limit
            """  # noqa: S608  the interpolated text is a constant
        ),
        {"pool": pool, "age": older_than, "limit": limit},
    )
    return tuple(Launch(AttemptId(row.name, row.n), tuple(row.tags), row.created_at) for row in rows)


def not_begun(connection: Connection, pool: str, older_than: timedelta) -> tuple[NotBegun, ...]:
    """Attempts whose flow run was made more than `older_than` ago and has not begun."""
    rows = connection.execute(
        text(
            "select flow_run_id, task_id, n, now() - pending_since as pending_for from attempt "
            "where pool = :pool and state = 'dispatched' and flow_run_id is not null and launched_at < now() - :age"
        ),
        {"pool": pool, "age": older_than},
    )
    return tuple(NotBegun(row.flow_run_id, row.task_id, row.n, row.pending_for) for row in rows)


def untaken(connection: Connection, pool: str, older_than: timedelta) -> Sequence[tuple[int, int]]:
    """Attempts (Task id, number) that have waited in a pool for so long and that no worker was seen to take."""
    rows = connection.execute(
        text(
            "select task_id, n from attempt where pool = :pool and state = 'dispatched' and pending_since is null "
            "and coalesce(launched_at, created_at) < now() - :age order by task_id"
        ),
        {"pool": pool, "age": older_than},
    )
    return [(row.task_id, row.n) for row in rows]


def set_pending(connection: Connection, attempts: Sequence[tuple[int, int]], *, pending: bool) -> None:
    """Write down when attempts (Task id, number) were seen to leave the work pool's queue, or that they are back."""
    queue.lock(connection, [task_id for task_id, _ in attempts])
    connection.execute(
        text(
            """
            update attempt a
            set pending_since = case when :pending then coalesce(a.pending_since, now()) end
            from unnest(:tasks, :ns) as given(task_id, n)
            where a.task_id = given.task_id and a.n = given.n and a.state = 'dispatched'
            """
        ).bindparams(*PAIRS),
        {"pending": pending, **pairs(attempts)},
    )


def expired(connection: Connection) -> Sequence[Silent]:
    """Attempts whose lease ran out, whatever their pool."""
    rows = connection.execute(
        text(
            "select task_id, n, flow_run_id, flow_run_settled from attempt "
            "where state = 'running' and lease_expires_at < now() order by task_id"
        )
    )
    return [Silent(*row) for row in rows]


def cancel_live(connection: Connection, task_ids: Sequence[int], reason: str, *, dispatched_only: bool = False) -> None:
    """Take the lease from the live attempts of Tasks; the run is told on its next heartbeat, Prefect by the dispatcher.

    The caller has locked the Tasks and refreshes the queue afterwards.
    """
    connection.execute(
        text(
            "update attempt set state = 'cancelled', ended_at = now(), reason = :reason "
            "where task_id = any(:tasks) and (state = 'dispatched' or (state = 'running' and not :dispatched_only))"
        ),
        {"tasks": list(task_ids), "reason": reason, "dispatched_only": dispatched_only},
    )


def unsettled(connection: Connection, pool: str, limit: int) -> Mapping[UUID, tuple[int, int]]:
    """Flow runs of cancelled and lost attempts that Prefect has not been told about, with Task id and number."""
    rows = connection.execute(
        text(
            f"select flow_run_id, task_id, n from attempt where pool = :pool and {UNWANTED} "  # noqa: S608  a constant
            "order by ended_at limit :limit"
        ),
        {"pool": pool, "limit": limit, "settle_lost": SETTLE_LOST},
    )
    return {row.flow_run_id: (row.task_id, row.n) for row in rows}


def settle(connection: Connection, attempts: Sequence[tuple[int, int]]) -> None:
    """The flow runs of these attempts (Task id, number) need nothing more from us."""
    queue.lock(connection, [task_id for task_id, _ in attempts])
    connection.execute(
        text(
            "update attempt a set flow_run_settled = true from unnest(:tasks, :ns) as given(task_id, n) "
            "where a.task_id = given.task_id and a.n = given.n"
        ).bindparams(*PAIRS),
        pairs(attempts),
    )


def insert_result(connection: Connection, held: HeldAttempt, values: Mapping[str, Any]) -> None:
    """Record a ProtocolDAGResult of the held attempt; `values` are the columns of ``result`` beyond its keys."""
    connection.execute(
        text(
            """
            insert into result (key, scope_id, transformation_id, task_id, attempt, ok, protocol_dag_result_key,
                                location, size, estimate, uncertainty, units, tracebacks, creator,
                                gufe_version)
            values (:key, :scope, :transformation, :task, :n, :ok, :protocol_dag_result_key,
                    :location, :size, :estimate, :uncertainty, :units, :tracebacks, :creator,
                    :gufe_version)
            """
        ).bindparams(bindparam("tracebacks", type_=JSONB)),
        {
            "scope": held.scope_id,
            "transformation": held.transformation_id,
            "task": held.task_id,
            "n": held.n,
            **values,
        },
    )


def result_of(connection: Connection, held: HeldAttempt) -> tuple[str, bool] | None:
    """Key and ok of the result the held attempt stored, if it did."""
    row = connection.execute(
        text("select key, ok from result where task_id = :task and attempt = :n"),
        {"task": held.task_id, "n": held.n},
    ).one_or_none()
    return None if row is None else (row.key, row.ok)


def finish_task(connection: Connection, held: HeldAttempt, *, who: str, ok: bool, reason: str | None) -> None:
    """Running → complete or error. A complete Task leaves every network; those that extend it may run."""
    status = TaskStatus.complete if ok else TaskStatus.error
    outcome = Reason(Cause.outcome, who, reason)
    transitions.move(connection, [held.task_id], status, outcome, shown=reason, attempt=held.n)
    if ok:
        connection.execute(text("delete from action where task_id = :task"), {"task": held.task_id})
    children = connection.execute(
        text("select id from task where extends_id = :task order by id for no key update"), {"task": held.task_id}
    ).scalars()
    queue.refresh(connection, [held.task_id, *children])


def _key(scoped: str) -> str:
    # an attempt's `task` is a ScopedKey where it goes to the orchestrator; Task keys are unique without the scope
    return ScopedKey.from_str(scoped).gufe_key


def pairs(attempts: Sequence[tuple[int, int]]) -> dict[str, list[int]]:
    """The parameters `PAIRS`."""
    return {"tasks": [task_id for task_id, _ in attempts], "ns": [n for _, n in attempts]}
