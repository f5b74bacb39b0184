"""Tasks and attempts as a person would keep them on paper."""

from dataclasses import dataclass, field

from alchemiscale_prefect.domain.tasks import UNACTIONED_BY, TaskStatus
from alchemiscale_prefect.domain.transitions import Cause, may_become
from tests.integration.dispatch.world import FlowRun


@dataclass
class Model:
    """A Task."""

    parent: "Model | None" = None
    status: TaskStatus = TaskStatus.waiting
    attempts: int = 0
    live: "ModelRun | None" = None
    weights: dict[int, float] = field(default_factory=dict)
    losses: int = 0
    resting: bool = False
    results: int = 0
    stopped: "list[ModelRun]" = field(default_factory=list)

    def claimable(self) -> bool:
        return (
            self.status is TaskStatus.waiting
            and self.live is None
            and not self.resting
            and (self.parent is None or self.parent.status is TaskStatus.complete)
            and any(weight > 0 for weight in self.weights.values())
        )

    def stop(self) -> None:
        """Take the lease from the live attempt; one that has begun may compute until that is over."""
        if self.live is not None and self.live.begun and not self.live.expired:
            self.live.computing = True
            self.stopped.append(self.live)
        self.live = None

    def is_computed(self) -> bool:
        """Whether a cancelled run of it may still be at it."""
        return any(run.computing for run in self.stopped)

    def become(self, status: TaskStatus, cause: Cause) -> None:
        """Take a status; the table of transitions has the say."""
        assert may_become(self.status, status, cause), (self.status, status, cause)
        if status is not self.status and cause is not Cause.loss:
            self.resting = False
        self.status = status
        if status in UNACTIONED_BY:
            self.weights.clear()


@dataclass
class ModelRun:
    """An attempt."""

    task: Model
    run: FlowRun
    begun: bool = False
    expired: bool = False
    # after its lease had run out, so that it may be heard of again
    lost: bool = False
    # cancelled, but it has not said that it has stopped
    computing: bool = False

    def is_live(self) -> bool:
        return self.task.live is self

    def regainable(self, every: "list[ModelRun]", *, unwanted_too: bool) -> bool:
        """Whether the loss is taken back when its run is heard of again."""
        newer = [run for run in every if run.task is self.task and run.run.attempt.n > self.run.attempt.n]
        return (
            self.lost
            and not any(run.begun for run in newer)
            and self.task.status in (TaskStatus.waiting, TaskStatus.error)
            and (unwanted_too or bool(self.task.weights))
        )

    def regain(self) -> None:
        self.lost = self.expired = False
        self.task.become(TaskStatus.running, Cause.regain)
        self.task.live, self.task.losses = self, max(self.task.losses - 1, 0)
