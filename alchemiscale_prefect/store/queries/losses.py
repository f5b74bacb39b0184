"""Attempts that are lost: their Tasks wait again after a rest, their runs may be heard of again; or are called off."""

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Interval

from alchemiscale_prefect.domain.losses import AT_ONCE, REGAIN, UNCOUNTED_LIMIT, BackOff
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.domain.transitions import Cause, Reason
from alchemiscale_prefect.domain.verdicts import loss_failure
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.queries import transitions
from alchemiscale_prefect.store.queries.attempts import PAIRS, cancel_live, pairs

HEARD_OF_AGAIN = "an earlier attempt, given up for lost, was heard of again"

# one that gave its lease back is over: it ended before the lease did (domain.attempts.outcome_of); who called a later
# one off wants that nothing computes
_REGAINABLE = text(
    """
    select exists (
        select 1 from attempt a
        where a.task_id = :task and a.n = :n and a.state = 'lost' and a.lease_expires_at <= a.ended_at
          and not exists (
              select 1 from attempt newer
              where newer.task_id = a.task_id and newer.n > a.n and newer.started_at is not null)
          and (:finishing or (
              a.ended_at > now() - :regain and exists (select 1 from action where action.task_id = a.task_id)
              and not exists (
                  select 1 from task t where t.id = a.task_id and t.status = 'error' and (
                      select h.cause from task_history h where h.task_id = t.id order by h.id desc limit 1) = 'stop'))))
    """
)

# flow_run_settled stays: what Prefect was told to cancel may yet be told to stop, and that is then no wish of a person
_REGAIN = text(
    """
    with regained as (
        update attempt
        set state = 'running', lease_expires_at = now() + :lease, ended_at = null, reason = null,
            failure = null
        where task_id = :task and n = :n)
    update task set losses = greatest(losses - 1, 0), not_before = null where id = :task
    """
)


def call_off(
    connection: Connection, attempts: Sequence[tuple[int, int]], reason: str, *, by_itself: bool = False
) -> tuple[int, ...]:
    """Somebody cancelled the flow runs of attempts (Task id, number) in Prefect: their Tasks are in error.

    They would be dispatched again and again else. Actions and checkpoints stay: a Task that is set waiting goes on.

    Parameters
    ----------
    by_itself
        The run says so itself, and ends: a running attempt is called off although its lease goes on.

    Returns
    -------
    tuple of int
        The Tasks concerned; an attempt that has begun, was renewed or ended meanwhile is left alone.
    """
    queue.lock(connection, [task_id for task_id, _ in attempts])
    rows = connection.execute(
        text(
            """
            update attempt a
            set state = 'cancelled', ended_at = now(), reason = :reason, flow_run_settled = true,
                lease_expires_at = least(a.lease_expires_at, now())
            from unnest(:tasks, :ns) as given(task_id, n)
            where a.task_id = given.task_id and a.n = given.n
              and (a.state = 'dispatched' or (a.state = 'running' and (:by_itself or a.lease_expires_at < now())))
            returning a.task_id
            """
        ).bindparams(*PAIRS),
        {"reason": reason, "by_itself": by_itself, **pairs(attempts)},
    )
    tasks = tuple(row.task_id for row in rows)
    transitions.move(connection, tasks, TaskStatus.error, Reason(Cause.stop, None, reason), shown=reason)
    queue.refresh(connection, tasks)
    return tasks


def give_back(connection: Connection, attempts: Sequence[tuple[int, int]], reason: str) -> tuple[int, ...]:
    """Take dispatched attempts (Task id, number) back into the queue, as no loss; the Tasks concerned.

    One that has begun or ended meanwhile is left alone.
    """
    queue.lock(connection, [task_id for task_id, _ in attempts])
    rows = connection.execute(
        text(
            """
            update attempt a set state = 'cancelled', ended_at = now(), reason = :reason
            from unnest(:tasks, :ns) as given(task_id, n)
            where a.task_id = given.task_id and a.n = given.n and a.state = 'dispatched'
            returning a.task_id
            """
        ).bindparams(*PAIRS),
        {"reason": reason, **pairs(attempts)},
    )
    tasks = tuple(row.task_id for row in rows)
    queue.refresh(connection, tasks)
    return tasks


