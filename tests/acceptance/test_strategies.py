"""A network with a Strategy: the flow of the control pool has its Tasks made, until the Strategy wants no more."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.local.stack import POOL, LocalStack
from alchemiscale_prefect.orchestration.reporting import artifact_key
from alchemiscale_prefect.sdk.client import AlchemiscaleClient
from alchemiscale_prefect.strategies import ConnectivityStrategy
from alchemiscale_prefect.strategies.connectivity import ConnectivityStrategySettings
from tests import protocols

SCOPE = Scope("acceptance", "tests", "strategies")
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

Wait = Callable[..., None]


def prefect(stack: LocalStack, method: str, path: str, **body: Any) -> Any:
    url = f"{stack.config.prefect_api_url}{path}"
    response = httpx.request(method, url, json=body or None, timeout=30.0, verify=False)
    response.raise_for_status()
    return response.json() if response.content else None


@pytest.fixture(autouse=True)
def _performed_by_hand_alone(stack: LocalStack) -> None:
    """The schedule is paused: a run of it would do what these tests wait for, or keep theirs from running."""
    deployment = prefect(stack, "GET", f"/deployments/name/strategy/{POOL}")
    for schedule in deployment["schedules"]:
        prefect(stack, "PATCH", f"/deployments/{deployment['id']}/schedules/{schedule['id']}", active=False)


def begin_strategies(stack: LocalStack, wait: Wait) -> str:
    """Run the flow once, as its schedule does every few minutes; its flow run."""
    deployment = prefect(stack, "GET", f"/deployments/name/strategy/{POOL}")["id"]
    states = {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}
    query = {"deployments": {"id": {"any_": [deployment]}}, "flow_runs": {"state": states}}
    wait(lambda: not prefect(stack, "POST", "/flow_runs/filter", **query), "the schedule's last run to end")
    return str(prefect(stack, "POST", f"/deployments/{deployment}/create_flow_run", parameters={})["id"])


def end_of(run: str, stack: LocalStack, wait: Wait) -> str:
    """What the end of the flow run says."""

    def state() -> dict[str, Any]:
        found: dict[str, Any] = prefect(stack, "GET", f"/flow_runs/{run}")["state"]
        return found

    wait(lambda: state()["type"] in ENDED, "the strategy flow to end")
    ended = state()
    assert ended["type"] == "COMPLETED", ended
    return str(ended["message"])


def perform_strategies(stack: LocalStack, wait: Wait) -> str:
    return end_of(begin_strategies(stack, wait), stack, wait)


def test_a_network_with_a_strategy_runs_to_dormancy_without_a_hand(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait
) -> None:
    edge = protocols.transformation(protocols.FanOutProtocol(protocols.FanOutSettings(n_samples=1)), uuid4().hex)
    network = client.create_network(AlchemicalNetwork(edges=[edge], name=uuid4().hex), SCOPE, visualize=False)
    client.set_network_strategy(
        network, ConnectivityStrategy(ConnectivityStrategySettings(max_runs=1)), max_tasks_per_transformation=1
    )
    assert perform_strategies(stack, wait) == "1 Completed"
    (change,) = proposed(client, network).changes
    assert (change.weight, change.target, len(change.created)) == (1.0, 1, 1)

    wait(lambda: client.get_network_status(network, visualize=False) == {"complete": 1}, "the Task to complete")
    assert perform_strategies(stack, wait) == "1 Completed"
    assert client.get_network_strategy_status(network) == "dormant"
    assert proposed(client, network).iteration == 2

    key = artifact_key("alchemiscale-strategy", str(network))
    artifact = prefect(stack, "GET", f"/artifacts/{key}/latest")
    assert (artifact["type"], "dormant" in artifact["description"]) == ("table", True)
    (task_run, *_) = prefect(stack, "POST", "/task_runs/filter", task_runs={"id": {"any_": [artifact["task_run_id"]]}})
    assert task_run["name"] == str(network)


def proposed(client: AlchemiscaleClient, network: ScopedKey) -> Any:
    found = client.get_network_strategy_proposal(network)
    assert found is not None
    return found
