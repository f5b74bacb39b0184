"""Attempts that are lost: their Tasks wait again after a rest; or their run is heard of again."""

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Interval

from alchemiscale_prefect.domain.losses import AT_ONCE, BackOff
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.domain.transitions import Cause, Reason
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.queries import transitions
from alchemiscale_prefect.store.queries.attempts import PAIRS, cancel_live, pairs

HEARD_OF_AGAIN = "an earlier attempt, given up for lost, was heard of again"

# one that gave its lease back is over: it ended before the lease did (domain.attempts.outcome_of)
_REGAINABLE = text(
    """
    select exists (
        select 1 from attempt a
        where a.task_id = :task and a.n = :n and a.state = 'lost' and a.lease_expires_at <= a.ended_at
          and not exists (
              select 1 from attempt newer
              where newer.task_id = a.task_id and newer.n > a.n and newer.started_at is not null)
          and (:unwanted_too or exists (select 1 from action where action.task_id = a.task_id)))
    """
)

_REGAIN = text(
    """
    with regained as (
        update attempt
        set state = 'running', lease_expires_at = now() + :lease, ended_at = null, reason = null,
            flow_run_settled = false
        where task_id = :task and n = :n)
    update task set losses = greatest(losses - 1, 0), not_before = null where id = :task
    """
)


def call_off(connection: Connection, attempts: Sequence[tuple[int, int]], reason: str) -> tuple[int, ...]:
    """Somebody cancelled the flow runs of dispatched attempts (Task id, number): their Tasks are in error.

    They would be dispatched again and again else. The actions stay: a Task that is set waiting runs.

    Returns
    -------
    tuple of int
        The Tasks concerned; an attempt that has begun or ended meanwhile is left alone.
    """
    queue.lock(connection, [task_id for task_id, _ in attempts])
    rows = connection.execute(
        text(
            """
            update attempt a
            set state = 'cancelled', ended_at = now(), reason = :reason, flow_run_settled = true
            from unnest(:tasks, :ns) as given(task_id, n)
            where a.task_id = given.task_id and a.n = given.n and a.state = 'dispatched'
            returning a.task_id
            """
        ).bindparams(*PAIRS),
        {"reason": reason, **pairs(attempts)},
    )
    tasks = tuple(row.task_id for row in rows)
    transitions.move(connection, tasks, TaskStatus.error, Reason(Cause.stop, None, reason), shown=reason)
    queue.refresh(connection, tasks)
    return tasks


# what is locked is being changed; the next pass sees it
_END_REST = text(
    """
    update task set not_before = null
    where id in (select id from task where not_before <= now() order by id for update skip locked)
    returning id
    """
)


def lose(
    connection: Connection,
    attempts: Sequence[tuple[int, int]],
    reason: str,
    max_losses: int,
    back_off: BackOff = AT_ONCE,
    *,
    settled: bool,
) -> tuple[int, ...]:
    """Give attempts up as lost: their Tasks wait again, or are in error after `max_losses` losses in a row.

    An attempt that has ended, or whose lease was renewed since it was looked at, is left alone.

    Parameters
    ----------
    attempts
        (Task id, number) of dispatched attempts, or of running ones whose lease has run out.
    settled
        Whether the flow run needs no cancelling in Prefect any more.
    back_off
        How long the Tasks rest before they are in the queue again.

    Returns
    -------
    tuple of int
        The Tasks concerned.
    """
    queue.lock(connection, [task_id for task_id, _ in attempts])
    rows = connection.execute(
        text(
            """
            update attempt a
            set state = 'lost', ended_at = now(), reason = :reason, flow_run_settled = :settled
            from unnest(:tasks, :ns) as given(task_id, n)
            where a.task_id = given.task_id and a.n = given.n
              and (a.state = 'dispatched' or (a.state = 'running' and a.lease_expires_at < now()))
            returning a.task_id
            """
        ).bindparams(*PAIRS),
        {"reason": reason, "settled": settled, **pairs(attempts)},
    )
    tasks = tuple(row.task_id for row in rows)
    wait_again(connection, tasks, reason, max_losses, back_off)
    return tasks


def wait_again(
    connection: Connection, task_ids: Sequence[int], reason: str, max_losses: int, back_off: BackOff = AT_ONCE
) -> None:
    """After a loss: waiting, or in error when that happened `max_losses` times in a row.

    An attempt that finished a ProtocolUnit before it was lost begins the row anew: it was of use.
    """
    counted = connection.execute(
        text(
            """
            update task t
            set reason = :reason, losses = 1 + case when exists (
                select 1 from unit_result u where u.task_id = t.id and u.attempt = t.attempts and u.ok)
                then 0 else t.losses end
            where id = any(:tasks) and status in ('waiting', 'running') returning id, losses
            """
        ),
        {"tasks": list(task_ids), "reason": reason},
    ).all()
    loss = Reason(Cause.loss, None, reason)
    again = {row.id: row.losses for row in counted if row.losses < max_losses}
    transitions.move(connection, list(again), TaskStatus.waiting, loss, shown=reason)
    _rest(connection, {task_id: back_off.delay(n, random.random()) for task_id, n in again.items()})  # noqa: S311
    for losses in sorted({row.losses for row in counted if row.losses >= max_losses}):
        given_up = [row.id for row in counted if row.losses == losses]
        shown = f"lost {losses} times in a row, the last time: {reason}"
        transitions.move(connection, given_up, TaskStatus.error, loss, shown=shown)
    queue.refresh(connection, task_ids)


def _rest(connection: Connection, delays: Mapping[int, timedelta]) -> None:
    if any(delays.values()):
        connection.execute(
            text(
                "update task set not_before = now() + given.delay from unnest(:tasks, :delays) as given(id, delay) "
                "where task.id = given.id"
            ).bindparams(bindparam("tasks", type_=ARRAY(BigInteger)), bindparam("delays", type_=ARRAY(Interval))),
            {"tasks": list(delays), "delays": list(delays.values())},
        )


def end_rest(connection: Connection) -> int:
    """Put the Tasks back into the queue that have rested long enough after a loss; how many."""
    rested = connection.execute(_END_REST).scalars().all()
    if rested:
        queue.refresh(connection, rested)
    return len(rested)


def regain(connection: Connection, task_id: int, n: int, lease: timedelta, *, unwanted_too: bool) -> bool:
    """Take a loss back: an attempt whose lease ran out runs on, unless a later one has begun or its Task is at an end.

    A later attempt on its way to a worker is cancelled, so that at no time two may run.

    Parameters
    ----------
    task_id, n
        The attempt; the caller has locked it and its Task, and knows that its owner is asking.
    unwanted_too
        Also if the Task is not actioned on any network (any more).
    """
    attempt = {"task": task_id, "n": n}
    if not connection.execute(_REGAINABLE, {**attempt, "unwanted_too": unwanted_too}).scalar_one():
        return False
    if not transitions.move(connection, [task_id], TaskStatus.running, Reason(Cause.regain), attempt=n):
        return False
    cancel_live(connection, [task_id], HEARD_OF_AGAIN)
    connection.execute(_REGAIN, {**attempt, "lease": lease})
    queue.refresh(connection, [task_id])
    return True
