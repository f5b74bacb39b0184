"""Where the next results reduce the variance of the network the most."""

from dataclasses import replace

import numpy as np
import pytest

from alchemiscale_prefect.chemistry.base import unit
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.result_summaries import ResultSummary
from alchemiscale_prefect.strategies import UncertaintyStrategy
from alchemiscale_prefect.strategies.allocation import Allocation, Measurements
from alchemiscale_prefect.strategies.uncertainty import UncertaintyStrategySettings
from alchemiscale_prefect.strategies.variances import result_variances
from tests.unit.strategies.networks import named, network, repeats, results

KCAL = unit.kilocalorie_per_mole


def strategy(**settings: object) -> UncertaintyStrategy:
    return UncertaintyStrategy(UncertaintyStrategySettings(**settings))


def measurements(random: np.random.Generator, **changed: object) -> Measurements:
    """Five nodes, a chain and three chords, two of them parallel; some results."""
    starts, ends = np.array([0, 1, 2, 3, 0, 1, 1]), np.array([1, 2, 3, 4, 2, 4, 4])
    given = {
        "n_nodes": 5,
        "starts": starts,
        "ends": ends,
        "variances": random.uniform(0.2, 4.0, 7),
        "counts": random.integers(1, 5, 7).astype(float),
        "costs": np.ones(7),
        "limits": np.full(7, np.inf),
        "target": 0.0,
    }
    return Measurements(**{**given, **changed})


def total(given: Measurements, more: np.ndarray) -> float:
    """The variance of all nodes, or pairs, by the pseudoinverse."""
    incidence = np.zeros((len(given.starts), given.n_nodes))
    rows = np.arange(len(given.starts))
    incidence[rows, given.ends] += 1
    incidence[rows, given.starts] -= 1
    precisions = (given.counts + more) / given.variances
    covariance = np.linalg.pinv(incidence.T @ (precisions[:, None] * incidence), hermitian=True)
    if given.pairs is None:
        return float(np.trace(covariance))
    ones, others = given.pairs.T
    return float((covariance[ones, ones] + covariance[others, others] - 2 * covariance[ones, others]).sum())


@pytest.mark.parametrize("pairs", [None, np.array([[0, 4], [3, 2]]), np.array([[0, 4], [3, 2], [4, 0]] * 2)])
@pytest.mark.parametrize("seed", range(3))
def test_each_result_is_planned_where_trying_all_shows_the_largest_gain(seed: int, pairs: np.ndarray | None) -> None:
    given = measurements(np.random.default_rng(seed), pairs=pairs)
    costs = np.random.default_rng(seed).uniform(1, 3, 7)
    for priced in (np.ones(7), costs):
        allocation = Allocation(Measurements(**{**vars(given), "costs": priced}))
        more = np.zeros(7)
        for _ in range(12):
            gains = [
                (total(given, more) - total(given, more + one)) / cost
                for one, cost in zip(np.eye(7), priced, strict=True)
            ]
            more[int(np.argmax(gains))] += 1
            allocation.plan(1)
            assert allocation.planned.tolist() == more.tolist()


def test_components_and_pairs_that_nothing_joins_do_not_disturb_each_other() -> None:
    one = measurements(np.random.default_rng(1))
    two = {name: np.tile(getattr(one, name), 2) for name in ("variances", "counts", "costs", "limits")}
    ends = {name: np.concatenate([getattr(one, name), getattr(one, name) + 5]) for name in ("starts", "ends")}
    both = Measurements(n_nodes=10, target=0.0, **ends, **two)
    more, allocation = np.zeros(14), Allocation(both)
    for _ in range(12):
        gains = [total(both, more) - total(both, more + step) for step in np.eye(14)]
        more[int(np.argmax(np.round(gains, 9)))] += 1  # both are alike: the first of equal ones
        allocation.plan(1)
        assert allocation.planned.tolist() == more.tolist()
    apart = Allocation(Measurements(**{**vars(both), "pairs": np.array([[0, 7], [2, 9]])}))
    assert apart.is_done


