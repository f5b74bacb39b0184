"""CriticalConnectivityStrategy: Transformations that hold the network together first."""

from collections import Counter, deque

import networkx as nx
from networkx.utils import UnionFind
from pydantic import Field

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from alchemiscale_prefect.strategies.base import Results, Strategy, StrategyResult, StrategySettings
from alchemiscale_prefect.strategies.edges import edges_of, graph_of


class CriticalConnectivityStrategySettings(StrategySettings):
    """Settings of :class:`CriticalConnectivityStrategy`."""

    max_connectivity: int = Field(
        default=4, ge=1, le=100, description="Transformations are told apart up to this edge-connectivity."
    )
    decay_rate: float = Field(
        default=0.5, gt=0, lt=1, description="What a weight is multiplied by for each result that there is."
    )
    max_runs: int = Field(default=3, ge=1, description="A Transformation with so many results is finished.")


class CriticalConnectivityStrategy(Strategy):
    """Bridges first, then Transformations whose ends few ways join, each the less the more results it has.

    ::

        weight = decay_rate^n / min(c, max_connectivity)

    with n the number of results, and c the edge-connectivity of the two ChemicalSystems: the number of ways between
    them that share no Transformation, which is the number of Transformations that must fail to part them (Menger 1927).
    Of a bridge it is 1. Parallel Transformations are ways of their own; a NonTransformation parts nothing and has the
    smallest weight. Weights have no unit. ``None`` from `max_runs` results on.
    """

    _settings_cls = CriticalConnectivityStrategySettings

    def _propose(self, alchemical_network: AlchemicalNetwork, protocol_results: Results) -> StrategyResult:
        settings: CriticalConnectivityStrategySettings = self.settings
        edges = edges_of(alchemical_network, protocol_results)
        connectivity = edge_connectivity(graph_of(alchemical_network, edges), settings.max_connectivity)
        weights: dict[str, float | None] = {}
        for edge in edges:
            ways = settings.max_connectivity if edge.is_loop else connectivity[edge.start, edge.end]
            enough = edge.summary.n >= settings.max_runs
            weights[edge.key] = None if enough else settings.decay_rate**edge.summary.n / ways
        return StrategyResult(weights)


def edge_connectivity(graph: nx.MultiGraph, up_to: int) -> dict[tuple[str, str], int]:
    """How many ways that share no edge join each two neighbours, `up_to` for more. Both orders of a pair are in it."""
    capacity: dict[str, Counter[str]] = {node: Counter() for node in graph}
    for start, end in graph.edges():
        if start != end:
            capacity[start][end] += 1
            capacity[end][start] += 1
    # to be joined by k ways is an equivalence relation: neighbours that others hold together need no look
    joined = UnionFind(capacity)
    ways: dict[tuple[str, str], int] = {}
    for start, neighbours in capacity.items():
        for end in neighbours:
            if (start, end) in ways:
                continue
            found = up_to if joined[start] == joined[end] else _ways(capacity, start, end, up_to)
            ways[start, end] = ways[end, start] = found
            if found == up_to:
                joined.union(start, end)
    return ways


def _ways(capacity: dict[str, Counter[str]], start: str, end: str, up_to: int) -> int:
    """The largest flow with edges of capacity 1: Ford and Fulkerson's, breadth first, no farther than `up_to`."""
    flow: Counter[tuple[str, str]] = Counter()
    for found in range(min(up_to, capacity[start].total(), capacity[end].total())):
        came_from = {start: start}
        queue = deque([start])
        while queue and end not in came_from:
            here = queue.popleft()
            for there, edges in capacity[here].items():
                if there not in came_from and flow[here, there] < edges:
                    came_from[there] = here
                    queue.append(there)
        if end not in came_from:
            return found
        here = end
        while here != start:
            flow[came_from[here], here] += 1
            flow[here, came_from[here]] -= 1
            here = came_from[here]
    return min(up_to, capacity[start].total(), capacity[end].total())
