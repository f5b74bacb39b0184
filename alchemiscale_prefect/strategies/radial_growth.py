"""RadialGrowthStrategy: from the middle of the network outwards."""

from functools import reduce
from operator import or_

import networkx as nx
from pydantic import Field

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from alchemiscale_prefect.strategies.base import Results, Strategy, StrategyResult, StrategySettings
from alchemiscale_prefect.strategies.edges import Edge, edges_of, graph_of


class RadialGrowthStrategySettings(StrategySettings):
    """Settings of :class:`RadialGrowthStrategy`."""

    max_runs: int = Field(default=3, ge=1, description="A Transformation with so many results is finished.")
    candidacy_max_distance: int = Field(
        default=1, ge=1, description="How far from what is complete a Transformation may be to get Tasks now."
    )
    decay_repeat_rate: float = Field(
        default=0.5, gt=0, lt=1, description="What a weight is multiplied by for each result that there is."
    )
    decay_distance_rate: float = Field(
        default=0.5, gt=0, lt=1, description="What a weight is multiplied by for each step from what is complete."
    )


class RadialGrowthStrategy(Strategy):
    """Transformations near the middle of the network first, then outwards.

    How far out a ChemicalSystem is its eccentricity says: the number of Transformations to the one farthest from it.
    With n results, the larger eccentricity u of a Transformation's two ChemicalSystems, and L the eccentricity up to
    which every Transformation has a result ::

        d      = u - L
        weight = decay_repeat_rate^n  f(d)
        f(d)   = 1                            if d = 0
                 decay_distance_rate^(d - 1)  if d <= candidacy_max_distance
                 0                            if it is farther out

    L is the smallest eccentricity that belongs to a Transformation without results, or the largest of all if there is
    none such. Weights have no unit. ``None`` from `max_runs` results on. Each component of the network grows by itself.
    It waits for what is missing: while a Transformation fails again and again nothing grows beyond it, so see to it.

    Settings and formula are those of stratocaster's Strategy of this name (OpenFreeEnergy/stratocaster); there L
    depends on the order in which Transformations happen to come, and of parallel ones one alone has a weight.
    """

    _settings_cls = RadialGrowthStrategySettings

    def _propose(self, alchemical_network: AlchemicalNetwork, protocol_results: Results) -> StrategyResult:
        edges = edges_of(alchemical_network, protocol_results)
        graph = graph_of(alchemical_network, edges)
        weights: dict[str, float | None] = {}
        for nodes in nx.connected_components(graph):
            around = {node: list(graph[node]) for node in nodes}
            weights |= self._component([edge for edge in edges if edge.start in nodes], eccentricities(around))
        return StrategyResult(weights)

    def _component(self, edges: list[Edge], eccentricity: dict[str, int]) -> dict[str, float | None]:
        settings: RadialGrowthStrategySettings = self.settings
        missing = (min(eccentricity[edge.start], eccentricity[edge.end]) for edge in edges if not edge.summary.n)
        complete = min(missing, default=max(eccentricity.values()))
        weights: dict[str, float | None] = {}
        for edge in edges:
            if edge.summary.n >= settings.max_runs:
                weights[edge.key] = None
                continue
            distance = max(eccentricity[edge.start], eccentricity[edge.end]) - complete
            weights[edge.key] = settings.decay_repeat_rate**edge.summary.n * self._factor(distance)
        return weights

    def _factor(self, distance: int) -> float:
        settings: RadialGrowthStrategySettings = self.settings
        if distance > settings.candidacy_max_distance:
            return 0.0
        if distance == 0:
            return 1.0
        return float(settings.decay_distance_rate ** (distance - 1))


def eccentricities(around: dict[str, list[str]]) -> dict[str, int]:
    """Of every node of a connected graph, all at once: within which distance of it all are.

    Parameters
    ----------
    around
        The neighbours of each node.
    """
    # a bit for each node: a step farther is what the neighbours reach
    reached = {node: 1 << number for number, node in enumerate(around)}
    everything = (1 << len(around)) - 1
    found: dict[str, int] = {}
    distance = 0
    while True:
        found |= {node: distance for node, bits in reached.items() if node not in found and bits == everything}
        if len(found) == len(around):
            return found
        reached = {
            node: bits if node in found else reduce(or_, (reached[there] for there in around[node]), bits)
            for node, bits in reached.items()
        }
        distance += 1
