"""Cycles that do not close."""

import random

import networkx as nx
import pytest

from alchemiscale_prefect.chemistry.base import NonTransformation
from alchemiscale_prefect.domain.result_summaries import ResultSummary
from alchemiscale_prefect.strategies import CycleClosureStrategy
from alchemiscale_prefect.strategies.cycle_closure import CycleClosureStrategySettings, _cycles
from alchemiscale_prefect.strategies.edges import edges_of
from tests.unit.strategies.networks import Weights, named, network, repeats, results

STRATEGY = CycleClosureStrategy(CycleClosureStrategySettings(max_deviation=2.0, max_runs=5))


def proposed(given: dict[str, ResultSummary | int], *edges: str) -> Weights:
    net = network(*edges)
    return named(net, STRATEGY.propose(net, results(net, given)).weights)


def test_more_goes_to_a_cycle_that_does_not_close_and_there_to_what_is_known_the_worst() -> None:
    # a-b-c closes; b-c-d is off by 9 with an error of 3
    given = {
        "ab": repeats(1.0, error=1.0),
        "bc": repeats(1.0, error=1.0),
        "ca": repeats(-2.0, error=1.0),
        "cd": repeats(9.0, error=2.0),
        "db": repeats(-1.0, error=2.0),
    }
    assert proposed(given, "ab", "bc", "ca", "cd", "db") == {
        "ab": 0.0,
        "bc": pytest.approx(3.0 / 3),
        "ca": 0.0,
        "cd": pytest.approx(3.0 * 2 / 3),
        "db": pytest.approx(3.0 * 2 / 3),
    }


def test_once_every_cycle_closes_it_is_finished() -> None:
    closed = {"ab": repeats(1.0), "bc": repeats(1.0), "ca": repeats(-4.0)}  # off by 2, with an error of 1.7
    assert set(proposed(closed, "ab", "bc", "ca", "cd", "c").values()) == {0.0, 1.0}  # two have no results yet
    assert set(proposed({**closed, "cd": 1, "c": 1}, "ab", "bc", "ca", "cd", "c").values()) == {None}


def test_without_results_each_gets_one_and_from_max_runs_on_none() -> None:
    assert proposed({}, "ab", "bc", "ca") == {"ab": 1.0, "bc": 1.0, "ca": 1.0}
    off = {"ab": repeats(*[0.0] * 5), "bc": repeats(20.0), "ca": repeats(0.0)}
    assert proposed(off, "ab", "bc", "ca")["ab"] is None
    assert proposed(off, "ab", "bc", "ca")["bc"] > 1
    assert set(proposed({name: repeats(*[9.0] * 5) for name in ("ab", "bc", "ca")}, "ab", "bc", "ca").values()) == {
        None
    }


def test_parallel_transformations_and_one_to_itself_are_cycles_and_a_nontransformation_is_none() -> None:
    given = {"ab": repeats(0.0), "ab1": repeats(8.0), "cc": repeats(5.0), "d": repeats(50.0), "bc": 1}
    weights = proposed(given, "ab", "ab", "cc", "d", "bc")
    assert weights["ab"] == weights["ab1"] == pytest.approx(8 / 2)  # 8 / sqrt(2), times 1 / sqrt(2)
    assert weights["cc"] == pytest.approx(5.0)
    assert (weights["d"], weights["bc"]) == (0.0, 0.0)


def test_of_what_gives_no_free_energy_nothing_can_be_said() -> None:
    given = {"ab": repeats(1.0), "bc": ResultSummary.of(None), "ca": repeats(9.0)}
    assert set(proposed(given, "ab", "bc", "ca").values()) == {None}


@pytest.mark.parametrize("error", [None, 0.0])  # openfe states 0 for a single repeat
def test_a_single_result_without_an_uncertainty_gets_another_before_its_cycle_is_judged(error: float | None) -> None:
    given = {"ab": repeats(1.0), "bc": repeats(9.0, error=error), "ca": repeats(9.0), "cd": repeats(1.0, error=error)}
    assert proposed(given, "ab", "bc", "ca", "cd") == {"ab": 0.0, "bc": 1.0, "ca": 0.0, "cd": 0.0}
    given["bc"] = repeats(9.0, 9.2, error=error)
    assert proposed(given, "ab", "bc", "ca", "cd")["ab"] > 1


def test_a_cycle_is_seen_though_shorter_ones_close() -> None:
    # of doubled Transformations, and of a ring whose every side is also that of a triangle
    doubled = ("ab", "ab", "bc", "bc", "ca", "ca")
    off = {f"{edge}{n}": repeats(9.0 if edge == "ca" else 0.0) for edge in doubled for n in ("", 1)}
    assert list(proposed(off, *doubled).values()) == pytest.approx([9 / 3] * 6)
    ring = ("ab", "bc", "cd", "da")
    sides = ("ap", "pb", "bq", "qc", "cr", "rd", "ds", "sa")
    turned = dict.fromkeys(ring, repeats(4.0, error=1.0)) | dict.fromkeys(sides, repeats(2.0, error=1.0))
    weights = proposed(turned, *ring, *sides)
    assert [weights[edge] for edge in ring] == pytest.approx([16 / 4] * 4)
    assert {weights[edge] for edge in sides} == {0.0}


@pytest.mark.parametrize("seed", range(4))
def test_every_cycle_is_a_combination_of_those_that_are_looked_at(seed: int) -> None:
    source = random.Random(seed)
    net = network(*(source.choice("abcdefgh") + source.choice("abcdefgh") for _ in range(16)), alone="h")
    edges = [edge for edge in edges_of(net, {}) if not isinstance(edge.transformation, NonTransformation)]
    place = {edge.key: number for number, edge in enumerate(edges)}
    rows = [sum(1 << place[key] for key in cycle) for cycle in _cycles(edges)]
    rank = 0
    while rows:
        pivot = rows.pop()
        if pivot:
            rank += 1
            rows = [row ^ pivot if row & pivot & -pivot else row for row in rows]
    graph = nx.MultiGraph([(edge.start, edge.end) for edge in edges])
    assert rank == len(edges) - len(graph) + nx.number_connected_components(graph)


def test_a_cycle_without_any_error_that_does_not_close_is_off() -> None:
    given = {name: repeats(1.0, error=0.0) for name in ("ab", "bc", "ca")}
    assert set(proposed(given, "ab", "bc", "ca").values()) == {1.0}
