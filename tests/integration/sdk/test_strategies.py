"""Strategies of networks through the client. The names of `TestNetworkStrategy` are alchemiscale's."""

from typing import Any

import pytest
from sqlalchemy import text

from alchemiscale_prefect import (
    AlchemiscaleClient,
    AlchemiscaleClientError,
    ScopedKey,
    StrategyModeEnum,
    StrategyState,
    StrategyStatusEnum,
    StrategyTaskScalingEnum,
)
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, Transformation
from alchemiscale_prefect.domain.errors import InvalidInput
from tests.integration.sdk.conftest import SCOPES
from tests.strategies import EvenSettings, EvenStrategy


@pytest.fixture
def strategy() -> EvenStrategy:
    return EvenStrategy(EvenSettings(max_runs=4))


def perform(system: System, **values: Any) -> None:
    """Write down what an iteration of the only Strategy came to."""
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    with system.database.transaction() as connection:
        done = connection.execute(
            text(f"update strategy set {assignments}, last_iteration = now()"),
            values,
        )
        assert done.rowcount == 1


class TestNetworkStrategy:
    def test_set_network_strategy(
        self, client: AlchemiscaleClient, network_key: ScopedKey, strategy: EvenStrategy
    ) -> None:
        assert client.get_network_strategy(network_key) is None
        key = client.set_network_strategy(network_key, strategy)
        assert key == ScopedKey.of(str(strategy.key), network_key.scope)
        assert client.check_exists(key)
        found = client.get_network_strategy(str(network_key))
        assert found == strategy
        assert found.settings.max_runs == 4
        other = EvenStrategy(EvenSettings(max_runs=5))
        assert client.set_network_strategy(str(network_key), other) == ScopedKey.of(str(other.key), network_key.scope)
        assert client.get_network_strategy(network_key) == other
        assert client.set_network_strategy(network_key, None) is None
        assert client.get_network_strategy(network_key) is None
        assert client.get_network_strategy_state(network_key) is None
        # nothing to remove
        assert client.set_network_strategy(network_key, None) is None

    def test_get_network_strategy_state(
        self, client: AlchemiscaleClient, network_key: ScopedKey, strategy: EvenStrategy
    ) -> None:
        assert client.get_network_strategy_state(network_key) is None
        client.set_network_strategy(network_key, strategy)
        state = client.get_network_strategy_state(network_key)
        assert state == StrategyState()
        client.set_network_strategy(
            network_key,
            strategy,
            max_tasks_per_transformation=7,
            task_scaling="linear",
            mode=StrategyModeEnum.full,
            sleep_interval=600,
        )
        state = client.get_network_strategy_state(network_key)
        assert state == StrategyState(
            mode=StrategyModeEnum.full,
            task_scaling=StrategyTaskScalingEnum.linear,
            max_tasks_per_transformation=7,
            sleep_interval=600,
        )
        assert isinstance(state.mode, StrategyModeEnum)

    def test_get_network_strategy_status(
        self, client: AlchemiscaleClient, system: System, network_key: ScopedKey, strategy: EvenStrategy
    ) -> None:
        assert client.get_network_strategy_status(network_key) is None
        client.set_network_strategy(network_key, strategy)
        assert client.get_network_strategy_status(network_key) == "awake"
        perform(system, status="dormant")
        assert client.get_network_strategy_status(network_key) == "dormant"

    def test_set_network_strategy_awake(
        self, client: AlchemiscaleClient, system: System, network_key: ScopedKey, strategy: EvenStrategy
    ) -> None:
        assert client.set_network_strategy_awake(network_key) is None
        client.set_network_strategy(network_key, strategy)
        perform(
            system,
            status="error",
            iterations=5,
            last_iteration_result_count=12,
            exception='["ValueError", "no weights"]',
            traceback="Traceback",
        )
        failed = client.get_network_strategy_state(network_key)
        assert failed is not None
        assert failed.status is StrategyStatusEnum.error
        assert (failed.exception, failed.traceback) == (("ValueError", "no weights"), "Traceback")
        assert failed.last_iteration is not None
        assert failed.last_iteration.utcoffset() is not None
        assert client.set_network_strategy_awake(network_key) == network_key
        awake = client.get_network_strategy_state(network_key)
        # what it has come to stays
        expected = {**failed.to_dict(), "status": "awake", "exception": None, "traceback": None}
        assert awake == StrategyState.from_dict(expected)


