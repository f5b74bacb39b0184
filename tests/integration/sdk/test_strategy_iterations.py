"""Strategies at work on real networks: built from what is stored, given the results, until they want no more."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from alchemiscale_prefect import AlchemiscaleClient, Scope, ScopedKey
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.chemistry.base import GufeTokenizable
from alchemiscale_prefect.services import iterations
from alchemiscale_prefect.strategies import BudgetStrategy, ConnectivityStrategy
from alchemiscale_prefect.strategies.budget import BudgetStrategySettings
from alchemiscale_prefect.strategies.connectivity import ConnectivityStrategySettings
from alchemiscale_prefect.strategies.performing import propose, reads_summaries
from alchemiscale_prefect.wire.strategies import StrategyProposal
from tests import protocols
from tests.command_line import CommandLine
from tests.strategies import EvenSettings, EvenStrategy, ReadingSettings, ReadingStrategy


@pytest.fixture
def submitted(client: AlchemiscaleClient, scope: Scope) -> ScopedKey:
    """Three Transformations of a network of its own."""
    return client.create_network(protocols.chain_network(2, name="strategic"), scope)


def perform_all(system: System) -> list[StrategyProposal]:
    """What the strategy flow does, once."""
    due = iterations.due(system.database, timedelta())
    performed = [iterations.perform(system.database, system.objects, propose, network) for network in due]
    return [one for one in performed if one is not None]


@pytest.mark.parametrize(
    "strategy",
    [
        ConnectivityStrategy(ConnectivityStrategySettings(max_runs=2)),
        ReadingStrategy(ReadingSettings()),
    ],
    ids=lambda strategy: type(strategy).__name__,
)
def test_a_network_runs_to_dormancy_without_a_hand(
    client: AlchemiscaleClient,
    system: System,
    work: Callable[[], int],
    submitted: ScopedKey,
    strategy: GufeTokenizable,
) -> None:
    client.set_network_strategy(submitted, strategy, max_tasks_per_transformation=1)
    assert client.get_network_strategy_proposal(submitted) is None
    for _ in range(10):
        performed = perform_all(system)
        if not work():
            break
    assert perform_all(system) == []
    state = client.get_network_strategy_state(submitted)
    assert state is not None
    assert (state.status.value, state.exception) == ("dormant", None)
    edges = client.get_network_transformations(submitted)
    assert client.get_network_status(submitted, visualize=False) == {"complete": 2 * len(edges)}
    assert state.last_iteration_result_count == 2 * len(edges)
    assert performed == [client.get_network_strategy_proposal(submitted)]
    assert {change.weight for change in performed[0].changes} == {None}


@pytest.mark.parametrize("name", ["ConnectivityStrategy", "RadialGrowthStrategy"])
def test_a_strategy_of_stratocaster_runs_as_it_is(
    client: AlchemiscaleClient, system: System, work: Callable[[], int], submitted: ScopedKey, name: str
) -> None:
    made = getattr(pytest.importorskip("stratocaster.strategies", reason="stratocaster is not installed"), name)
    strategy = made(made.default_settings())
    client.set_network_strategy(submitted, strategy)
    assert client.get_network_strategy(submitted) == strategy
    for _ in range(10):
        assert [one.exception for one in perform_all(system)] in ([None], [])
        if not work():
            break
    assert client.get_network_strategy_status(submitted) == "dormant"
    counts = [len(client.get_transformation_tasks(edge)) for edge in client.get_network_transformations(submitted)]
    assert min(counts) >= strategy.settings.max_runs


def test_which_strategies_are_given_summaries() -> None:
    ours, theirs = ConnectivityStrategy(ConnectivityStrategy.default_settings()), ReadingStrategy(ReadingSettings())
    budget = BudgetStrategySettings(max_tasks=3)
    assert [reads_summaries(one) for one in (ours, theirs)] == [True, False]
    assert [reads_summaries(BudgetStrategy(budget, one)) for one in (ours, theirs)] == [True, False]


def test_strategies_are_performed_and_shown_on_the_command_line(
    cli: CommandLine, client: AlchemiscaleClient, system: System, submitted: ScopedKey
) -> None:
    settings = {
        "ALCHEMISCALE_DATABASE_URL": system.database.engine.url.render_as_string(hide_password=False),
        "ALCHEMISCALE_OBJECT_STORE": str(system.objects.folder),  # type: ignore[attr-defined]
    }
    operator = CommandLine({**cli.environment, **settings})
    assert operator.text("strategy", "run") == "no Strategy is due\n"
    assert operator.refused("strategy", "run", submitted)["code"] == "not_found"
    client.set_network_strategy(submitted, EvenStrategy(EvenSettings(max_runs=1)), task_scaling="linear")
    assert cli.text("strategy", "proposal", submitted) == ""
    (performed,) = operator.json("strategy", "run")["proposals"]
    assert performed == cli.json("strategy", "proposal", submitted)["proposal"]
    assert [len(change["created"]) for change in performed["changes"]] == [3, 3, 3]
    assert "awake; created 9, actioned 0, cancelled 0" in cli.text("strategy", "proposal", submitted)
    assert operator.json("strategy", "run")["proposals"] == []
    assert str(submitted) in operator.text("strategy", "run", submitted)
    state = client.get_network_strategy_state(submitted)
    assert state is not None
    assert state.iterations == 2
