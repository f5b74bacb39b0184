"""StackedStrategy: several Strategies on one network, each with a vote."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, GufeTokenizable
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.scaling import Weight, normalized
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


class Confidence(StrategySettings):
    """How much a Strategy's vote counts as results come."""

    kind: Literal["growing", "fading"] = Field(description="growing: from 0 to 1; fading: from 1 to 0.")
    half: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="At so many results for each Transformation it is a half."
    )

    def at(self, results_per_transformation: float) -> float:
        """Between 0 and 1: ``2^(-n / half)`` if it is fading, what is missing from 1 if it is growing."""
        fading = float(2.0 ** (-results_per_transformation / self.half))
        return fading if self.kind == "fading" else 1.0 - fading


class StackedStrategySettings(StrategySettings):
    """Settings of :class:`StackedStrategy`."""

    combine: Literal["sum", "max", "product", "schedule"] = Field(
        default="sum", description="How several weights of a Transformation become one."
    )
    votes: list[float] | None = Field(
        default=None, description="How much each Strategy counts, in their order; None for the same."
    )
    confidences: list[Confidence | None] | None = Field(
        default=None, description="How each one's vote grows or fades, in their order; None for always the same."
    )

    @model_validator(mode="after")
    def _positive(self) -> Self:
        votes = self.votes or []
        if any(not (math.isfinite(vote) and vote >= 0) for vote in votes) or (votes and not any(votes)):
            raise ValueError("`votes` must be finite numbers of at least 0, one of them above")
        return self


@dataclass(frozen=True)
class _Voter:
    vote: float
    weights: dict[str, Weight]
    proposed: Any

    @property
    def is_finished(self) -> bool:
        return all(weight is None for weight in self.weights.values())


class StackedStrategy(Strategy):
    """What several Strategies propose together.

    Each one's weights w_i are divided by its largest. Its vote v_i is the one it was given times its confidence, which
    grows or fades with the number of results for each Transformation, the network's mean. For each Transformation ::

        sum       sum of v_i w_i / sum of v_i
        max       largest v_i w_i
        product   product of w_i ^ (v_i / sum of v_i)
        schedule  w_i of the one with the largest v_i of those that are not finished; of equal ones the first

    Weights have no unit. ``None`` if all that vote on the Transformation say ``None``; otherwise a ``None`` counts as 0
    in the sum, and not at all in the product. Where every product is 0 although somebody wants something, the sum is
    taken: nothing would ever go on otherwise. A Strategy whose vote is 0 now does not vote, unless that is so of all:
    then confidences are left aside. One without a weight for a Transformation does not vote on it. Of the numbers of
    Tasks that those who are not finished allow the network in all (`StrategyResult.max_tasks`, and `budget`) the
    smallest counts.

    Sum and product are the linear and the logarithmic pool of opinions (Genest and Zidek 1986,
    doi 10.1214/ss/1177013825); stacks are of alchemiscale's roadmap, confidences this project's own.

    Parameters
    ----------
    strategies
        Two or more: anything with ``propose``.

    Raises
    ------
    InvalidInput
        Fewer than two, or not as many votes or confidences.
    """

    _settings_cls = StackedStrategySettings

    def __init__(self, settings: StackedStrategySettings, strategies: Sequence[Any]) -> None:
        self._strategies = list(strategies)
        if len(self._strategies) < 2:
            raise InvalidInput("`strategies` must be two or more", field="strategies")
        for number, strategy in enumerate(self._strategies):
            check_strategy(strategy, f"strategies[{number}]")
        super().__init__(settings)
        for name in ("votes", "confidences"):
            given = getattr(settings, name)
            if given is not None and len(given) != len(self._strategies):
                raise InvalidInput(
                    f"`{name}` must have an entry for each of the {len(self._strategies)} Strategies, not {len(given)}",
                    field=name,
                )

    @property
    def strategies(self) -> list[GufeTokenizable]:
        """In their order."""
        return list(self._strategies)

    def _to_dict(self) -> dict[str, Any]:
        return {"settings": self._settings, "strategies": self._strategies}

    def _propose(self, alchemical_network: AlchemicalNetwork, protocol_results: Results) -> StrategyResult:
        edges = edges_of(alchemical_network, protocol_results)
        votes = self._votes(sum(edge.summary.n for edge in edges) / max(len(edges), 1))
        voters = []
        for vote, strategy in zip(votes, self._strategies, strict=True):
            if vote > 0:
                proposed = strategy.propose(alchemical_network, protocol_results)
                voters.append(_Voter(vote, normalized(proposed_weights(proposed)), proposed))
        if self.settings.combine == "schedule":
            going_on = [voter for voter in voters if not voter.is_finished]
            voters = [max(going_on or voters, key=lambda voter: voter.vote)]
        keys = sorted({key for voter in voters for key in voter.weights})
        limits = least_limits(voter.proposed for voter in voters if not voter.is_finished)
        weights = {key: _combined(key, voters, self.settings.combine) for key in keys}
        if not any(weights.values()) and any(any(voter.weights.values()) for voter in voters):
            weights = {key: _combined(key, voters, "sum") for key in keys}
        return StrategyResult(weights, **limits)

    def _votes(self, results_per_transformation: float) -> list[float]:
        settings: StackedStrategySettings = self.settings
        given = settings.votes or [1.0] * len(self._strategies)
        confidences = settings.confidences or [None] * len(given)
        votes = [
            vote * (1.0 if confidence is None else confidence.at(results_per_transformation))
            for vote, confidence in zip(given, confidences, strict=True)
        ]
        return votes if any(votes) else given


def _combined(key: str, voters: Sequence[_Voter], combine: str) -> Weight:
    on_it = [voter for voter in voters if key in voter.weights]
    said = [(voter.vote, weight) for voter in on_it if (weight := voter.weights[key]) is not None]
    if not said:
        return None
    if combine == "product":
        total = math.fsum(vote for vote, _ in said)
        return float(math.prod(weight ** (vote / total) for vote, weight in said))
    if combine == "max":
        return max(vote * weight for vote, weight in said)
    return math.fsum(vote * weight for vote, weight in said) / math.fsum(voter.vote for voter in on_it)
