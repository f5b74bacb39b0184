"""BudgetStrategy: another Strategy, within limits for the whole network."""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import Field, model_validator

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, GufeTokenizable
from alchemiscale_prefect.chemistry.summaries import other_attempts
from alchemiscale_prefect.domain.result_summaries import OtherAttempts, ResultSummary
from alchemiscale_prefect.domain.scaling import Weight, whole
from alchemiscale_prefect.strategies.base import (
    Results,
    Strategy,
    StrategyResult,
    StrategySettings,
    check_strategy,
    least_limits,
    proposed_weights,
)
from alchemiscale_prefect.strategies.edges import edges_of


class BudgetStrategySettings(StrategySettings):
    """Settings of :class:`BudgetStrategy`; one of `max_tasks` and `max_gpu_hours` is needed."""

    max_tasks: int | None = Field(default=None, ge=1, description="So many Tasks in all, and no more.")
    max_gpu_hours: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="So many GPU-hours in all, and no more."
    )
    gpu_hours_per_task: float = Field(
        default=1.0,
        gt=0,
        allow_inf_nan=False,
        description="What a Task is taken to need until results say it; rather too much than too little.",
    )

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.max_tasks is None and self.max_gpu_hours is None:
            raise ValueError("at least one of `max_tasks` and `max_gpu_hours` must be set")
        return self


class BudgetStrategy(Strategy):
    """What another Strategy proposes, until the network has had its Tasks or GPU-hours.

    ::

        limit = min(max_tasks, n + floor((max_gpu_hours - n h - x) / H))

    with n the results that the network has, h the mean GPU-hours of those that say how long they took, x the GPU-hours
    of all attempts that ended without one (failed, lost, cancelled), and H those of the Transformation whose results
    took the longest, or of the attempt that has run for longer; h and H are `gpu_hours_per_task` before any result says
    so. So hours are kept for each Task that waits, runs or may run again as if it were one of the slowest known; what
    takes longer still than that is not foreseen, and no Task is stopped for it. Below the limit the weights are the
    other Strategy's (in its unit), of as many Transformations as there are Tasks left, the heaviest; 0 for the others.
    At the limit ``None`` for all.

    The limit is `StrategyResult.budget`: our service counts Tasks that wait, run or failed too and never goes above it.
    A failed Task keeps its place, as it may be set waiting again, until it is set invalid or deleted. What others make
    of the network's Tasks beyond it, they make. x is known where the results come with it, as our service gives them
    (`chemistry.summaries.NetworkResults`), and 0 elsewhere. The rule is this project's own.

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
        limit = self._limit(summaries, done, other_attempts(protocol_results))
        proposed = self._strategy.propose(alchemical_network, protocol_results)
        weights = proposed_weights(proposed)
        if done >= limit:
            return StrategyResult(dict.fromkeys(weights))
        mine = StrategyResult({}, budget=limit)
        return StrategyResult(_heaviest(weights, limit - done), **least_limits([proposed, mine]))

    def _limit(self, summaries: Sequence[ResultSummary], done: int, others: OtherAttempts) -> int:
        settings: BudgetStrategySettings = self.settings
        limits = [] if settings.max_tasks is None else [settings.max_tasks]
        if settings.max_gpu_hours is not None:
            timed = sum(summary.n_timed for summary in summaries)
            hours = sum(summary.seconds for summary in summaries) / 3600
            mean = hours / timed if timed else settings.gpu_hours_per_task
            slowest = max(summary.seconds_per_result or 0.0 for summary in summaries) / 3600 if timed else mean
            # what takes no time at all is counted as what nobody has run yet
            slowest = max(slowest or settings.gpu_hours_per_task, others.longest_running / 3600)
            left = settings.max_gpu_hours - done * mean - others.seconds / 3600
            limits.append(done + max(0, whole(left / slowest)))
        return min(limits)


def _heaviest(weights: dict[str, Weight], most: int) -> dict[str, Weight]:
    """The weights of as many Transformations, 0 for others that have one; equal ones in the order of their keys."""
    order = sorted((key for key, weight in weights.items() if weight), key=lambda key: (-(weights[key] or 0.0), key))
    kept = set(order[:most])
    return {key: weight if weight is None or key in kept else 0.0 for key, weight in weights.items()}
