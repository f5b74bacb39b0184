"""CycleClosureStrategy: Transformations of cycles that do not close."""

import math
from collections import deque
from collections.abc import Sequence

from pydantic import Field

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, NonTransformation
from alchemiscale_prefect.domain.cycles import Closure, cycle_closures
from alchemiscale_prefect.domain.cycles import Edge as Difference
from alchemiscale_prefect.strategies.base import Results, Strategy, StrategyResult, StrategySettings
from alchemiscale_prefect.strategies.edges import Edge, edges_of


class CycleClosureStrategySettings(StrategySettings):
    """Settings of :class:`CycleClosureStrategy`."""

    max_deviation: float = Field(
        default=2.0, gt=0, description="A cycle closes if its sum is within so many of its standard errors."
    )
    min_runs: int = Field(default=1, ge=1, description="Every Transformation gets so many results first.")
    max_runs: int = Field(default=10, ge=1, description="A Transformation with so many results is finished.")


class CycleClosureStrategy(Strategy):
    """Transformations of cycles whose free energies do not sum to zero within their uncertainty.

    For each Transformation the shortest cycle through it is looked at (of several the first by the keys); a
    Transformation from a ChemicalSystem to itself is one alone. With free energies x, standard errors s and signs along
    the cycle c ::

        z(c)   = |sum of +-x| / sqrt(sum of s^2)
        weight = max over cycles c through it with z(c) > max_deviation of  z(c) s / sqrt(sum of s^2)

    so that most goes to the cycle that is farthest off, and in it to what is known the worst. Weights have no unit
    (standard errors). A Transformation with fewer than `min_runs` results has the largest weight there is, or 1.
    ``None`` from `max_runs` results on; ``None`` for all others once every cycle closes, 0 while one does not. A cycle
    with a Transformation that gives no free energy or no uncertainty cannot be judged; a NonTransformation is in none.

    The criterion is the hysteresis of closed cycles: Wang et al. 2013, doi 10.1021/ct300911a.
    """

    _settings_cls = CycleClosureStrategySettings

    def _propose(self, alchemical_network: AlchemicalNetwork, protocol_results: Results) -> StrategyResult:
        settings: CycleClosureStrategySettings = self.settings
        edges = edges_of(alchemical_network, protocol_results)
        due = self._due(edges)
        missing = {edge.key for edge in edges if edge.summary.n < settings.min_runs}
        most = max(due.values(), default=1.0)
        weights: dict[str, float | None] = {}
        for edge in edges:
            if edge.summary.n >= settings.max_runs:
                weights[edge.key] = None
            elif edge.key in missing:
                weights[edge.key] = most
            else:
                weights[edge.key] = due.get(edge.key, 0.0)
        if not any(weights.values()):  # what is left to do belongs to Transformations that are finished
            weights = dict.fromkeys(weights)
        return StrategyResult(weights)

    def _due(self, edges: Sequence[Edge]) -> dict[str, float]:
        """How much is to be won at each Transformation of a cycle that does not close."""
        known = {edge.key: _difference(edge) for edge in edges if _is_known(edge)}
        around = _neighbours([edge for edge in edges if not isinstance(edge.transformation, NonTransformation)])
        due: dict[str, float] = {}
        cycles = {frozenset(_shortest_cycle(edge, around)) for edge in edges}
        for cycle in cycles:
            if not cycle or not cycle <= known.keys():
                continue
            closure = _closure([known[key] for key in sorted(cycle)])
            deviation = abs(closure.value) / closure.error if closure.error else math.inf
            if closure.value == 0 or deviation <= self.settings.max_deviation:
                continue
            for key in cycle:
                won = deviation * known[key].error / closure.error if closure.error else 1.0
                due[key] = max(due.get(key, 0.0), won)
        return due


def _is_known(edge: Edge) -> bool:
    return edge.summary.estimate is not None and edge.summary.standard_error is not None


def _difference(edge: Edge) -> Difference:
    return Difference(edge.start, edge.end, edge.summary.mean, edge.summary.standard_error or 0.0)


def _closure(differences: list[Difference]) -> Closure:
    (closure,) = cycle_closures(differences)
    return closure


def _neighbours(edges: Sequence[Edge]) -> dict[str, list[tuple[str, str]]]:
    """For each ChemicalSystem the keys of its Transformations, and where they lead."""
    around: dict[str, list[tuple[str, str]]] = {}
    for edge in edges:
        around.setdefault(edge.start, []).append((edge.key, edge.end))
        if not edge.is_loop:
            around.setdefault(edge.end, []).append((edge.key, edge.start))
    return around


def _shortest_cycle(edge: Edge, around: dict[str, list[tuple[str, str]]]) -> list[str]:
    """Keys of the Transformations of the shortest cycle through one; none if it is a bridge or no Transformation."""
    if isinstance(edge.transformation, NonTransformation):
        return []
    came_from: dict[str, tuple[str, str]] = {}
    queue = deque([edge.end])
    while queue and edge.start not in came_from and not edge.is_loop:
        here = queue.popleft()
        for key, there in around[here]:
            if key != edge.key and there != edge.end and there not in came_from:
                came_from[there] = (key, here)
                queue.append(there)
    if edge.is_loop:
        return [edge.key]
    if edge.start not in came_from:
        return []
    cycle, here = [edge.key], edge.start
    while here != edge.end:
        key, here = came_from[here]
        cycle.append(key)
    return cycle
