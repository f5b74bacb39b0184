"""Cycles that do not close."""

import pytest

from alchemiscale_prefect.domain.result_summaries import ResultSummary
from alchemiscale_prefect.strategies import CycleClosureStrategy
from alchemiscale_prefect.strategies.cycle_closure import CycleClosureStrategySettings
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


def test_of_what_gives_no_free_energy_or_uncertainty_nothing_can_be_said() -> None:
    given = {"ab": repeats(1.0), "bc": repeats(9.0, error=None), "ca": repeats(9.0)}
    assert set(proposed(given, "ab", "bc", "ca").values()) == {None}
    given["bc"] = ResultSummary.of(None)
    assert set(proposed(given, "ab", "bc", "ca").values()) == {None}


def test_a_cycle_without_any_error_that_does_not_close_is_off() -> None:
    given = {name: repeats(1.0, error=0.0) for name in ("ab", "bc", "ca")}
    assert set(proposed(given, "ab", "bc", "ca").values()) == {1.0}
