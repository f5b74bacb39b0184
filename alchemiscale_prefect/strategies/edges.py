"""A network and its results as the built-in Strategies see them: edges in one order, the same in every process."""

from dataclasses import dataclass

import networkx as nx

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, NonTransformation, Transformation
from alchemiscale_prefect.chemistry.networks import transformations_by_key
from alchemiscale_prefect.chemistry.summaries import summary_of
from alchemiscale_prefect.domain.result_summaries import ResultSummary
from alchemiscale_prefect.strategies.base import Results


@dataclass(frozen=True)
class Edge:
    """A Transformation or NonTransformation, and what its results say.

    Attributes
    ----------
    key
        Its gufe key; parallel edges differ in it.
    start, end
        Gufe keys of its ChemicalSystems, the same of a NonTransformation.
    summary
        Of its results.
    transformation
        The gufe object.
    """

    key: str
    start: str
    end: str
    summary: ResultSummary
    transformation: Transformation | NonTransformation

    @property
    def is_loop(self) -> bool:
        """Whether it begins and ends at the same ChemicalSystem."""
        return self.start == self.end


def edges_of(network: AlchemicalNetwork, results: Results) -> list[Edge]:
    """Every edge of the network, ordered by key."""
    by_key = {str(key): result for key, result in results.items()}
    return [
        Edge(key, str(edge.stateA.key), str(edge.stateB.key), summary_of(by_key.get(key)), edge)
        for key, edge in transformations_by_key(network).items()
    ]


def graph_of(network: AlchemicalNetwork, edges: list[Edge]) -> nx.MultiGraph:
    """The network as an undirected graph of gufe keys; each edge has its own key there."""
    graph = nx.MultiGraph()
    graph.add_nodes_from(sorted(str(node.key) for node in network.nodes))
    graph.add_edges_from((edge.start, edge.end, edge.key) for edge in edges)
    return graph