def test_a_strategy_set_again_begins_anew(
    client: AlchemiscaleClient, system: System, network_key: ScopedKey, strategy: EvenStrategy
) -> None:
    client.set_network_strategy(network_key, strategy, mode="full")
    perform(system, status="dormant", iterations=5, last_iteration_result_count=3, traceback="Traceback")
    client.set_network_strategy(network_key, strategy)
    assert client.get_network_strategy_state(network_key) == StrategyState()


def test_networks_and_scopes_have_strategies_of_their_own(
    client: AlchemiscaleClient, network_key: ScopedKey, network: AlchemicalNetwork, strategy: EvenStrategy
) -> None:
    elsewhere = ScopedKey.of(str(network.key), SCOPES[1])
    key = client.set_network_strategy(elsewhere, strategy)
    assert key is not None
    assert key.scope == SCOPES[1]
    assert client.get_network_strategy(network_key) is None
    assert client.get_network_strategy(elsewhere) == strategy


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"mode": "sometimes"}, "mode"),
        ({"task_scaling": "quadratic"}, "task_scaling"),
        ({"sleep_interval": 0}, "sleep_interval"),
        ({"sleep_interval": 1.5}, "sleep_interval"),
        ({"max_tasks_per_transformation": -1}, "max_tasks_per_transformation"),
        ({"max_tasks_per_transformation": 2**31}, "max_tasks_per_transformation"),
    ],
)
def test_a_setting_that_is_none_changes_nothing(
    client: AlchemiscaleClient, network_key: ScopedKey, strategy: EvenStrategy, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(AlchemiscaleClientError, match=f"Status Code 422 : .*`{field}`") as refused:
        client.set_network_strategy(network_key, strategy, **given)
    assert refused.value.field == field
    assert client.get_network_strategy_state(network_key) is None


def test_what_is_no_strategy_is_not_sent(
    client: AlchemiscaleClient, network_key: ScopedKey, transformation: Transformation
) -> None:
    for wrong in (transformation, EvenSettings(), "ConnectivityStrategy", {}):
        with pytest.raises(InvalidInput, match="`strategy` must be a Strategy") as refused:
            client.set_network_strategy(network_key, wrong)
        assert refused.value.field == "strategy"


def test_a_network_that_is_not_there(
    client: AlchemiscaleClient, network_key: ScopedKey, transformation_key: ScopedKey, strategy: EvenStrategy
) -> None:
    missing = ScopedKey.of("AlchemicalNetwork-0", network_key.scope)
    for given in (strategy, None):
        with pytest.raises(AlchemiscaleClientError, match="Status Code 400 : Bad Request : 'No such object"):
            client.set_network_strategy(missing, given)
        with pytest.raises(AlchemiscaleClientError, match="does not correspond to an `AlchemicalNetwork`"):
            client.set_network_strategy(transformation_key, given)
    assert client.get_network_strategy(missing) is None
    assert client.get_network_strategy_state(missing) is None
    assert client.get_network_strategy_status(missing) is None
    assert client.set_network_strategy_awake(missing) is None


def test_a_scope_that_is_not_ones_own(
    client: AlchemiscaleClient, other_client: AlchemiscaleClient, network_key: ScopedKey, strategy: EvenStrategy
) -> None:
    client.set_network_strategy(network_key, strategy)
    for call in (
        lambda: other_client.set_network_strategy(network_key, strategy),
        lambda: other_client.set_network_strategy(network_key, None),
        lambda: other_client.get_network_strategy(network_key),
        lambda: other_client.get_network_strategy_state(network_key),
        lambda: other_client.get_network_strategy_status(network_key),
        lambda: other_client.set_network_strategy_awake(network_key),
    ):
        with pytest.raises(AlchemiscaleClientError, match="Status Code 401"):
            call()
    assert client.get_network_strategy(network_key) == strategy
