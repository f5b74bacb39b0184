"""Attempts: each execution of a Task, its states, and who may write for it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class AttemptState(StrEnum):
    """Where an execution of a Task stands.

    ``dispatched`` (a row is committed, a flow run is asked for) → ``running`` (the flow run took the lease) →
    ``complete`` or ``error`` (it finished) or ``cancelled`` (nobody wants it) or ``lost`` (its worker vanished).
    ``refused``: its host may not run it, so that the Task waits for another.
    """

    dispatched = "dispatched"
    running = "running"
    complete = "complete"
    error = "error"
    cancelled = "cancelled"
    lost = "lost"
    refused = "refused"


LIVE = (AttemptState.dispatched, AttemptState.running)


class AttemptOutcome(StrEnum):
    """How an attempt ended, in alchemiscale's words; ``cancelled`` and ``refused`` are ours."""

    complete = "complete"
    error = "error"
    expired = "expired"
    released = "released"
    cancelled = "cancelled"
    refused = "refused"


def outcome_of(
    state: AttemptState, lease_expires_at: datetime | None, ended_at: datetime | None
) -> AttemptOutcome | None:
    """How an attempt ended; ``None`` if it has not.

    One that was lost while it held its lease gave that back; the others' worker vanished, or never came.
    """
    if state in LIVE:
        return None
    if state is not AttemptState.lost:
        return AttemptOutcome(state.value)
    held = lease_expires_at is not None and ended_at is not None and ended_at < lease_expires_at
    return AttemptOutcome.released if held else AttemptOutcome.expired


@dataclass(frozen=True, slots=True)
class AttemptId:
    """The n-th execution of a Task. `n` counts from 1."""

    task: str
    n: int


@dataclass(frozen=True, slots=True)
class Launch:
    """What the dispatcher asks the orchestrator to start.

    Attributes
    ----------
    attempt
        Which execution of which Task (`ScopedKey` as a string).
    tags
        What a person filters by in the Prefect UI: network, transformation, scope.
    claimed_at
        When the attempt was written down, by the database's clock; ``None`` where that does not matter.
    """

    attempt: AttemptId
    tags: tuple[str, ...]
    claimed_at: datetime | None = None

    @property
    def idempotency_key(self) -> str:
        """Asking Prefect twice with this key makes one flow run.

        The number is in it because a key whose run was cancelled would give that old run back; the time, because
        numbers come again when the database is restored from a backup, and Prefect has the old runs still.
        """
        key = f"{self.attempt.task}:{self.attempt.n}"
        return key if self.claimed_at is None else f"{key}:{self.claimed_at.isoformat()}"


@dataclass(frozen=True, slots=True)
class Launched:
    """The answer for one `Launch`: a flow run, or why there is none."""

    attempt: AttemptId
    flow_run_id: UUID | None
    error: str | None = None


class RunState(StrEnum):
    """What the orchestrator says of a flow run. A signal only: that nothing runs is proved by the lease alone."""

    scheduled = "scheduled"
    pending = "pending"
    running = "running"
    cancelling = "cancelling"
    ended = "ended"
    missing = "missing"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the orchestrator has room for in the work pool of the attempts.

    Attributes
    ----------
    slots
        How many of them may run at once: the limits of the pool and of its queue, less what others run there. ``None``
        without a limit.
    paused
        Whether nothing is started there at all.
    workers_online
        Whether one that takes flow runs from it was heard of lately; ``None`` if that is not known.
    """

    slots: int | None = None
    paused: bool = False
    workers_online: bool | None = None


class Fate(StrEnum):
    """How a flow run ended.

    ``failed``: its ProtocolUnits did. ``cancelled``: somebody cancelled it. ``lost``: what it ran on gave way.
    ``preempted``: its place was wanted for others, which is no sign of anything wrong.
    """

    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"
    lost = "lost"
    preempted = "preempted"
    never_started = "never_started"


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a flow run ended, with what the orchestrator says of it."""

    fate: Fate
    reason: str


class Launcher(Protocol):
    """Starts and cancels the flow runs of attempts."""

    def launch(self, launches: Sequence[Launch]) -> tuple[Launched, ...]:
        """Ask for one flow run per launch, with its idempotency key; one answer per launch, in order."""
        ...

    def cancel(self, flow_run_ids: Collection[UUID]) -> frozenset[UUID]:
        """Have flow runs stopped; those that will stop, have ended or are unknown. The others are to be asked again."""
        ...

    def states(self, flow_run_ids: Collection[UUID]) -> Mapping[UUID, RunState]:
        """The state of each flow run asked for."""
        ...

    def ends(self, flow_run_ids: Collection[UUID]) -> Mapping[UUID, RunEnd]:
        """How those of the flow runs ended that have ended; one that is not known is left out."""
        ...

    def capacity(self) -> Capacity:
        """What there is room for, as of a few seconds ago at most."""
        ...
