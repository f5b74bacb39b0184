"""What stands before a Task to run."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from alchemiscale_prefect.domain.attempts import AttemptState
from alchemiscale_prefect.domain.explanations import HindranceCode, Standing, hindrances
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.wire.fields import ScopedKeyText


class _Answer(BaseModel):
    # an older client reads what a newer server sends
    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)


class TaskHindrance(_Answer):
    """Something that stands before a Task; `text` says it to a person."""

    code: HindranceCode
    text: str


class TaskLiveAttempt(_Answer):
    """The attempt of a Task that is under way.

    Attributes
    ----------
    n
        Its number.
    pool
        The Prefect work pool.
    state
        ``dispatched`` until its flow run begins, then ``running``.
    host
        The machine that began it.
    claimed_at, launched_at, pending_since, started_at
        When it was taken off the queue, when its flow run was made, when a worker was seen to have taken that, when it
        began.
    lease_expires_at
        Until when it may be silent.
    """

    n: int
    pool: str
    state: AttemptState
    host: str | None
    claimed_at: datetime
    launched_at: datetime | None
    pending_since: datetime | None
    started_at: datetime | None
    lease_expires_at: datetime | None


class TaskQueuePlace(_Answer):
    """Where a Task stands on a network that has it actioned.

    Attributes
    ----------
    network, state
        The network, and its state, which hinders nothing.
    network_weight, weight
        The network's among networks, the Task's among those of its priority.
    queued
        Whether the Task may be claimed through it, but for the network's weight.
    by_priority, by_draw
        Tasks of the network that come before it: of lower priority numbers, and of its own by the draw of their
        weights. 10001 means more than 10000. As things stand: Tasks that are added may come before it.
    chance
        The part that the network has of the next Tasks of all networks, or with fair share of all in its group.
    """

    network: ScopedKeyText
    state: str
    network_weight: float
    weight: float
    queued: bool
    by_priority: int
    by_draw: int
    chance: float | None


class TaskRestartPlace(_Answer):
    """A restart pattern of a network that has a Task actioned, and how often it has restarted it."""

    network: ScopedKeyText
    pattern: str
    max_retries: int
    num_retries: int


class TaskShare(_Answer):
    """How the Scopes that a Task's Scope is grouped with stand by fair share.

    Attributes
    ----------
    group
        What a share is set for, or the organisation.
    share
        As it is set.
    due, used
        Of the compute of the last `hours`, the part that is its share and the part that it used.
    """

    group: str
    share: float
    due: float
    used: float
    hours: float


class TaskExplanation(_Answer):
    """What stands before a Task to run.

    Attributes
    ----------
    hindrances
        All of it; empty if it is the next Task of a network.
    datetime_status_changed, reason
        When it got its status, and why, where that is not plain.
    losses
        Attempts that were lost in a row.
    not_before
        When its rest after the last of them ends.
    extends, extends_status
        The Task it extends.
    attempt
        What is under way.
    places
        The networks that have it actioned.
    restarts
        Their restart patterns.
    share
        ``None`` without fair share, or while it is not in the queue.
    """

    task: ScopedKeyText
    status: TaskStatus
    datetime_status_changed: datetime
    reason: str | None
    priority: int
    hindrances: list[TaskHindrance]
    losses: int
    not_before: datetime | None
    extends: ScopedKeyText | None
    extends_status: TaskStatus | None
    attempt: TaskLiveAttempt | None
    places: list[TaskQueuePlace]
    restarts: list[TaskRestartPlace]
    share: TaskShare | None

    @classmethod
    def of(cls, task: ScopedKey, standing: Standing) -> "TaskExplanation":
        """What is said of a Task's standing."""
        return cls.model_validate(
            {
                **{name: getattr(standing, name) for name in cls.model_fields if hasattr(standing, name)},
                "task": task,
                "datetime_status_changed": standing.status_changed_at,
                "hindrances": hindrances(standing),
            },
            from_attributes=True,
        )
