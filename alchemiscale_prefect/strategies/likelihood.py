"""The maximum-likelihood estimate of a network: free energies of its nodes from the differences along its edges.

With differences x of variances s^2 along edges from a to b, and the incidence matrix B (-1 at a, +1 at b), the estimate
of the nodes' free energies is the weighted least-squares solution ::

    y = C B^T (x / s^2),    C = L^+,    L = B^T diag(1 / s^2) B

(Xu 2019, doi 10.1021/acs.jcim.9b00528; cinnabar's is the same). Differences leave the sum of the nodes of a component
open; it is zero here, and C the covariance of y under that condition: the pseudoinverse of the Laplacian L. Nodes of
different components have no covariance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from alchemiscale_prefect.domain.cycles import Edge as Difference

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True)
class NodeEstimate:
    """What the network says of a node.

    Attributes
    ----------
    value
        Relative to the mean of the nodes of its component, in the unit of the differences.
    error
        Its standard error.
    component
        Number of its component.
    """

    value: float
    error: float
    component: int


def node_estimates(differences: Sequence[Difference]) -> dict[str, NodeEstimate]:
    """The maximum-likelihood estimate of every node, ordered by name.

    Parameters
    ----------
    differences
        In one unit; parallel ones count each, one from a node to itself says nothing. Errors above zero.

    Raises
    ------
    ValueError
        An error is not above zero.
    """
    if any(not edge.error > 0 for edge in differences):
        raise ValueError("a difference without an error above zero has no weight")
    names = sorted({name for edge in differences for name in (edge.start, edge.end)})
    index = {name: number for number, name in enumerate(names)}
    starts = np.array([index[edge.start] for edge in differences], dtype=np.intp)
    ends = np.array([index[edge.end] for edge in differences], dtype=np.intp)
    values = np.array([edge.value for edge in differences])
    precisions = np.array([edge.error for edge in differences]) ** -2.0
    found: dict[str, NodeEstimate] = {}
    for number, (nodes, inside) in enumerate(components(len(names), starts, ends)):
        local = np.searchsorted(nodes, np.stack([starts[inside], ends[inside]]))
        covariance = node_covariance(len(nodes), local[0], local[1], precisions[inside])
        flow = precisions[inside] * values[inside]
        right = np.bincount(local[1], flow, len(nodes)) - np.bincount(local[0], flow, len(nodes))
        errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        for node, value, error in zip(nodes, covariance @ right, errors, strict=True):
            found[names[node]] = NodeEstimate(float(value), float(error), number)
    return {name: found[name] for name in names}


def components(n_nodes: int, starts: IntArray, ends: IntArray) -> list[tuple[IntArray, IntArray]]:
    """The nodes of each component, ascending, and the numbers of the edges in it; in the order of their first nodes."""
    graph = nx.Graph()
    graph.add_nodes_from(range(n_nodes))
    graph.add_edges_from(zip(starts.tolist(), ends.tolist(), strict=True))
    label = np.empty(n_nodes, dtype=np.intp)
    found = [np.array(sorted(nodes), dtype=np.intp) for nodes in nx.connected_components(graph)]
    for number, nodes in enumerate(found):
        label[nodes] = number
    of_edge = label[starts]
    return [(nodes, np.flatnonzero(of_edge == number)) for number, nodes in enumerate(found)]


def node_covariance(n_nodes: int, starts: IntArray, ends: IntArray, precisions: FloatArray) -> FloatArray:
    """Covariance of the nodes of one component, their mean being zero; shape ``(n_nodes, n_nodes)``.

    One inverse, of a matrix that is built from the edges in time proportional to their number. All of it is needed, and
    it is dense; so LAPACK's is the fastest: SuperLU, solving for all columns, took 40 times as long on 500 nodes and
    2,000 edges.

    Parameters
    ----------
    starts, ends
        Numbers of nodes, one for each edge; they must connect all nodes.
    precisions
        Of the edges, 1 / s^2, above zero.
    """
    matrix = laplacian(n_nodes, starts, ends, precisions)
    # with the last node at zero the rest has an inverse; then all are moved so that their mean is zero
    grounded = np.zeros((n_nodes, n_nodes))
    grounded[:-1, :-1] = np.linalg.inv(matrix[:-1, :-1])
    means = grounded.mean(axis=0)
    return np.asarray(grounded - means[None, :] - means[:, None] + means.mean())


def laplacian(n_nodes: int, starts: IntArray, ends: IntArray, precisions: FloatArray) -> FloatArray:
    """The weighted Laplacian of the edges; an edge from a node to itself adds nothing."""
    matrix = np.zeros((n_nodes, n_nodes))
    np.add.at(matrix, (starts, ends), -precisions)
    np.add.at(matrix, (ends, starts), -precisions)
    np.fill_diagonal(matrix, 0.0)
    np.fill_diagonal(matrix, -matrix.sum(axis=1))
    return matrix
