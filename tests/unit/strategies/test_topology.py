"""Strategies that go by the shape of the network."""

from itertools import combinations
from types import SimpleNamespace

import networkx as nx
import pytest

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from alchemiscale_prefect.strategies import (
    ConnectivityStrategy,
    CriticalConnectivityStrategy,
    MappingScoreStrategy,
    RadialGrowthStrategy,
)
from alchemiscale_prefect.strategies.base import Strategy
from alchemiscale_prefect.strategies.connectivity import ConnectivityStrategySettings
from alchemiscale_prefect.strategies.critical_connectivity import edge_connectivity
from alchemiscale_prefect.strategies.mapping_score import MappingScoreStrategySettings
from alchemiscale_prefect.strategies.radial_growth import RadialGrowthStrategySettings, eccentricities
from tests.unit.strategies.networks import Weights, named, network, results


def proposed(strategy: Strategy, net: AlchemicalNetwork, counts: dict[str, int]) -> Weights:
    return named(net, strategy.propose(net, results(net, counts)).weights)


def radial(**settings: float) -> RadialGrowthStrategy:
    return RadialGrowthStrategy(RadialGrowthStrategySettings(**settings))


def test_connectivity_is_the_mean_degree_halved_by_each_result() -> None:
    net = network("ab", "bc", "bd", "bd", "d")
    strategy = ConnectivityStrategy(ConnectivityStrategySettings(max_runs=3))
    # degrees: a 1, b 4, c 1, d 4 (a NonTransformation counts twice)
    assert proposed(strategy, net, {"ab": 1, "bc": 3}) == {"ab": 1.25, "bc": None, "bd": 4.0, "bd1": 4.0, "d": 4.0}


def test_connectivity_below_its_cutoff_is_finished_whatever_max_runs_says() -> None:
    net = network("ab", "bc")
    both = ConnectivityStrategy(ConnectivityStrategySettings(cutoff=0.5, max_runs=9))
    assert proposed(both, net, {"ab": 2, "bc": 1}) == {"ab": None, "bc": 0.75}
    with pytest.raises(ValueError, match="at least one of `max_runs` and `cutoff`"):
        ConnectivityStrategySettings()


def test_growth_goes_from_the_middle_outwards() -> None:
    # a star of arms of two: the middle has eccentricity 2, then 3, then 4
    net = network("mp", "mq", "mr", "pP", "qQ", "rR")
    inner, outer = ("mp", "mq", "mr"), ("pP", "qQ", "rR")
    nothing = proposed(radial(), net, {})
    assert {nothing[edge] for edge in inner} == {1.0}
    assert {nothing[edge] for edge in outer} == {0.0}
    some = proposed(radial(), net, {"mp": 1, "mq": 1})
    assert (some["mr"], some["mp"], some["pP"]) == (1.0, 0.5, 0.0)
    assert proposed(radial(candidacy_max_distance=2), net, {"mp": 1, "mq": 1})["pP"] == 0.5
    all_inner = proposed(radial(), net, dict.fromkeys(inner, 1))
    assert {all_inner[edge] for edge in outer} == {1.0}
    assert {all_inner[edge] for edge in inner} == {0.5}


@pytest.mark.parametrize("seed", range(3))
def test_eccentricities_are_those_of_networkx(seed: int) -> None:
    graph = nx.MultiGraph(nx.connected_watts_strogatz_graph(20, 3, 0.3, seed=seed))
    graph.add_edges_from([(0, 1), (0, 0)])
    graph = nx.relabel_nodes(graph, str)
    assert eccentricities({node: list(graph[node]) for node in graph}) == nx.eccentricity(graph)
    assert eccentricities({"a": []}) == {"a": 0}


def test_growth_does_not_depend_on_the_order_of_the_transformations() -> None:
    # stratocaster's has two answers for this path, by PYTHONHASHSEED
    net = network("ab", "bc", "cd", "de", "ef", "fg")
    assert proposed(radial(), net, {}) == {"ab": 0.0, "bc": 0.0, "cd": 1.0, "de": 1.0, "ef": 0.0, "fg": 0.0}


def test_each_component_grows_by_itself_and_parallel_transformations_count_each() -> None:
    net = network("ab", "ab", "bc", "xy", "x")
    weights = proposed(radial(max_runs=1), net, {"ab": 1, "bc": 1})
    assert weights == {"ab": None, "ab1": 1.0, "bc": None, "x": 1.0, "xy": 1.0}


@pytest.mark.parametrize("seed", range(4))
def test_edge_connectivity_is_that_of_the_minimum_cut(seed: int) -> None:
    graph = nx.MultiGraph(nx.gnm_random_graph(12, 22, seed=seed))
    graph.add_edges_from(list(graph.edges())[:5])
    graph = nx.relabel_nodes(graph, str)
    plain = nx.Graph()
    for one, other in graph.edges():
        plain.add_edge(one, other, capacity=graph.number_of_edges(one, other))
    found = edge_connectivity(graph, 4)
    for one, other in combinations(sorted(plain), 2):
        if plain.has_edge(one, other):
            assert found[one, other] == found[other, one] == min(4, nx.minimum_cut_value(plain, one, other))


def test_bridges_come_first_then_what_few_ways_join() -> None:
    net = network("ab", "bc", "ca", "cd", "de", "de", "d")
    strategy = CriticalConnectivityStrategy(CriticalConnectivityStrategy.default_settings())
    assert proposed(strategy, net, {"cd": 1, "ab": 3}) == {
        "ab": None,
        "bc": 0.5,
        "ca": 0.5,
        "cd": 0.5,  # a bridge, 1, with a result
        "d": 0.25,
        "de": 0.5,
        "de1": 0.5,
    }


def test_good_mappings_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network("ab", "bc", "cd", "de", "e", "ef")
    scores = {
        "ab": SimpleNamespace(annotations={"score": 0.9}),
        "bc": [SimpleNamespace(annotations={"score": 0.8}), SimpleNamespace(annotations={"score": 0.4})],
        "cd": {"ligand": SimpleNamespace(annotations={"score": 7})},
        "ef": SimpleNamespace(annotations={"score": 0}),
    }
    for edge in net.edges:
        if edge.name in scores:
            monkeypatch.setattr(edge, "_mapping", scores[edge.name])
    strategy = MappingScoreStrategy(MappingScoreStrategySettings(default_score=0.6))
    weights = proposed(strategy, net, {"ab": 1, "de": 3})
    assert weights == {"ab": 0.45, "bc": 0.4, "cd": 0.6, "de": None, "e": 0.6, "ef": None}
