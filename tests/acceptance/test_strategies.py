"""A network with a Strategy: the flow of the control pool has its Tasks made, until the Strategy wants no more."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

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
from tests.acceptance.prefect_api import ask as prefect
from tests.strategies import WantingSettings, WantingStrategy

SCOPE = Scope("acceptance", "tests", "strategies")
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

Wait = Callable[..., None]
# several waits, each with a limit of its own
pytestmark = pytest.mark.timeout(900)


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
    made = {"parameters": {}, "idempotency_key": uuid4().hex}
    return str(prefect(stack, "POST", f"/deployments/{deployment}/create_flow_run", **made)["id"])


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
    # task runs are told of by events, which Prefect's server takes down in its own time
    of_it = {"task_runs": {"id": {"any_": [artifact["task_run_id"]]}}}
    wait(lambda: prefect(stack, "POST", "/task_runs/filter", **of_it), "its task run")
    (task_run,) = prefect(stack, "POST", "/task_runs/filter", **of_it)
    assert task_run["name"] == str(network)


def test_full_mode_frees_a_worker_while_the_api_is_down_and_a_strategy_beside_it_fails(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait, tmp_path: Path
) -> None:
    slow = protocols.SleepingSettings(
        n_units=1, duration=600.0 * protocols.unit.second, marker_directory=str(tmp_path / "units")
    )
    unwanted = protocols.transformation(protocols.SleepingProtocol(slow), uuid4().hex)
    short = protocols.FanOutSettings(n_samples=1)
    wanted = protocols.transformation(protocols.FanOutProtocol(short), uuid4().hex)
    network, failing = (
        client.create_network(AlchemicalNetwork(edges=edges, name=uuid4().hex), SCOPE, visualize=False)
        for edges in ([unwanted, wanted], [wanted])
    )
    (running,) = client.create_tasks(ScopedKey.of(str(unwanted.key), SCOPE))
    client.action_tasks([running], network)
    wait(lambda: protocols.executions(tmp_path / "units")["sleep-0"], "the Task to run")

    asked = tmp_path / "asked"
    chosen = WantingSettings(wanted=wanted.name, marker_directory=str(asked))
    client.set_network_strategy(network, WantingStrategy(chosen), max_tasks_per_transformation=1, mode="full")
    client.set_network_strategy(failing, WantingStrategy(WantingSettings(wanted="nothing")))
    run = begin_strategies(stack, wait)
    wait(lambda: protocols.executions(asked)["asked"], "the Strategy to be asked")
    os.kill(stack.processes["api"].popen.pid, signal.SIGKILL)
    stack.processes.pop("api").popen.wait()
    protocols.wake(asked)
    assert end_of(run, stack, wait) == "1 Completed, 1 StrategyFailed"
    stack.start_api()

    (task,) = client.get_transformation_tasks(ScopedKey.of(str(wanted.key), SCOPE))
    wait(lambda: client.get_tasks_status([task]) == ["complete"], "the wanted Task to complete")
    runs = {"flow_runs": {"name": {"any_": [str(running)]}}}

    def states() -> set[str]:
        return {found["state_type"] for found in prefect(stack, "POST", "/flow_runs/filter", **runs)}

    # told by whom it hears first: by Prefect, or by the API that is back
    wait(lambda: states() and states() <= {"CANCELLED", "CRASHED"}, "the flow run of the other to be cancelled")
    assert client.get_tasks_status([running]) == ["waiting"]
    assert protocols.executions(tmp_path / "units")["woke-0"] == 0
    assert proposed(client, network).summary == "awake; created 1, actioned 0, cancelled 1"

    state = client.get_network_strategy_state(failing)
    assert state is not None
    assert (state.status.value, state.exception) == (
        "error",
        ("LookupError", "there is no nothing among 1 Transformations"),
    )
    assert "in _propose" in (state.traceback or "")
    client.set_network_strategy_awake(failing)
    assert client.get_network_strategy_status(failing) == "awake"
    for key in (network, failing):
        client.set_network_strategy(key, None)


def proposed(client: AlchemiscaleClient, network: ScopedKey) -> Any:
    found = client.get_network_strategy_proposal(network)
    assert found is not None
    return found
