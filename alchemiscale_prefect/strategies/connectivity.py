"""ConnectivityStrategy: well connected ChemicalSystems first."""

from typing import Self

from pydantic import Field, model_validator

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from alchemiscale_prefect.strategies.base import Results, Strategy, StrategyResult, StrategySettings
from alchemiscale_prefect.strategies.edges import edges_of, graph_of


class ConnectivityStrategySettings(StrategySettings):
    """Settings of :class:`ConnectivityStrategy`; one of `cutoff` and `max_runs` is needed, or it would never end."""

    decay_rate: float = Field(
        default=0.5, gt=0, lt=1, description="What a weight is multiplied by for each result that there is."
    )
    cutoff: float | None = Field(default=None, gt=0, description="A Transformation below this weight is finished.")
    max_runs: int | None = Field(default=None, ge=1, description="One with so many results is finished.")

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.cutoff is None and self.max_runs is None:
            raise ValueError("at least one of `max_runs` and `cutoff` must be set")
        return self


class ConnectivityStrategy(Strategy):
    """Transformations between well connected ChemicalSystems first, each the less the more results it has.

    ::

        weight = decay_rate^n  (degree(A) + degree(B)) / 2

    with n the number of results, and the degrees of both ChemicalSystems in the network: parallel Transformations count
    each, a NonTransformation twice. Weights have the unit of a degree. ``None`` from `max_runs` results on, or below
    `cutoff`.

    Settings and formula are those of stratocaster's Strategy of this name (OpenFreeEnergy/stratocaster); there, of
    parallel Transformations one alone has a weight.
    """

    _settings_cls = ConnectivityStrategySettings

    @classmethod
    def _default_settings(cls) -> ConnectivityStrategySettings:
        return ConnectivityStrategySettings(max_runs=3)

    def _propose(self, alchemical_network: AlchemicalNetwork, protocol_results: Results) -> StrategyResult:
        settings: ConnectivityStrategySettings = self.settings
        edges = edges_of(alchemical_network, protocol_results)
        degree = dict(graph_of(alchemical_network, edges).degree())
        weights: dict[str, float | None] = {}
        for edge in edges:
            n = edge.summary.n
            weight = settings.decay_rate**n * (degree[edge.start] + degree[edge.end]) / 2
            enough = settings.max_runs is not None and n >= settings.max_runs
            faint = settings.cutoff is not None and weight < settings.cutoff
            weights[edge.key] = None if enough or faint else weight
        return StrategyResult(weights)
