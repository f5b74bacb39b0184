"""Cycle closures: zero for free energies that come from states, whatever the graph."""

import math

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.cycles import Edge, cycle_closures


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20),
    st.lists(st.floats(-100, 100), min_size=8, max_size=8),
)
def test_consistent_free_energies_close_and_the_basis_is_complete(
    pairs: list[tuple[int, int]], levels: list[float]
) -> None:
    edges = [Edge(f"n{a}", f"n{b}", levels[b] - levels[a], 0.5) for a, b in pairs]
    closures = cycle_closures(edges)
    for closure in closures:
        assert closure.value == pytest.approx(0.0, abs=1e-9)
        assert closure.nodes[0] == closure.nodes[-1]
        assert len(set(closure.nodes[:-1])) == len(closure.nodes) - 1, "a state stands twice in a cycle"
        assert closure.error == pytest.approx(0.5 * math.sqrt(len(closure.nodes) - 1))
    graph = nx.MultiGraph(pairs)
    independent = graph.number_of_edges() - graph.number_of_nodes() + nx.number_connected_components(graph)
    assert len(closures) == independent


def test_a_triangle_by_hand() -> None:
    edges = [Edge("a", "b", 1.0, 0.3), Edge("c", "b", -2.0, 0.4), Edge("a", "c", 3.5, 1.2)]
    (closure,) = cycle_closures(edges)
    # a → c → b → a or the same backwards: 3.5 - 2.0 - 1.0
    assert abs(closure.value) == pytest.approx(0.5)
    assert closure.error == pytest.approx(1.3)
    assert set(closure.nodes) == {"a", "b", "c"}


def test_parallel_edges_and_a_self_edge_are_cycles() -> None:
    parallel, itself = cycle_closures([Edge("a", "b", 1.0, 0.1), Edge("a", "b", 1.5, 0.1), Edge("b", "b", 0.2, 0.1)])
    assert parallel.value == pytest.approx(0.5)
    assert itself.nodes == ("b", "b")
    assert itself.value == pytest.approx(0.2)


def test_a_tree_has_none() -> None:
    assert cycle_closures([Edge("a", "b", 1.0, 0.1), Edge("b", "c", 1.0, 0.1)]) == ()
