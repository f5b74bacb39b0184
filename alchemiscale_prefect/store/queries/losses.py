"""Attempts that were given up for lost: taken back when their run is heard of again."""

from datetime import timedelta

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.domain.transitions import Cause, Reason
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.queries import attempts, transitions

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
    update task set losses = greatest(losses - 1, 0) where id = :task
    """
)


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
    attempts.cancel_live(connection, [task_id], HEARD_OF_AGAIN)
    connection.execute(_REGAIN, {**attempt, "lease": lease})
    queue.refresh(connection, [task_id])
    return True
