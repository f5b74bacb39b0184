"""A Task's whole way, and what becomes of it when something breaks."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, Protocol, unit
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.local.stack import LocalStack
from alchemiscale_prefect.sdk.client import AlchemiscaleClient
from tests import protocols
from tests.acceptance.conftest import LEASE_SECONDS

SCOPE = Scope("acceptance", "tests", "execution")

Wait = Callable[..., None]


def submit(client: AlchemiscaleClient, protocol: Protocol, count: int = 1) -> tuple[ScopedKey, list[ScopedKey]]:
    """A network of one edge with `count` actioned Tasks."""
    network = AlchemicalNetwork(edges=[protocols.transformation(protocol, name=uuid4().hex)], name=uuid4().hex)
    network_key = client.create_network(network, SCOPE, visualize=False)
    (edge,) = client.get_network_transformations(network_key)
    tasks = client.create_tasks(edge, count=count)
    assert client.action_tasks(tasks, network_key) == tasks
    return network_key, tasks


def prefect(stack: LocalStack, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    response = httpx.post(f"{stack.config.prefect_api_url}{path}", json=body, timeout=30.0)
    response.raise_for_status()
    answer: list[dict[str, Any]] = response.json()
    return answer


def flow_runs(stack: LocalStack, task: ScopedKey) -> list[dict[str, Any]]:
    """The flow runs of a Task, oldest first."""
    runs = prefect(stack, "/flow_runs/filter", {"flow_runs": {"name": {"any_": [str(task)]}}})
    return sorted(runs, key=lambda run: run["created"])


def process_of(task: ScopedKey, stack: LocalStack) -> psutil.Process | None:
    """The process that executes the Task now."""
    (run, *_) = [run for run in flow_runs(stack, task) if run["state_type"] == "RUNNING"] or [None]
    if run is None:
        return None
    for process in psutil.process_iter(["environ", "cmdline"]):
        environment = process.info["environ"] or {}
        command = " ".join(process.info["cmdline"] or ())
        if environment.get("PREFECT__FLOW_RUN_ID") == run["id"] and "prefect.engine" in command:
            return process
    return None


def status(client: AlchemiscaleClient, task: ScopedKey) -> str | None:
    return client.get_tasks_status([task])[0]


def test_a_task_becomes_a_flow_run_and_its_units_task_runs(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait
) -> None:
    settings = protocols.FanOutSettings(n_samples=3)
    network, (task,) = submit(client, protocols.FanOutProtocol(settings))
    wait(lambda: status(client, task) == "complete", "the Task to complete")

    (edge,) = client.get_network_transformations(network)
    result = client.get_transformation_results(edge, visualize=False)
    assert result is not None
    assert abs(result.get_estimate().m_as("kilojoule_per_mole") + 12.5) < 1.5
    (pdr,) = client.get_task_results(task, visualize=False)
    assert pdr.ok()
    assert client.get_network_status(network, visualize=False) == {"complete": 1}

    (run,) = flow_runs(stack, task)
    wait(lambda: flow_runs(stack, task)[0]["state_type"] == "COMPLETED", "the flow run to complete")
    assert {"alchemiscale", f"scope:{SCOPE}", f"network:{network}", f"transformation:{edge}"} <= set(run["tags"])
    task_runs = prefect(stack, "/task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    assert sorted(item["name"] for item in task_runs) == ["analysis", "sample 0", "sample 1", "sample 2", "setup"]

    made = prefect(stack, "/artifacts/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    by_type = {artifact["type"]: artifact for artifact in made}
    assert by_type["progress"]["data"] == 100.0
    assert "ΔG = -1" in by_type["markdown"]["data"]

    estimates = client.get_network_estimates(network)
    assert len(estimates[0].estimates) == 1
    assert estimates[0].units == "kilojoule_per_mole"


def test_a_protocol_that_raises_ends_in_error_with_its_traceback(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait
) -> None:
    settings = protocols.FailingSettings(message="Particle coordinate is NaN")
    network, (task,) = submit(client, protocols.FailingProtocol(settings))
    wait(lambda: status(client, task) == "error", "the Task to be in error")

    (failure,) = client.get_task_failures(task, visualize=False)
    assert not failure.ok()
    # one try and three retries, every one kept
    assert len(failure.protocol_unit_failures) == 4
    assert all("Particle coordinate is NaN" in item.traceback for item in failure.protocol_unit_failures)
    assert client.get_task_results(task, visualize=False) == []
    (edge,) = client.get_network_transformations(network)
    assert client.get_transformation_results(edge, visualize=False) is None
    wait(lambda: flow_runs(stack, task)[0]["state_type"] == "FAILED", "the flow run to be Failed")
    # and the stack goes on
    _, (other,) = submit(client, protocols.FanOutProtocol(protocols.FanOutSettings()))
    wait(lambda: status(client, other) == "complete", "another Task to complete")


def test_a_unit_that_fails_once_is_retried_and_the_failed_try_kept(
    client: AlchemiscaleClient, wait: Wait, tmp_path: Path
) -> None:
    settings = protocols.FlakySettings(failures=1, marker_directory=str(tmp_path))
    _, (task,) = submit(client, protocols.FlakyProtocol(settings))
    wait(lambda: status(client, task) == "complete", "the Task to complete")
    (pdr,) = client.get_task_results(task, visualize=False)
    assert pdr.ok()
    assert [failure.name for failure in pdr.protocol_unit_failures] == ["flaky"]


def test_a_run_killed_in_the_middle_is_taken_up_without_repeating_finished_units(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait, tmp_path: Path
) -> None:
    settings = protocols.SleepingSettings(n_units=4, duration=2.0 * unit.second, marker_directory=str(tmp_path))
    _, (task,) = submit(client, protocols.SleepingProtocol(settings))
    # two units at once: the second pair has begun when the first is stored
    wait(lambda: sum(protocols.executions(tmp_path)[f"sleep-{i}"] for i in range(4)) == 4, "the second pair of units")
    done = {f"sleep-{i}" for i in range(4) if protocols.executions(tmp_path)[f"woke-{i}"]}
    assert len(done) >= 2
    process = process_of(task, stack)
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)

    wait(lambda: status(client, task) == "complete", "the Task to complete after the kill", 90 + LEASE_SECONDS)
    counts = protocols.executions(tmp_path)
    assert {name: counts[name] for name in done} == dict.fromkeys(done, 1), "a finished unit ran again"
    assert {counts[f"woke-{i}"] for i in range(4)} == {1}
    assert counts["awake"] == 1
    (pdr,) = client.get_task_results(task, visualize=False)
    assert pdr.ok()
    assert len(flow_runs(stack, task)) == 2


def test_a_run_told_to_stop_gives_its_task_back_at_once(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait, tmp_path: Path
) -> None:
    settings = protocols.SleepingSettings(n_units=2, duration=3.0 * unit.second, marker_directory=str(tmp_path))
    _, (task,) = submit(client, protocols.SleepingProtocol(settings))
    wait(lambda: protocols.executions(tmp_path)["sleep-0"], "the first unit")
    process = process_of(task, stack)
    assert process is not None
    process.terminate()
    # threads that compute are not waited for
    assert process.wait(timeout=5.0) != 0
    wait(lambda: status(client, task) == "complete", "another attempt to complete the Task")
    assert protocols.executions(tmp_path)["awake"] == 1


def test_a_task_that_is_cancelled_or_deleted_stops_computing(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait, tmp_path: Path
) -> None:
    # two units at once: the second pair begins when the first is done
    settings = protocols.SleepingSettings(n_units=4, duration=3.0 * unit.second, marker_directory=str(tmp_path))
    network, (task,) = submit(client, protocols.SleepingProtocol(settings))

    def begun() -> list[int]:
        return sorted(protocols.executions(tmp_path)[f"sleep-{i}"] for i in range(4))

    def stops(stop: Callable[[], object]) -> None:
        process = process_of(task, stack)
        assert process is not None
        stop()
        wait(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, "the process to end", 30.0)

    wait(lambda: begun() == [1, 1, 1, 1], "the second pair of units to begin")
    stops(lambda: client.cancel_tasks([task], network))
    assert status(client, task) == "waiting"
    woke = [protocols.executions(tmp_path)[f"woke-{i}"] for i in range(4)]
    assert sorted(woke) == [0, 0, 1, 1], "a stopped unit went on"
    over = {"CANCELLED", "CANCELLING", "CRASHED"}
    wait(lambda: flow_runs(stack, task)[0]["state_type"] in over, "Prefect to hear of it", 30.0)

    # it goes on from its checkpoint
    assert client.action_tasks([task], network) == [task]
    wait(lambda: begun() == [1, 1, 2, 2], "the units that were stopped, and no other")
    stops(lambda: client.set_tasks_status([task], "deleted"))
    assert status(client, task) == "deleted"
    assert client.get_task_results(task, visualize=False) == []
    assert [protocols.executions(tmp_path)[f"woke-{i}"] for i in range(4)] == woke


def test_two_dispatchers_run_no_task_twice(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait, tmp_path: Path
) -> None:
    assert len([name for name in stack.processes if name.startswith("dispatcher")]) == 2
    settings = protocols.FlakySettings(failures=0, marker_directory=str(tmp_path))
    network, tasks = submit(client, protocols.FlakyProtocol(settings), count=12)
    # the same Transformation on a second network: actioned on both, each Task still runs once
    (edge,) = client.get_network_transformations(network)
    decoded = client.get_transformation(edge, visualize=False)
    other = client.create_network(AlchemicalNetwork(edges=[decoded], name=uuid4().hex), SCOPE, visualize=False)
    client.action_tasks(tasks, other)
    wait(lambda: client.get_network_status(network, visualize=False) == {"complete": 12}, "all Tasks", 180)
    assert protocols.executions(tmp_path)["flaky"] == 12
    assert [len(flow_runs(stack, task)) for task in tasks] == [1] * 12
    assert [len(client.get_task_results(task, visualize=False)) for task in tasks] == [1] * 12


def test_a_task_extends_the_result_of_another(client: AlchemiscaleClient, wait: Wait) -> None:
    network, (first,) = submit(client, protocols.ExtendingProtocol(protocols.FanOutSettings(n_samples=3)))
    (edge,) = client.get_network_transformations(network)
    (second,) = client.create_tasks(edge, extends=first)
    client.action_tasks([second], network)
    wait(lambda: status(client, second) == "complete", "the extension to complete", 120)
    (before,) = client.get_task_results(first, visualize=False)
    (after,) = client.get_task_results(second, visualize=False)
    assert before.protocol_unit_results[-1].outputs["step"] == 3
    assert after.protocol_unit_results[-1].outputs["step"] == 6


def test_the_api_restarts_under_a_running_task(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait, tmp_path: Path
) -> None:
    settings = protocols.SleepingSettings(n_units=2, duration=4.0 * unit.second, marker_directory=str(tmp_path))
    _, (task,) = submit(client, protocols.SleepingProtocol(settings))
    wait(lambda: protocols.executions(tmp_path)["sleep-0"], "the units to begin")
    os.kill(stack.processes["api"].popen.pid, signal.SIGKILL)
    stack.processes.pop("api").popen.wait()
    stack.start_api()
    wait(lambda: status(client, task) == "complete", "the Task to complete all the same")
    counts = protocols.executions(tmp_path)
    assert (counts["sleep-0"], counts["sleep-1"], counts["awake"]) == (1, 1, 1)
