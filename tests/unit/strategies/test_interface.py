"""What every built-in Strategy does alike."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from alchemiscale_prefect import strategies
from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.chemistry.allowed_modules import DEFAULT_PREFIXES, AllowedModules
from alchemiscale_prefect.chemistry.base import GufeKey
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.strategies import StrategyResult
from alchemiscale_prefect.strategies.base import Strategy, proposed_weights
from tests.strategies import EvenSettings, EvenStrategy
from tests.unit.strategies.networks import named, network, repeats, results

PLAIN = ("Connectivity", "CriticalConnectivity", "CycleClosure", "MappingScore", "RadialGrowth", "Uncertainty")

# two components, parallel edges, edges of a node to itself, a bridge, a cycle, a node alone
ODD = ("ab", "ab", "ba", "bc", "ca", "cd", "dd", "a", "a", "xy", "yz")


def make(name: str) -> Strategy:
    cls = getattr(strategies, f"{name}Strategy")
    if name == "Budget":
        return cls(cls.default_settings(), make("Uncertainty"))
    if name == "Stacked":
        return cls(cls.default_settings(), [make("RadialGrowth"), EvenStrategy(EvenSettings(max_runs=2))])
    return cls(cls.default_settings())


EVERY = (*PLAIN, "Budget", "Stacked")


@pytest.mark.parametrize("name", EVERY)
def test_every_transformation_of_an_odd_network_has_a_weight_until_none_has(name: str) -> None:
    strategy = make(name)
    odd = network(*ODD, alone="q")
    counts = dict.fromkeys(named(odd, {edge.key: 0 for edge in odd.edges}), 0)
    for _ in range(200):
        weights = named(odd, strategy.propose(odd, results(odd, counts)).weights)
        if all(weight is None for weight in weights.values()):
            break
        assert any(weights.values()), "nothing is to be done, and it is not finished"
        for edge, weight in weights.items():
            counts[edge] += weight is not None and weight > 0
    else:
        pytest.fail("it never finishes")
    assert all(n >= 1 for n in counts.values())


@pytest.mark.parametrize("name", EVERY)
def test_an_empty_network_is_finished(name: str) -> None:
    assert make(name).propose(network(alone="ab"), {}).weights == {}


@pytest.mark.parametrize("name", EVERY)
def test_it_comes_back_from_its_keyed_chain(name: str) -> None:
    strategy = make(name)
    allowed = AllowedModules((*DEFAULT_PREFIXES, "tests"))
    again = keyed_chains.from_json(keyed_chains.to_json(strategy), allowed=allowed)
    assert again == strategy
    assert again.key == strategy.key
    assert type(again.settings) is type(strategy.settings)


@pytest.mark.parametrize("name", PLAIN)
def test_other_settings_are_refused_and_those_it_has_cannot_be_changed(name: str) -> None:
    strategy = make(name)
    with pytest.raises(InvalidInput, match="expected a"):
        type(strategy)(EvenSettings())
    with pytest.raises((AttributeError, ValueError), match=r"frozen|immutable"):
        strategy.settings.max_runs = 7


def proposals() -> dict[str, dict[str, float | None]]:
    """What each proposes for an odd network with odd results."""
    odd = network(*ODD, alone="q")
    given = results(odd, {"ab": 2, "bc": repeats(5.0, 6.0), "ca": 1, "cd": 1, "xy": 1})
    return {name: {str(k): w for k, w in make(name).propose(odd, given).weights.items()} for name in EVERY}


def test_proposals_are_the_same_in_every_process() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import json, {__name__} as test; print(json.dumps(test.proposals()))"],
        env={**os.environ, "PYTHONHASHSEED": "4711"},  # this process has another one
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1]) == proposals()


def test_a_result_resolves_to_shares_as_stratocaster_has_it() -> None:
    result = StrategyResult({GufeKey("A-1"): 1.0, GufeKey("A-2"): 3.0, GufeKey("A-3"): None, GufeKey("A-4"): 0.0})
    assert {str(key): weight for key, weight in result.resolve().items()} == {
        "A-1": 0.25,
        "A-2": 0.75,
        "A-3": None,
        "A-4": 0.0,
    }
    # stratocaster divides by zero here
    assert StrategyResult({GufeKey("A-1"): 0.0}).resolve() == {GufeKey("A-1"): 0.0}


def test_results_of_different_transformations_are_joined() -> None:
    one, other = StrategyResult({GufeKey("A-1"): 1.0}, max_tasks=5), StrategyResult({GufeKey("A-2"): None}, max_tasks=3)
    both = one | other
    assert ({str(key) for key in both.weights}, both.max_tasks) == ({"A-1", "A-2"}, 3)
    with pytest.raises(InvalidInput, match="A-1"):
        one | one


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_result_holds_weights_alone(weight: float) -> None:
    with pytest.raises(InvalidInput, match="at least 0"):
        StrategyResult({GufeKey("A-1"): weight})


def test_what_has_no_weights_is_no_proposal() -> None:
    assert proposed_weights({GufeKey("A-1"): 1}) == {"A-1": 1.0}
    with pytest.raises(InvalidInput, match="got int"):
        proposed_weights(3)


def test_the_room_gives_its_names_and_no_others() -> None:
    assert all(getattr(strategies, name).__name__ == name for name in strategies.__all__)
    with pytest.raises(AttributeError, match="NoStrategy"):
        strategies.NoStrategy  # noqa: B018 - looking it up is the point


@pytest.mark.skipif(find_spec("stratocaster") is None, reason="stratocaster is not installed")
def test_stratocaster_takes_ours_for_its_own_and_ours_take_its() -> None:
    from stratocaster import base
    from stratocaster.strategies import ConnectivityStrategy as Theirs

    ours = make("Connectivity")
    net = network("ab", "bc", "cd", "xy")
    given = results(net, {"ab": 1, "cd": 3})
    assert isinstance(ours, base.Strategy)
    assert isinstance(ours.settings, base.StrategySettings)
    assert isinstance(ours.propose(net, given), base.StrategyResult)
    theirs = Theirs(Theirs.default_settings())
    assert theirs.propose(net, given).resolve() == ours.propose(net, given).resolve()
    budget = strategies.BudgetStrategy(strategies.BudgetStrategy.default_settings(), theirs)
    assert budget.propose(net, given).weights == ours.propose(net, given).weights
    assert keyed_chains.from_json(keyed_chains.to_json(budget)) == budget
