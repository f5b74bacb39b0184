"""What became of Tasks: their attempts, details and tracebacks. Names are those of alchemiscale's next client."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from alchemiscale_prefect.domain.attempts import AttemptOutcome
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.wire.fields import ScopedKeyText


class _Answer(BaseModel):
    # an older client reads what a newer server sends
    model_config = ConfigDict(frozen=True, extra="ignore")


class TaskAttempt(_Answer):
    """One execution of a Task, or one on its way to a worker.

    Attributes
    ----------
    n
        Its number; a Task's first attempt is 1.
    pool
        The Prefect work pool.
    flow_run_id
        Its flow run in Prefect; ``None`` before there is one.
    hostname
        The machine that began it; ``None`` before it began.
    datetime_claimed, datetime_started, datetime_end
        When the dispatcher took the Task off the queue, when the flow run began, when it ended.
    outcome
        ``None`` while it is under way. An ``expired`` one vanished with its worker; a ``released`` one was given back
        by a worker that was told to stop; a ``cancelled`` one nobody wanted any more; a ``refused`` one its host
        may not run, so that the Task waits for another.
    units_completed, units_total
        ProtocolUnits done, of how many; ``None`` before the run told.
    fraction
        How much of the whole is done, with the parts of running units; ``None`` unless it runs and one of them says how
        far it is.
    protocoldagresultref
        The result or failure it stored.
    reason
        Why it ended so, where that is not plain.
    environment
        ``None``: not recorded.
    """

    n: int
    pool: str
    flow_run_id: UUID | None
    hostname: str | None
    datetime_claimed: datetime
    datetime_started: datetime | None
    datetime_end: datetime | None
    outcome: AttemptOutcome | None
    units_completed: int | None
    units_total: int | None
    fraction: float | None = None
    protocoldagresultref: ScopedKeyText | None
    reason: str | None
    environment: None = None

    @property
    def compute_service_id(self) -> str | None:
        """What executed it, under alchemiscale's name: the flow run."""
        return None if self.flow_run_id is None else str(self.flow_run_id)

    @property
    def manager_name(self) -> str:
        """What started that, under alchemiscale's name: the work pool."""
        return self.pool


class TaskStatusChange(_Answer):
    """One change of a Task's status.

    Attributes
    ----------
    datetime_changed
        When.
    from_status, to_status
        What it was before, and what it became.
    cause
        What brought it about: ``user`` set it; ``begin``: a flow run began the Task; ``outcome``: it came to its end;
        ``loss``: the worker vanished or gave the Task back; ``regain``: a run that was taken for lost was heard of
        again; ``stop``: nobody wanted it any more, or its flow run was cancelled in Prefect; ``restart``: a restart
        pattern found its error.
    who
        The identity that asked for it; ``None`` where the server did it by itself.
    why
        The reason, where one was given or is not plain.
    attempt
        The number of the attempt that it concerns, or else of the last one before; ``None`` if there was none.
    hostname
        The machine that this attempt ran on; ``None`` if it never began.
    """

    datetime_changed: datetime
    from_status: TaskStatus
    to_status: TaskStatus
    cause: str
    who: str | None
    why: str | None
    attempt: int | None
    hostname: str | None


class TaskDetails(_Answer):
    """A Task as it stands.

    Attributes
    ----------
    datetime_status_changed
        When it got its status.
    not_before
        After a loss a Task rests: it runs no sooner. ``None`` if it does not rest.
    reason
        Why it has it, where that is not plain: what a user gave for ``invalid`` or ``deleted``, or what went wrong.
    num_claims
        How many attempts there were.
    current_claim
        The attempt that is under way, or on its way to a worker.
    most_recent_attempt
        The last one that ended.
    extends
        The Task it extends.
    """

    task: ScopedKeyText
    status: TaskStatus
    datetime_status_changed: datetime
    reason: str | None
    priority: int
    creator: str | None
    datetime_created: datetime
    extends: ScopedKeyText | None
    not_before: datetime | None = None
    num_claims: int
    current_claim: TaskAttempt | None
    most_recent_attempt: TaskAttempt | None


class TaskUnitTraceback(_Answer):
    """Why a ProtocolUnit failed.

    Attributes
    ----------
    failure_key, source_key
        Of the ProtocolUnitFailure and of its ProtocolUnit; ``None`` where the ProtocolDAG could not even be made.
    protocolunitresultref
        ``None``: unit results are kept only until their Task ends.
    """

    failure_key: str | None
    source_key: str | None
    name: str | None
    exception: str | None
    traceback: str
    protocolunitresultref: None = None


class TaskTracebacks(_Answer):
    """What went wrong in one attempt.

    Attributes
    ----------
    protocoldagresultref
        The stored failure; ``None`` where the ProtocolDAG could not even be made.
    datetime_created
        When it was recorded.
    creator
        The identity that recorded it.
    n
        The attempt's number.
    """

    protocoldagresultref: ScopedKeyText | None
    datetime_created: datetime
    creator: str | None
    n: int
    tracebacks: list[TaskUnitTraceback]
