"""Bodies about Strategies."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.proposals import Change, Decision
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.strategies import (
    DEFAULT_MAX_TASKS,
    DEFAULT_SLEEP_INTERVAL,
    MAX_SETTING,
    StrategyMode,
    StrategyState,
    StrategyStatus,
    StrategyTaskScaling,
    StrategyWeighting,
)
from alchemiscale_prefect.wire.fields import ScopedKeyText

Setting = Annotated[int, Field(ge=1, le=MAX_SETTING)]


class SetStrategy(BaseModel):
    """``POST /networks/{network}/strategy``. `strategy` is a keyed chain, or ``None`` to remove the network's."""

    strategy: list[Any] | None
    max_tasks_per_transformation: Setting = DEFAULT_MAX_TASKS
    task_scaling: StrategyTaskScaling = StrategyTaskScaling.exponential
    mode: StrategyMode = StrategyMode.partial
    sleep_interval: Setting = DEFAULT_SLEEP_INTERVAL
    # ours; alchemiscale's own is `share`
    weighting: StrategyWeighting = StrategyWeighting.relative
    # ours: without it the chain itself tells the major line
    gufe_version: str | None = Field(default=None, max_length=64)


class ProposedChange(BaseModel):
    """What an iteration of a Strategy has done about a Transformation, and why.

    Attributes
    ----------
    weight
        Between 0 and 1, as it was scaled; ``None`` if the Strategy wants no more of it.
    target, held
        How many of its Tasks were to wait or run for the network, and how many did.
    decision, reason
        Why, for programs and in words. A newer server may have decisions that are not known here.
    created, actioned, cancelled
        Tasks that were made and actioned, that were there and were actioned, that were taken off the network.
    errored
        Tasks of it that have failed.
    """

    # an older client reads what a newer server sends
    model_config = ConfigDict(frozen=True, extra="ignore")

    transformation: ScopedKeyText
    weight: float | None
    target: int
    held: int
    decision: Annotated[Decision | str, Field(union_mode="left_to_right")]
    reason: str
    created: tuple[ScopedKeyText, ...] = ()
    actioned: tuple[ScopedKeyText, ...] = ()
    cancelled: tuple[ScopedKeyText, ...] = ()
    errored: tuple[ScopedKeyText, ...] = ()

    @classmethod
    def of(cls, change: Change, scope: Scope, created: Sequence[ScopedKey]) -> Self:
        """Of a change in a network of this scope that has been carried out."""
        actioned, cancelled, errored = (
            tuple(ScopedKey.of(key, scope) for key in keys) for keys in (change.action, change.cancel, change.errored)
        )
        return cls(
            transformation=ScopedKey.of(change.transformation, scope),
            weight=change.weight,
            target=change.target,
            held=change.held,
            decision=change.decision,
            reason=change.reason,
            created=tuple(created),
            actioned=actioned,
            cancelled=cancelled,
            errored=errored,
        )


class StrategyProposal(BaseModel):
    """``GET /networks/{network}/strategy/proposal``: what the last iteration of a Strategy has done.

    Attributes
    ----------
    iteration
        Its number, from 1.
    performed_at
        When.
    status
        Of the Strategy after it.
    result_count
        How many ok results it went by.
    exception
        Class and message, if it failed; then nothing was done.
    changes
        One for each Transformation that the Strategy gave a weight, in the order of their keys.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    network: ScopedKeyText
    iteration: int
    performed_at: datetime
    status: StrategyStatus
    result_count: int
    exception: tuple[str, str] | None = None
    changes: tuple[ProposedChange, ...] = ()

    @classmethod
    def of(cls, network: ScopedKey, state: StrategyState, changes: Sequence[ProposedChange]) -> Self:
        """Of a Strategy that is in this state after it."""
        return cls(
            network=network,
            iteration=state.iterations,
            performed_at=state.last_iteration,  # it has just been performed
            status=state.status,
            result_count=state.last_iteration_result_count,
            exception=state.exception,
            changes=tuple(changes),
        )

    @property
    def summary(self) -> str:
        """What was done, in a line."""
        if self.exception is not None:
            return f"failed: {self.exception[0]}: {self.exception[1]}"
        created, actioned, cancelled = (
            sum(len(getattr(change, name)) for change in self.changes) for name in ("created", "actioned", "cancelled")
        )
        skipped = sum(change.decision is Decision.errored for change in self.changes)
        told = f"{self.status}; created {created}, actioned {actioned}, cancelled {cancelled}"
        return f"{told}; {skipped} skipped, Tasks of them failed" if skipped else told
