"""BudgetStrategy: another Strategy, within limits for the whole network."""

import math
from typing import Any, Self

from pydantic import Field, model_validator

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, GufeTokenizable
from alchemiscale_prefect.domain.scaling import Weight
from alchemiscale_prefect.strategies.base import (
    Results,
    Strategy,
    StrategyResult,
    StrategySettings,
    check_strategy,
    proposed_weights,
)
from alchemiscale_prefect.strategies.edges import edges_of


class BudgetStrategySettings(StrategySettings):
    """Settings of :class:`BudgetStrategy`; one of `max_tasks` and `max_gpu_hours` is needed."""

    max_tasks: int | None = Field(default=None, ge=1, description="So many Tasks in all, and no more.")
    max_gpu_hours: float | None = Field(default=None, gt=0, description="So many GPU-hours in all, and no more.")
    gpu_hours_per_task: float = Field(
        default=1.0, gt=0, description="What a Task is taken to need until results say how long they took."
    )

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.max_tasks is None and self.max_gpu_hours is None:
            raise ValueError("at least one of `max_tasks` and `max_gpu_hours` must be set")
        return self


class BudgetStrategy(Strategy):
    """What another Strategy proposes, until the network has had its Tasks or GPU-hours.

    ::

        limit = min(max_tasks, n + floor((max_gpu_hours - n h) / h))

    with n the results that the network has, and h the mean GPU-hours of those that say how long they took, or
    `gpu_hours_per_task` before any does. Below the limit the weights are the other Strategy's (in its unit), of as many
    Transformations as there are Tasks left, the heaviest; 0 for the others. At the limit ``None`` for all.

    The limit is `StrategyResult.max_tasks`: our service counts Tasks that wait and run too and never goes above it.
    Failed Tasks have no results and so take nothing from it; nor does what they cost.

    Parameters
    ----------
    strategy
        The other one: anything with ``propose``.
    """

    _settings_cls = BudgetStrategySettings

    def __init__(self, settings: BudgetStrategySettings, strategy: Any) -> None:
        check_strategy(strategy, "strategy")
        self._strategy = strategy
        super().__init__(settings)

    @property
    def strategy(self) -> GufeTokenizable:
        """The other one."""
        return self._strategy

    def _to_dict(self) -> dict[str, Any]:
        return {"settings": self._settings, "strategy": self._strategy}

    @classmethod
    def _default_settings(cls) -> BudgetStrategySettings:
        return BudgetStrategySettings(max_tasks=100)

    def _propose(self, alchemical_network: AlchemicalNetwork, protocol_results: Results) -> StrategyResult:
        summaries = [edge.summary for edge in edges_of(alchemical_network, protocol_results)]
        done = sum(summary.n for summary in summaries)
        timed = sum(summary.n_timed for summary in summaries)
        seconds = sum(summary.seconds for summary in summaries)
        limit = self._limit(done, seconds / timed / 3600 if timed else self.settings.gpu_hours_per_task)
        proposed = self._strategy.propose(alchemical_network, protocol_results)
        weights = proposed_weights(proposed)
        if done >= limit:
            return StrategyResult(dict.fromkeys(weights))
        inner = getattr(proposed, "max_tasks", None)
        return StrategyResult(_heaviest(weights, limit - done), limit if inner is None else min(limit, inner))

    def _limit(self, done: int, hours_per_task: float) -> int:
        settings: BudgetStrategySettings = self.settings
        limits = [] if settings.max_tasks is None else [settings.max_tasks]
        if settings.max_gpu_hours is not None:
            hours_left = settings.max_gpu_hours - done * hours_per_task
            limits.append(done + max(0, math.floor(hours_left / hours_per_task) if hours_per_task else 0))
        return min(limits)


def _heaviest(weights: dict[str, Weight], most: int) -> dict[str, Weight]:
    """The weights of as many Transformations, 0 for others that have one; equal ones in the order of their keys."""
    order = sorted((key for key, weight in weights.items() if weight), key=lambda key: (-(weights[key] or 0.0), key))
    kept = set(order[:most])
    return {key: weight if weight is None or key in kept else 0.0 for key, weight in weights.items()}
