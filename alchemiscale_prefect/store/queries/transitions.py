"""The one place where the status of a Task is changed: by the table of transitions, with a row of its history."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.domain.transitions import Cause, Reason, sources_of

# after these, a Task goes on counting its losses
_LOSSES_IN_A_ROW = frozenset({Cause.begin, Cause.loss, Cause.regain})

# `was`: what returning gives is the new row. The caller has locked the Tasks; the lock is there for who forgot.
_MOVE = text(
    """
    with was as materialized (
        select id, status from task
        where id = any(:tasks) and status = any(:sources) and status <> :status
        order by id for no key update),
    moved as (
        update task t
        set status = :status, status_changed_at = now(), reason = :reason,
            losses = case when :keep_losses then t.losses else 0 end,
            not_before = case when :keep_losses then t.not_before end
        from was where t.id = was.id
        returning t.id, t.scope_id, t.attempts, was.status as from_status),
    noted as (
        insert into task_history (task_id, scope_id, from_status, to_status, cause, who, why, attempt)
        select id, scope_id, from_status, :status, :cause, :who, :why, coalesce(:attempt, nullif(attempts, 0))
        from moved)
    select id from moved
    """
)


@dataclass(frozen=True, slots=True)
class TransitionRow:
    """A change of a Task's status.

    Attributes
    ----------
    attempt
        The attempt it concerns, or else the last one before it; ``None`` if there was none.
    host
        Where that attempt ran; ``None`` if it never began.
    """

    changed_at: datetime
    from_status: str
    to_status: str
    cause: str
    who: str | None
    why: str | None
    attempt: int | None
    host: str | None


def move(
    connection: Connection,
    task_ids: Collection[int],
    new: TaskStatus,
    reason: Reason,
    *,
    shown: str | None = None,
    attempt: int | None = None,
) -> list[int]:
    """Bring those of these Tasks to `new` that `reason.cause` may bring there from where they are.

    Parameters
    ----------
    task_ids
        Locked by the caller, who refreshes the queue afterwards.
    shown
        The Task's own reason, as long as it is in the status.
    attempt
        Number of the attempt that it concerns. Default: each Task's last one.

    Returns
    -------
    list of int
        Those that changed.
    """
    rows = connection.execute(
        _MOVE,
        {
            "tasks": list(task_ids),
            "status": new.value,
            "sources": [status.value for status in sources_of(new, reason.cause)],
            "reason": shown,
            "keep_losses": reason.cause in _LOSSES_IN_A_ROW,
            "cause": reason.cause.value,
            "who": reason.who,
            "why": reason.why,
            "attempt": attempt,
        },
    )
    return list(rows.scalars())


def of_task(connection: Connection, task_id: int, limit: int | None = None) -> Sequence[TransitionRow]:
    """The changes of a Task's status, the most recent first."""
    rows = connection.execute(
        text(
            "select h.changed_at, h.from_status, h.to_status, h.cause, h.who, h.why, h.attempt, a.host "
            "from task_history h left join attempt a on a.task_id = h.task_id and a.n = h.attempt "
            "where h.task_id = :task order by h.id desc limit :limit"
        ),
        {"task": task_id, "limit": limit},
    )
    return [TransitionRow(*row) for row in rows]
