"""MappingScoreStrategy: Transformations with good mappings first."""

import math
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from alchemiscale_prefect.strategies.base import Results, Strategy, StrategyResult, StrategySettings
from alchemiscale_prefect.strategies.edges import edges_of


class MappingScoreStrategySettings(StrategySettings):
    """Settings of :class:`MappingScoreStrategy`."""

    annotation: str = Field(default="score", description="Name of the annotation that holds a mapping's score.")
    default_score: float = Field(
        default=0.5, ge=0, le=1, description="Score of a Transformation whose mapping has none; 0 for never."
    )
    decay_rate: float = Field(
        default=0.5, gt=0, lt=1, description="What a weight is multiplied by for each result that there is."
    )
    max_runs: int = Field(default=3, ge=1, description="A Transformation with so many results is finished.")


class MappingScoreStrategy(Strategy):
    """Transformations with the best atom mappings first, each the less the more results it has.

    ::

        weight = decay_rate^n  score

    with n the number of results. The score is the annotation of the mapping that planners of networks write: between 0,
    nothing in common, and 1, nothing changes, as openfe's scorers have it and Lomap's (Liu et al. 2013,
    doi 10.1007/s10822-013-9678-y). Of several mappings the worst
    counts; a score outside of 0 to 1, or none, counts as `default_score`, and so do those of gufe 0.4, whose mappings
    have no annotations. Weights have no unit. ``None`` from `max_runs` results on, and for a score of 0.
    """

    _settings_cls = MappingScoreStrategySettings

    def _propose(self, alchemical_network: AlchemicalNetwork, protocol_results: Results) -> StrategyResult:
        settings: MappingScoreStrategySettings = self.settings
        weights: dict[str, float | None] = {}
        for edge in edges_of(alchemical_network, protocol_results):
            score = self._score(getattr(edge.transformation, "mapping", None))
            enough = edge.summary.n >= settings.max_runs or score == 0
            weights[edge.key] = None if enough else settings.decay_rate**edge.summary.n * score
        return StrategyResult(weights)

    def _score(self, mapping: Any) -> float:
        if isinstance(mapping, Mapping):
            mappings = list(mapping.values())
        else:
            mappings = list(mapping) if isinstance(mapping, list | tuple) else [mapping]
        scores = [score for each in mappings if (score := self._annotated(each)) is not None]
        return min(scores, default=float(self.settings.default_score))

    def _annotated(self, mapping: Any) -> float | None:
        annotations = getattr(mapping, "annotations", None)
        score = annotations.get(self.settings.annotation) if isinstance(annotations, Mapping) else None
        if isinstance(score, bool) or not isinstance(score, int | float):
            return None
        return float(score) if math.isfinite(score) and 0 <= score <= 1 else None
