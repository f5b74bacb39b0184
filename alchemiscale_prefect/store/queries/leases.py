"""Who may compute a Task: the lease of an attempt is taken once nobody else can be at it any more."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.types import Uuid

from alchemiscale_prefect.domain.attempts import AttemptId
from alchemiscale_prefect.domain.errors import LeaseHeld
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.domain.transitions import Cause, Reason
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.queries import transitions

# `dispatched` with a flow run on record is begun by that flow run alone; before the dispatcher has written it down, by
# the first that comes. A flow run that Prefect starts again under the same id takes its own lease over; one that asks
# twice, because the first answer was lost, is the same owner. Whoever held the lease before computes on until it hears
# of that, or until its lease ends: `held`.
_MAY_BEGIN = text(
    """
    select coalesce(a.state = 'running' and a.lease_owner <> :owner and a.lease_expires_at > now(), false)
           or exists (select 1 from attempt other
                      where other.task_id = a.task_id and other.n <> a.n
                        and other.state = 'cancelled' and other.lease_expires_at > now()) as held
    from attempt a
    where a.task_id = :task and a.n = :n
      and ((a.state = 'dispatched' and (a.flow_run_id is null or a.flow_run_id = :flow_run))
           or (a.state = 'running' and a.flow_run_id = :flow_run))
    for no key update of a
    """
).bindparams(bindparam("flow_run", type_=Uuid))

_BEGIN = text(
    """
    update attempt a
    set state = 'running', lease_owner = :owner, lease_expires_at = now() + :lease, host = :host, image = :image,
        flow_run_id = :flow_run, started_at = coalesce(a.started_at, now()),
        launched_at = coalesce(a.launched_at, now())
    where a.task_id = :task and a.n = :n
    """
).bindparams(bindparam("flow_run", type_=Uuid))

_STOPPED = text(
    """
    update attempt a set lease_expires_at = now()
    from task t join scope s on s.id = t.scope_id
    where t.id = a.task_id and t.key = :gufe_key and a.n = :n and a.lease_owner = :owner
      and s.org = :org and s.campaign = :campaign and s.project = :project
      and a.state = 'cancelled' and a.lease_expires_at > now()
    """
)


def begin(
    connection: Connection,
    attempt: AttemptId,
    *,
    who: str,
    owner: str,
    flow_run_id: UUID,
    host: str,
    image: str | None,
    lease: timedelta,
) -> int | None:
    """Take the lease of an attempt; the id of its Task, or ``None`` if it may not run (any more).

    `attempt.task` is the Task's own key, without the scope; `who` the identifier of the compute identity.

    Raises
    ------
    LeaseHeld
        Another process that worked on the Task may still be at it.
    """
    # the Task first, as everybody does
    task_id: int | None = connection.execute(
        text("select id from task where key = :task and status in ('waiting', 'running') for no key update"),
        {"task": attempt.task},
    ).scalar_one_or_none()
    if task_id is None:
        return None
    parameters = {
        "task": task_id,
        "n": attempt.n,
        "owner": owner,
        "flow_run": flow_run_id,
        "host": host,
        "image": image,
        "lease": lease,
    }
    found = connection.execute(_MAY_BEGIN, parameters).one_or_none()
    if found is None:
        return None
    if found.held:
        raise LeaseHeld("an earlier run of this Task may still be computing; ask again", field="attempt")
    connection.execute(_BEGIN, parameters)
    transitions.move(connection, [task_id], TaskStatus.running, Reason(Cause.begin, who), attempt=attempt.n)
    # its place in the dispatcher's buffer is free
    queue.notify(connection)
    return task_id


def note_stopped(connection: Connection, task: ScopedKey, n: int, owner: str) -> None:
    """The run of a cancelled attempt computes no more: the next one need not wait for the end of its lease."""
    connection.execute(_STOPPED, {**task.to_dict(), "n": n, "owner": owner})