def test_many_results_come_to_the_a_optimal_allocation() -> None:
    given = measurements(np.random.default_rng(7), counts=np.full(7, 1e-9))
    allocation = Allocation(given)
    allocation.plan(1000)
    optimal = np.ones(7)
    for _ in range(100):  # the fixed point of n ~ n sqrt(-d tr C / d n) is the continuous optimum
        step = [total(given, optimal) - total(given, optimal + 1e-6 * one) for one in np.eye(7)]
        optimal *= np.sqrt(np.maximum(step, 0))
        optimal *= 1000 / optimal.sum()
    assert total(given, allocation.planned) < 1.001 * total(given, optimal)
    assert total(given, allocation.planned) < 0.9 * total(given, np.full(7, 1000 / 7))


def test_a_network_is_connected_first_with_its_most_certain_transformations() -> None:
    given = measurements(np.random.default_rng(0), counts=np.zeros(7), variances=np.array([1.0, 9, 1, 1, 4, 2, 3]))
    allocation = Allocation(given)
    allocation.plan(4)
    assert allocation.planned.max() == 1
    assert total(given, allocation.planned) < 100  # no node is left open
    assert not allocation.is_done


def test_it_ends_as_soon_as_a_long_chain_is_connected_if_that_is_enough() -> None:
    chain = np.arange(29)
    ones = np.ones(29)
    given = Measurements(30, chain, chain + 1, ones, 0 * ones, ones, np.inf * ones, target=1e9)
    allocation = Allocation(given)
    allocation.plan(200)
    assert allocation.planned.tolist() == [1] * 29
    pair = Allocation(replace(given, pairs=np.array([[0, 2]])))  # unknown, however large the target
    pair.plan(200)
    assert pair.planned.tolist() == [1, 1] + [0] * 27


def test_it_ends_when_everything_is_known_well_enough_and_not_before() -> None:
    net = network("ab", "bc", "ca", "xy", "yy", "x")
    exact = {name: repeats(*[0.0, 0.4] * 4, error=0.2) for name in ("ab", "bc", "ca", "xy")}
    done = {**exact, "yy": 1, "x": 1}
    chosen = strategy(target_error=0.1 * KCAL)
    assert set(named(net, chosen.propose(net, results(net, done)).weights).values()) == {None}
    assert chosen.propose(net, results(net, done)).max_tasks is None
    # one more component that is not known, and what leads from a node to itself gets its one result
    weights = named(net, chosen.propose(net, results(net, {**exact, "xy": 0, "x": 1})).weights)
    assert weights["xy"] >= 1
    assert {name: weight for name, weight in weights.items() if name != "xy"} == {
        "ab": 0.0,
        "bc": 0.0,
        "ca": 0.0,
        "x": None,
        "yy": 1.0,
    }


def test_the_plan_is_the_limit_of_tasks() -> None:
    net = network("ab", "bc", "ca")
    proposal = strategy(target_error=1e-3 * KCAL, tasks_ahead=7).propose(net, results(net, {"ab": 2, "bc": 2, "ca": 2}))
    assert sum(weight or 0 for weight in proposal.weights.values()) == 7
    assert proposal.max_tasks == 13


def test_the_noisier_transformation_gets_more_and_a_full_one_none() -> None:
    net = network("ab", "bc")
    given = {"ab": repeats(0.0, 0.1, 0.2, error=0.1), "bc": repeats(0.0, 8.0, 4.0, error=4.0)}
    weights = named(net, strategy(tasks_ahead=9, target_error=0.01 * KCAL).propose(net, results(net, given)).weights)
    assert weights["bc"] > 5 > weights["ab"]
    capped = strategy(max_runs=3, target_error=0.01 * KCAL)
    assert set(named(net, capped.propose(net, results(net, given)).weights).values()) == {None}


def test_nothing_is_spent_around_a_transformation_that_is_full_and_still_too_uncertain() -> None:
    net = network("ab", "bc", "cd", "db")
    quiet = repeats(*[0.0, 0.2] * 4, error=0.1)
    given = {"ab": repeats(*[0.0, 9.0] * 5, error=4.5), "bc": quiet, "cd": quiet, "db": quiet}
    capped = strategy(max_runs=10, target_error=0.2 * KCAL)
    assert set(named(net, capped.propose(net, results(net, given)).weights).values()) == {None}
    free = named(net, strategy(max_runs=None, target_error=0.2 * KCAL).propose(net, results(net, given)).weights)
    assert free["ab"] > 0


