"""Simulated Strategies."""

import math
from pathlib import Path

import numpy as np
import pytest

from alchemiscale_prefect.chemistry.base import unit
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.proposals import ProposalSettings
from alchemiscale_prefect.strategies import (
    BudgetStrategy,
    ConnectivityStrategy,
    CriticalConnectivityStrategy,
    UncertaintyStrategy,
)
from alchemiscale_prefect.strategies.budget import BudgetStrategySettings
from alchemiscale_prefect.strategies.connectivity import ConnectivityStrategySettings
from alchemiscale_prefect.strategies.critical_connectivity import CriticalConnectivityStrategySettings
from alchemiscale_prefect.strategies.simulation import KJ_PER_KCAL, simulate
from alchemiscale_prefect.strategies.simulation_plot import save_plot
from alchemiscale_prefect.strategies.uncertainty import UncertaintyStrategySettings
from tests.unit.strategies.networks import network, repeats

NET = network("ab", "bc", "cd", "da", "ac", "xy", "xy", "y")


def uncertainty(target: float = 0.1) -> UncertaintyStrategy:
    return UncertaintyStrategy(UncertaintyStrategySettings(target_error=target * unit.kilocalorie_per_mole))


def noise() -> dict[str, float]:
    loud = {"ab": 2.0, "xy": 1.0}
    return {str(edge.key): loud.get(edge.name, 0.3) for edge in NET.edges}


def test_it_runs_until_the_strategy_is_finished_and_then_the_target_is_met() -> None:
    ran = simulate(NET, uncertainty(0.25), n_iterations=100, noise=noise())
    assert ran.finished
    done, error, even = ran.table()[-1]
    assert done == len(ran.strategy.tasks) == sum(summary.n for summary in ran.summaries.values())
    assert error < 0.25
    assert even < math.inf
    assert ran.table()[0] == (0, math.inf, math.inf)


def test_uncertainty_needs_fewer_tasks_than_uniform_allocation_where_results_are_unlike() -> None:
    shares = []
    for seed in range(3):
        ran = simulate(NET, uncertainty(0.01), n_iterations=9, noise=noise(), seed=seed)
        target = ran.uniform.truth.mean_error(np.full(7, 8.0))
        needed = ran.strategy.tasks_until(target)
        assert needed is not None
        shares.append(needed / (7 * 8))
    assert np.mean(shares) < 0.85  # 0.71 with fractions of Tasks and all known beforehand


def test_the_same_seed_gives_the_same_and_another_one_another() -> None:
    one, same, other = (simulate(NET, uncertainty(), n_iterations=5, seed=seed) for seed in (1, 1, 2))
    assert one.summaries == same.summaries != other.summaries
    assert one.strategy.tasks.tolist() == same.strategy.tasks.tolist()


def test_strategies_are_compared_on_the_same_results_and_the_same_uniform_allocation() -> None:
    each = ProposalSettings(max_tasks_per_transformation=1)
    by_degree = ConnectivityStrategy(ConnectivityStrategySettings(max_runs=3))
    by_cut = CriticalConnectivityStrategy(CriticalConnectivityStrategySettings(max_runs=3))
    one, two = (simulate(NET, chosen, settings=each, seed=4) for chosen in (by_degree, by_cut))
    assert one.strategy.tasks.tolist() != two.strategy.tasks.tolist()
    assert one.summaries == two.summaries
    assert one.uniform.tasks.tolist() == two.uniform.tasks.tolist()
    longer = simulate(NET, uncertainty(), n_iterations=5, settings=each, seed=4).uniform.tasks
    assert longer[: len(one.uniform.tasks)].tolist() == one.uniform.tasks[: len(longer)].tolist()


def test_uniform_allocation_spends_evenly_at_any_moment() -> None:
    ran = simulate(NET, uncertainty(0.05), n_iterations=6, noise=noise(), seed=3)
    uniform, n_edges = ran.uniform.tasks, len(ran.uniform.truth.keys)
    assert len(uniform) == len(ran.strategy.tasks) > 3 * n_edges
    for spent in range(1, len(uniform) + 1):
        counts = np.bincount(uniform[:spent], minlength=n_edges)
        assert counts.max() - counts.min() <= 1


def test_weights_become_tasks_as_on_a_server() -> None:
    chosen = ConnectivityStrategy(ConnectivityStrategy.default_settings())
    ran = simulate(NET, chosen, n_iterations=1, settings=ProposalSettings(max_tasks_per_transformation=5))
    (proposal,) = ran.proposals
    created = {change.transformation: change.create for change in proposal.changes}
    assert {key: summary.n for key, summary in ran.summaries.items()} == created
    assert set(created.values()) >= {5}
    limited = BudgetStrategy(BudgetStrategySettings(max_tasks=13), chosen)
    assert len(simulate(NET, limited, n_iterations=50).strategy.tasks) == 13


def test_it_goes_on_from_the_results_that_there_are() -> None:
    given = {str(edge.key): repeats(*[5.0, 5.4] * 5, error=0.2) for edge in NET.edges if edge.name != "ab"}
    ran = simulate(NET, uncertainty(), n_iterations=30, noise=3.0, results=given)
    by_name = {edge.name: ran.summaries[str(edge.key)] for edge in NET.edges}
    assert ran.table()[0][1] < 0.05  # of ab nothing is known, but it joins nothing
    assert by_name["ab"].n > 0
    assert by_name["bc"].n >= 10
    assert by_name["bc"].mean == pytest.approx(5.2, abs=0.3)
    bc = ran.strategy.truth.keys.index(next(str(edge.key) for edge in NET.edges if edge.name == "bc"))
    assert ran.strategy.truth.deviations[bc] == pytest.approx(0.2, rel=0.2)  # not 3 kcal/mol


def test_the_error_is_that_of_the_maximum_likelihood_estimate() -> None:
    pair = network("ab")
    ran = simulate(pair, ConnectivityStrategy(ConnectivityStrategy.default_settings()), noise=0.5, n_iterations=1)
    # of two nodes about their mean: half the difference's error each
    assert ran.strategy.mean_error(3) / KJ_PER_KCAL == pytest.approx(0.5 / math.sqrt(3) / 2)
    assert ran.strategy.tasks_until(KJ_PER_KCAL * 0.5 / math.sqrt(2) / 2 + 1e-9) == 2
    assert ran.strategy.tasks_until(1e-6) is None


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    ran = simulate(NET, uncertainty(), n_iterations=6, noise=noise())
    ran.save_plot(tmp_path / "plot.png", title="small")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    save_plot({"one": ran, "other": ran}, tmp_path / "plot.svg", target=0.1)
    drawn = (tmp_path / "plot.svg").read_text()
    assert "<svg" in drawn
    assert drawn.count('id="line2d') >= 4  # two Strategies, uniform, the target


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, {}])
def test_noise_must_be_above_zero_and_there(wrong: object) -> None:
    with pytest.raises(InvalidInput, match="`noise` must be above zero"):
        simulate(NET, uncertainty(), noise=wrong)
    with pytest.raises(InvalidInput, match="n_iterations"):
        simulate(NET, uncertainty(), n_iterations=0)
    with pytest.raises(InvalidInput, match="`seed` must be at least 0"):
        simulate(NET, uncertainty(), seed=-1)