# what is locked is being changed; the next pass sees it
_END_REST = text(
    """
    update task set not_before = null
    where id in (select id from task where not_before <= now() order by id for no key update skip locked)
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
    counted: bool = True,
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
    counted
        Whether it is a sign that something is wrong; see `wait_again`.

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
            set state = 'lost', ended_at = now(), reason = :reason, flow_run_settled = :settled,
                failure = case when a.state = 'running' then cast(:failure as text) end
            from unnest(:tasks, :ns) as given(task_id, n)
            where a.task_id = given.task_id and a.n = given.n
              and (a.state = 'dispatched' or (a.state = 'running' and a.lease_expires_at < now()))
            returning a.task_id
            """
        ).bindparams(*PAIRS),
        {
            "reason": reason,
            "settled": settled,
            "failure": loss_failure(reason) if counted else None,
            **pairs(attempts),
        },
    )
    tasks = tuple(row.task_id for row in rows)
    wait_again(connection, tasks, reason, max_losses, back_off, counted=counted)
    return tasks


# `uncounted`: how often it was lost in a row, in whatever way and also before it began, which no history tells; a unit
# that the last attempt finished begins it anew
_COUNT = text(
    """
    with lost as materialized (
        select t.id, t.losses, exists (
            select 1 from unit_result u where u.task_id = t.id and u.attempt = t.attempts and u.ok) as of_use
        from task t where t.id = any(:tasks) and t.status in ('waiting', 'running'))
    update task t
    set reason = :reason, losses = case when lost.of_use then 0 else lost.losses end + cast(:counted as int)
    from lost where t.id = lost.id
    returning t.id, t.losses, case when lost.of_use or :counted then 1 else (
        select count(*) from attempt a
        where a.task_id = t.id and a.state = 'lost' and a.n > coalesce((
            select h.attempt from task_history h
            where h.task_id = t.id and h.cause not in ('begin', 'loss', 'regain') order by h.id desc limit 1), 0)
        ) end as uncounted
    """
)


def wait_again(
    connection: Connection,
    task_ids: Sequence[int],
    reason: str,
    max_losses: int,
    back_off: BackOff = AT_ONCE,
    *,
    counted: bool = True,
) -> None:
    """After a loss: waiting, or in error when that happened `max_losses` times in a row.

    An attempt that finished a ProtocolUnit before it was lost begins the row anew: it was of use. Losses that do not
    count may be `UNCOUNTED_LIMIT` times as many.
    """
    rows = connection.execute(_COUNT, {"tasks": list(task_ids), "reason": reason, "counted": counted}).all()
    most = max_losses if counted else max_losses * UNCOUNTED_LIMIT
    in_a_row = {row.id: row.losses if counted else row.uncounted for row in rows}
    loss = Reason(Cause.loss, None, reason)
    again = {row.id: max(row.losses, 1) for row in rows if in_a_row[row.id] < most}
    transitions.move(connection, list(again), TaskStatus.waiting, loss, shown=reason)
    _rest(connection, {task_id: back_off.delay(n, random.random()) for task_id, n in again.items()})  # noqa: S311
    for times in sorted({n for n in in_a_row.values() if n >= most}):
        given_up = [task_id for task_id, n in in_a_row.items() if n == times]
        shown = f"lost {times} times in a row, the last time: {reason}"
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


def regain(connection: Connection, task_id: int, n: int, lease: timedelta, *, finishing: bool) -> bool:
    """Take a loss back: an attempt whose lease ran out runs on, unless a later one has begun or its Task is at an end.

    A later attempt on its way to a worker is cancelled, so that at no time two may run.

    Parameters
    ----------
    task_id, n
        The attempt; the caller has locked it and its Task, and knows that its owner is asking.
    finishing
        Whether it only hands in what it has done: also if that took longer than `REGAIN` (Prefect may have been told
        to stop it), or the Task is not actioned on any network any more, or was called off in Prefect.
    """
    attempt = {"task": task_id, "n": n}
    if not connection.execute(_REGAINABLE, {**attempt, "finishing": finishing, "regain": REGAIN}).scalar_one():
        return False
    if not transitions.move(connection, [task_id], TaskStatus.running, Reason(Cause.regain), attempt=n):
        return False
    cancel_live(connection, [task_id], HEARD_OF_AGAIN)
    connection.execute(_REGAIN, {**attempt, "lease": lease})
    queue.refresh(connection, [task_id])
    return True