def test_what_never_gives_a_free_energy_does_not_keep_the_others_from_their_target() -> None:
    net = network("ab", "bc", "cd", "db")
    rough = repeats(0.0, error=4.0)
    given = {"ab": ResultSummary(n=3), "bc": rough, "cd": rough, "db": rough}
    weights = named(net, strategy().propose(net, results(net, given)).weights)
    assert weights["ab"] is None
    assert min(weights[edge] or 0 for edge in ("bc", "cd", "db")) >= 1
    # before, it is tried, and nothing is spent on what is known
    fine = repeats(*[0.0, 0.2] * 4, error=0.1)
    trying = {"ab": ResultSummary(n=2), "bc": fine, "cd": fine, "db": fine}
    weights = named(net, strategy().propose(net, results(net, trying)).weights)
    assert weights["ab"] >= 1
    assert {weights[edge] for edge in ("bc", "cd", "db")} == {0.0}
    assert named(net, strategy(min_runs=4).propose(net, results(net, given)).weights)["ab"] >= 1
    # a pair that it would have joined is finished with
    pair = strategy(pairs=[("a", "c")]).propose(net, results(net, given))
    assert set(pair.weights.values()) == {None}


def test_time_is_saved_where_that_is_asked_for() -> None:
    net = network("ab", "ab", "bc")
    slow, quick = repeats(*[0.0, 1.0] * 2, seconds=9000.0), repeats(*[0.0, 1.0] * 2, seconds=60.0)
    given = results(net, {"ab": slow, "ab1": quick, "bc": quick})
    by_time = named(net, strategy(cost="gpu_time", target_error=0.01 * KCAL, tasks_ahead=1).propose(net, given).weights)
    assert by_time["ab"] == 0.0
    assert sum(weight or 0 for weight in by_time.values()) == 1.0


def test_the_time_of_what_never_ran_is_the_mean_of_the_others() -> None:
    net = network("ab", "ab", "bc")
    given = {"ab": repeats(0.0, 1.0), "ab1": repeats(0.0, 1.0, seconds=60.0), "bc": repeats(0.0, 1.0, seconds=600.0)}
    chosen = strategy(cost="gpu_time", target_error=0.01 * KCAL, tasks_ahead=1)
    assert named(net, chosen.propose(net, results(net, given)).weights) == {"ab": 0.0, "ab1": 1.0, "bc": 0.0}


def test_results_without_a_free_energy_count_for_max_runs() -> None:
    net = network("ab")
    given = {"ab": repeats(0.0, 1.0) + ResultSummary(n=2)}
    chosen = strategy(max_runs=5, target_error=0.01 * KCAL, tasks_ahead=9)
    assert named(net, chosen.propose(net, results(net, given)).weights) == {"ab": 1.0}


