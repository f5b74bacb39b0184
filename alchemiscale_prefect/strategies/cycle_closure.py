"""CycleClosureStrategy: Transformations of cycles that do not close."""

import math
from collections import deque
from collections.abc import Iterator, Sequence, Set
from typing import Self

from pydantic import Field, model_validator

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, NonTransformation
from alchemiscale_prefect.domain.cycles import Closure, cycle_closures
from alchemiscale_prefect.domain.cycles import Edge as Difference
from alchemiscale_prefect.domain.result_summaries import ResultSummary
from alchemiscale_prefect.strategies.base import Results, Strategy, StrategyResult, StrategySettings, check_runs
from alchemiscale_prefect.strategies.edges import Edge, edges_of


class CycleClosureStrategySettings(StrategySettings):
    """Settings of :class:`CycleClosureStrategy`."""

    max_deviation: float = Field(
        default=2.0,
        gt=0,
        allow_inf_nan=False,
        description="A cycle closes if its sum is within so many of its standard errors.",
    )
    min_runs: int = Field(default=1, ge=1, description="Every Transformation gets so many results first.")
    max_runs: int = Field(default=10, ge=1, description="A Transformation with so many results is finished.")

    @model_validator(mode="after")
    def _can_be_had(self) -> Self:
        check_runs(self.min_runs, self.max_runs)
        return self


class CycleClosureStrategy(Strategy):
    """Transformations of cycles whose free energies do not sum to zero within their uncertainty.

    The shortest cycle through each Transformation is looked at (of several the first by the keys; of parallel ones also
    the shortest through other ChemicalSystems), and as many longer ones as it takes that every cycle is a combination
    of these. A Transformation from a ChemicalSystem to itself is one alone. With free energies x, standard errors s and
    signs along the cycle c ::

        z(c)   = |sum of +-x| / sqrt(sum of s^2)
        weight = max over cycles c through it with z(c) > max_deviation of  z(c) s / sqrt(sum of s^2)

    so that most goes to the cycle that is farthest off, and in it to what is known the worst. Weights have no unit
    (standard errors). A Transformation with fewer than `min_runs` results has the largest weight there is, or 1; so has
    one of a cycle whose single result states no uncertainty, or zero.
    ``None`` from `max_runs` results on; ``None`` for all others once every cycle closes, 0 while one does not. A cycle
    with a Transformation that gives no free energy cannot be judged; a NonTransformation is in none.

    The criterion is the hysteresis of closed cycles: Wang et al. 2013, doi 10.1021/ct300911a.
    """

    _settings_cls = CycleClosureStrategySettings

    def _propose(self, alchemical_network: AlchemicalNetwork, protocol_results: Results) -> StrategyResult:
        settings: CycleClosureStrategySettings = self.settings
        edges = edges_of(alchemical_network, protocol_results)
        cycles = _cycles([edge for edge in edges if not isinstance(edge.transformation, NonTransformation)])
        due = self._due(edges, cycles)
        to_judge = frozenset().union(*cycles)
        missing = {edge.key for edge in edges if edge.summary.n < settings.min_runs}
        missing |= {edge.key for edge in edges if edge.key in to_judge and _is_unsure(edge.summary)}
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

    def _due(self, edges: Sequence[Edge], cycles: Set[frozenset[str]]) -> dict[str, float]:
        """How much is to be won at each Transformation of a cycle that does not close."""
        known = {edge.key: _difference(edge) for edge in edges if edge.summary.standard_error is not None}
        due: dict[str, float] = {}
        for cycle in cycles:
            if not cycle <= known.keys():
                continue
            closure = _closure([known[key] for key in sorted(cycle)])
            deviation = abs(closure.value) / closure.error if closure.error else math.inf
            if closure.value == 0 or deviation <= self.settings.max_deviation:
                continue
            for key in cycle:
                won = deviation * known[key].error / closure.error if closure.error else 1.0
                due[key] = max(due.get(key, 0.0), won)
        return due


def _is_unsure(summary: ResultSummary) -> bool:
    """Whether it has a free energy whose uncertainty another result would show."""
    return summary.estimate is not None and summary.standard_error is None


def _difference(edge: Edge) -> Difference:
    return Difference(edge.start, edge.end, edge.summary.mean, edge.summary.standard_error or 0.0)


def _closure(differences: list[Difference]) -> Closure:
    (closure,) = cycle_closures(differences)
    return closure


def _cycles(edges: Sequence[Edge]) -> set[frozenset[str]]:
    """Cycles of which all are combinations, each as the keys of its Transformations."""
    around = _neighbours(edges)
    found = {frozenset(_shortest_cycle(edge, around)) for edge in edges}
    parallel = {key for cycle in found if len(cycle) == 2 for key in cycle}
    found |= {frozenset(_shortest_cycle(edge, around, direct=False)) for edge in edges if edge.key in parallel}
    found.discard(frozenset())
    # cycles are vectors of zeros and ones: a longer one is needed if it is no sum of others
    bit = {edge.key: 1 << number for number, edge in enumerate(edges)}
    pivots: dict[int, int] = {}
    for cycle in found:
        _is_new(sum(bit[key] for key in cycle), pivots)
    longer = sorted(_tree_cycles(edges, around), key=lambda cycle: (len(cycle), cycle))
    return found | {frozenset(cycle) for cycle in longer if _is_new(sum(bit[key] for key in cycle), pivots)}


def _is_new(vector: int, pivots: dict[int, int]) -> bool:
    """Whether it is no sum of those before, modulo 2, by Gauss's elimination; then it is one of `pivots` too."""
    while vector:
        first = vector.bit_length()
        if first not in pivots:
            pivots[first] = vector
            return True
        vector ^= pivots[first]
    return False


def _neighbours(edges: Sequence[Edge]) -> dict[str, list[tuple[str, str]]]:
    """For each ChemicalSystem the keys of its Transformations, and where they lead."""
    around: dict[str, list[tuple[str, str]]] = {}
    for edge in edges:
        around.setdefault(edge.start, []).append((edge.key, edge.end))
        if not edge.is_loop:
            around.setdefault(edge.end, []).append((edge.key, edge.start))
    return around


def _shortest_cycle(edge: Edge, around: dict[str, list[tuple[str, str]]], *, direct: bool = True) -> list[str]:
    """Keys of the Transformations of the shortest cycle through one, none if there is no such.

    Parameters
    ----------
    direct
        Whether it may lead back by a parallel Transformation.
    """
    came_from: dict[str, tuple[str, str]] = {}
    queue = deque([edge.end])
    while queue and edge.start not in came_from and not edge.is_loop:
        here = queue.popleft()
        for key, there in around[here]:
            back = here == edge.end and there == edge.start
            if key != edge.key and there != edge.end and there not in came_from and (direct or not back):
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


def _tree_cycles(edges: Sequence[Edge], around: dict[str, list[tuple[str, str]]]) -> Iterator[list[str]]:
    """Keys of the Transformations of the cycle that each one outside of a spanning forest, breadth first, makes."""
    before: dict[str, tuple[str, str] | None] = {}
    depth: dict[str, int] = {}
    for root in sorted(around):
        if root in before:
            continue
        before[root], depth[root] = None, 0
        queue = deque([root])
        while queue:
            here = queue.popleft()
            for key, there in around[here]:
                if there not in before:
                    before[there], depth[there] = (key, here), depth[here] + 1
                    queue.append(there)
    tree = {step[0] for step in before.values() if step is not None}
    for edge in edges:
        if edge.key not in tree:
            yield [edge.key, *_tree_path(edge.start, edge.end, before, depth)]


def _tree_path(one: str, other: str, before: dict[str, tuple[str, str] | None], depth: dict[str, int]) -> Iterator[str]:
    """Keys of the Transformations of the tree between two ChemicalSystems."""
    while one != other:
        if depth[one] < depth[other]:
            one, other = other, one
        step = before[one]
        assert step is not None
        key, one = step
        yield key