def test_only_chosen_pairs_matter() -> None:
    net = network("ab", "bc", "cd", "xy")
    chosen = strategy(pairs=[("a", "b")], min_runs=0, tasks_ahead=3)
    weights = named(net, chosen.propose(net, {}).weights)
    assert weights == {"ab": 3.0, "bc": 0.0, "cd": 0.0, "xy": 0.0}
    known = results(net, {"ab": repeats(0.0, 0.1, 0.0, error=0.1)})
    assert set(named(net, chosen.propose(net, known).weights).values()) == {None}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_error": 0 * KCAL}, "target_error\n.*above zero"),
        ({"target_error": float("nan") * KCAL}, "target_error\n.*above zero"),
        ({"target_error": 300 * unit.kelvin}, "target_error\n.*(converted|compatible)"),
        ({"prior_error": -1 * KCAL}, "prior_error\n.*above zero"),
        ({"prior_error": float("inf") * KCAL}, "prior_error\n.*finite"),
        ({"prior_weight": float("inf")}, "prior_weight"),
        ({"min_runs": 5, "max_runs": 3}, "`min_runs` must not be above `max_runs`, 5 > 3"),
        ({"pairs": []}, "at least 1"),
        ({"pairs": [("a", "a")]}, "a and itself"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        strategy(**settings)


@pytest.mark.parametrize(("pair", "message"), [(("a", "nobody"), "nobody"), (("a", "x"), "no Transformations lead")])
def test_pairs_that_cannot_be_known_are_refused(pair: tuple[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        strategy(pairs=[pair]).propose(network("ab", "xy"), {})


def test_variances_are_taken_from_scatter_with_a_prior() -> None:
    nothing, one = ResultSummary(), repeats(0.0, error=2.0)
    assert result_variances([nothing], 9.0, 2.0).tolist() == [9.0]
    assert result_variances([one], 9.0, 2.0, caution=0.0).tolist() == [4.0]
    assert result_variances([one], 9.0, 2.0).tolist() == [8.0]
    # two that agree by chance do not count as exact, and a few that scatter widely do not make all seem to
    agreeing, typical, wild = (
        repeats(1.0, 1.0, error=None),
        repeats(0.0, 1.0, 2.0, error=None),
        repeats(0, 90, error=None),
    )
    found = result_variances([agreeing, *[typical] * 20, wild], 9.0, 2.0)
    assert 0.3 < found[0] < found[1] < 3.0
    assert found[-1] > 1000
    # what is typical of pairs of results is not far from the truth, though the logarithms of such few are low
    random = np.random.default_rng(0)
    pairs = [repeats(*random.normal(0.0, 1.0, 2), error=None) for _ in range(300)]
    assert 0.65 < result_variances([*pairs, repeats(0.0, error=None)], 1.0, 2.0, caution=0.0)[-1] < 0.95
    # many say what they are
    many = repeats(*[0.0, 2.0] * 500, error=None)
    assert result_variances([many], 100.0, 2.0)[0] == pytest.approx(1.0, rel=0.06)


@pytest.mark.parametrize("error", [None, 0.0])  # openfe states 0 for a single repeat
def test_a_single_result_without_an_uncertainty_gets_another(error: float | None) -> None:
    net = network("ab", "bc")
    given = results(net, {"ab": repeats(0.0, error=error), "bc": repeats(0.0, error=0.01)})
    weights = named(net, strategy(target_error=50 * KCAL).propose(net, given).weights)
    assert weights == {"ab": 1.0, "bc": 0.0}


def test_stated_uncertainties_are_corrected_by_what_they_are_wrong_by() -> None:
    # they say 0.1 and scatter by 1
    random = np.random.default_rng(3)
    honest = [repeats(*random.normal(0.0, 1.0, 20), error=0.1) for _ in range(20)]
    found = result_variances([*honest, repeats(0.0, error=0.1), ResultSummary()], 25.0, 2.0, caution=0.0)
    assert found[-2] == pytest.approx(1.0, rel=0.3)
    assert found[-1] == pytest.approx(1.0 + 2 * 25 / 23, rel=0.3)


@pytest.mark.parametrize("error", [0.01, 1e-15])
def test_one_that_claims_to_be_exact_does_not_make_the_others_seem_to_be_wrong(error: float) -> None:
    random = np.random.default_rng(3)
    honest = [repeats(*random.normal(0.0, 1.0, 3), error=1.0) for _ in range(20)]
    liar = repeats(*random.normal(0.0, 1.0, 3), error=error)
    alone, with_it = (result_variances([*honest, *more], 25.0, 2.0)[:20].mean() for more in ([], [liar]))
    assert with_it < 2 * alone


@pytest.mark.parametrize("error", [1e-200, 1e-15, 1e-6, 1e15, 1e200])
def test_uncertainties_of_any_size_leave_a_proposal(error: float) -> None:
    net = network("ab", "bc", "ca", "cd")
    given = {"ab": repeats(0.0, 1.0, error=error), "bc": repeats(1.0), "ca": repeats(9.0), "cd": repeats(1.0)}
    weights = named(net, strategy(target_error=0.01 * KCAL).propose(net, results(net, given)).weights)
    assert weights["cd"] > 0
    assert all(np.isfinite(weight) for weight in weights.values() if weight is not None)


def test_a_target_that_is_met_to_the_last_digits_is_met() -> None:
    pair = {"n_nodes": 2, "starts": np.array([0]), "ends": np.array([1]), "costs": np.ones(1)}
    exact = Measurements(**pair, variances=np.array([4.0]), counts=np.array([1.0]), limits=np.full(1, 9.0), target=1.0)
    for variance, done in ((4.0 * (1 + 1e-12), True), (4.0 * (1 + 1e-6), False)):
        assert Allocation(replace(exact, variances=np.array([variance]))).is_done is done
