"""A Task's whole way, and what becomes of it when something breaks.

A flow run costs seconds of CPU. Tasks that need no watching are therefore all actioned before the first test and run
side by side (`Early`), and what several tests ask is asked of one of them.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, Protocol, unit
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.local.stack import USER, LocalStack
from alchemiscale_prefect.sdk.client import AlchemiscaleClient
from tests import protocols
from tests.acceptance.prefect_api import ask

SCOPE = Scope("acceptance", "tests", "execution")

SHARED = 5
"""Tasks on two networks at once."""

Wait = Callable[..., None]
# several waits, each with a limit of its own
pytestmark = pytest.mark.timeout(900)


def submit(client: AlchemiscaleClient, protocol: Protocol, count: int = 1) -> tuple[ScopedKey, list[ScopedKey]]:
    """A network of one edge with `count` actioned Tasks."""
    network = AlchemicalNetwork(edges=[protocols.transformation(protocol, name=uuid4().hex)], name=uuid4().hex)
    network_key = client.create_network(network, SCOPE, visualize=False)
    (edge,) = client.get_network_transformations(network_key)
    tasks = client.create_tasks(edge, count=count)
    assert client.action_tasks(tasks, network_key) == tasks
    return network_key, tasks


def prefect(stack: LocalStack, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = ask(stack, "POST", path, **body)
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


@dataclass(frozen=True)
class Early:
    """What is actioned before the first test: a network and its Tasks of each kind."""

    fan_out: tuple[ScopedKey, list[ScopedKey]]
    failing: tuple[ScopedKey, list[ScopedKey]]
    extended: tuple[ScopedKey, list[ScopedKey]]
    shared: tuple[ScopedKey, list[ScopedKey]]
    markers: Path
    """Of the shared ones, of which one unit fails at its first try."""


@pytest.fixture(scope="module")
def early(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Early:
    markers = tmp_path_factory.mktemp("markers")
    flaky = protocols.FlakyProtocol(protocols.FlakySettings(failures=1, marker_directory=str(markers)))
    with (
        pytest.MonkeyPatch.context() as patch,
        AlchemiscaleClient(stack.config.api_url, USER, stack.config.user_key, use_local_cache=False) as client,
    ):
        patch.setenv("ALCHEMISCALE_ALLOWED_MODULES", protocols.MODULE)
        shared = submit(client, flaky, count=SHARED)
        # the same Transformation on a second network: actioned on both, each Task still runs once
        (edge,) = client.get_network_transformations(shared[0])
        decoded = client.get_transformation(edge, visualize=False)
        other = client.create_network(AlchemicalNetwork(edges=[decoded], name=uuid4().hex), SCOPE, visualize=False)
        client.action_tasks(shared[1], other)
        return Early(
            submit(client, protocols.FanOutProtocol(protocols.FanOutSettings(n_samples=3))),
            submit(client, protocols.FailingProtocol(protocols.FailingSettings(message="Particle coordinate is NaN"))),
            submit(client, protocols.ExtendingProtocol(protocols.FanOutSettings(n_samples=3))),
            shared,
            markers,
        )


def test_a_task_becomes_a_flow_run_and_its_units_task_runs(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait, early: Early
) -> None:
    network, (task,) = early.fan_out
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
    # task runs are told of by events, which Prefect's server takes down in its own time
    units = ["analysis", "sample 0", "sample 1", "sample 2", "setup"]
    of_it = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    wait(lambda: sorted(item["name"] for item in prefect(stack, "/task_runs/filter", of_it)) == units, "its task runs")

    made = prefect(stack, "/artifacts/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    by_type = {artifact["type"]: artifact for artifact in made}
    assert by_type["progress"]["data"] == 100.0
    assert "ΔG = -1" in by_type["markdown"]["data"]

    estimates = client.get_network_estimates(network)
    assert len(estimates[0].estimates) == 1
    assert estimates[0].units == "kilojoule_per_mole"


def test_a_protocol_that_raises_ends_in_error_with_its_traceback(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait, early: Early
) -> None:
    network, (task,) = early.failing
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


def test_a_task_extends_the_result_of_another_and_the_stack_goes_on_after_a_failure(
    client: AlchemiscaleClient, wait: Wait, early: Early
) -> None:
    wait(lambda: status(client, early.failing[1][0]) == "error", "the failing Task to be in error")
    network, (first,) = early.extended
    (edge,) = client.get_network_transformations(network)
    (second,) = client.create_tasks(edge, extends=first)
    client.action_tasks([second], network)
    wait(lambda: status(client, second) == "complete", "the extension to complete")
    (before,) = client.get_task_results(first, visualize=False)
    (after,) = client.get_task_results(second, visualize=False)
    assert before.protocol_unit_results[-1].outputs["step"] == 3
    assert after.protocol_unit_results[-1].outputs["step"] == 6


def test_two_dispatchers_run_no_task_twice(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait, early: Early
) -> None:
    assert len([name for name in stack.processes if name.startswith("dispatcher")]) == 2
    network, tasks = early.shared
    wait(lambda: client.get_network_status(network, visualize=False) == {"complete": SHARED}, "all Tasks")
    assert [len(flow_runs(stack, task)) for task in tasks] == [1] * SHARED
    assert [len(client.get_task_results(task, visualize=False)) for task in tasks] == [1] * SHARED
    # each once, and one of them once more after its failure
    assert protocols.executions(early.markers)["flaky"] == SHARED + 1


def test_a_unit_that_fails_once_is_retried_and_the_failed_try_kept(
    client: AlchemiscaleClient, wait: Wait, early: Early
) -> None:
    network, tasks = early.shared
    wait(lambda: client.get_network_status(network, visualize=False) == {"complete": SHARED}, "all Tasks")
    pdrs = [pdr for task in tasks for pdr in client.get_task_results(task, visualize=False)]
    assert all(pdr.ok() for pdr in pdrs)
    failures = [failure for pdr in pdrs for failure in pdr.protocol_unit_failures]
    assert [failure.name for failure in failures] == ["flaky"]


def sleeping(client: AlchemiscaleClient, markers: Path, n_units: int, awake: int = 0) -> tuple[ScopedKey, ScopedKey]:
    """A Task whose units, but for the first `awake`, sleep until they are woken; its network and its key."""
    settings = protocols.SleepingSettings(
        n_units=n_units, awake=awake, duration=300.0 * unit.second, marker_directory=str(markers)
    )
    network, (task,) = submit(client, protocols.SleepingProtocol(settings))
    return network, task


def counts(markers: Path, what: str) -> list[int]:
    """How often units did something, for those that did."""
    return sorted(n for label, n in protocols.executions(markers).items() if label.startswith(f"{what}-"))


def test_a_run_killed_in_the_middle_is_taken_up_without_repeating_finished_units(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait, tmp_path: Path
) -> None:
    _, task = sleeping(client, tmp_path, n_units=4, awake=2)
    # two units at once: the second pair has begun when the first is stored
    wait(lambda: counts(tmp_path, "sleep") == [1, 1, 1, 1], "the second pair of units")
    done = [label for label in protocols.executions(tmp_path) if label.startswith("woke-")]
    process = process_of(task, stack)
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    protocols.wake(tmp_path)

    wait(lambda: status(client, task) == "complete", "the Task to complete after the kill")
    executions = protocols.executions(tmp_path)
    assert [executions[label.replace("woke", "sleep")] for label in done] == [1, 1], "a finished unit ran again"
    assert counts(tmp_path, "sleep") == [1, 1, 2, 2]
    assert counts(tmp_path, "woke") == [1, 1, 1, 1]
    assert protocols.executions(tmp_path)["awake"] == 1
    (pdr,) = client.get_task_results(task, visualize=False)
    assert pdr.ok()
    assert len(flow_runs(stack, task)) == 2


def test_a_run_told_to_stop_gives_its_task_back_at_once(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait, tmp_path: Path
) -> None:
    _, task = sleeping(client, tmp_path, n_units=2)
    wait(lambda: counts(tmp_path, "sleep"), "the first unit")
    process = process_of(task, stack)
    assert process is not None
    process.terminate()
    # threads that compute, here for five minutes, are not waited for
    assert process.wait(timeout=120.0) != 0
    protocols.wake(tmp_path)
    wait(lambda: status(client, task) == "complete", "another attempt to complete the Task")
    assert protocols.executions(tmp_path)["awake"] == 1


def test_a_task_that_is_cancelled_or_deleted_stops_computing(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait, tmp_path: Path
) -> None:
    network, task = sleeping(client, tmp_path, n_units=4, awake=2)

    def stops(stop: Callable[[], object]) -> None:
        process = process_of(task, stack)
        assert process is not None
        stop()
        wait(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, "the process to end", 120.0)

    wait(lambda: counts(tmp_path, "sleep") == [1, 1, 1, 1], "the second pair of units to begin")
    stops(lambda: client.cancel_tasks([task], network))
    assert status(client, task) == "waiting"
    assert counts(tmp_path, "woke") == [1, 1], "a stopped unit went on"
    over = {"CANCELLED", "CANCELLING", "CRASHED"}
    wait(lambda: flow_runs(stack, task)[0]["state_type"] in over, "Prefect to hear of it", 120.0)

    # it goes on from its checkpoint
    assert client.action_tasks([task], network) == [task]
    wait(lambda: counts(tmp_path, "sleep") == [1, 1, 2, 2], "the units that were stopped, and no other")
    # and it stops although the worker, whom Prefect asks to end it, hangs
    worker = stack.processes["worker"].popen.pid
    os.kill(worker, signal.SIGSTOP)
    try:
        stops(lambda: client.set_tasks_status([task], "deleted"))
    finally:
        os.kill(worker, signal.SIGCONT)
    assert status(client, task) == "deleted"
    assert client.get_task_results(task, visualize=False) == []
    assert counts(tmp_path, "woke") == [1, 1]


def test_the_api_restarts_under_a_running_task(
    stack: LocalStack, client: AlchemiscaleClient, wait: Wait, tmp_path: Path
) -> None:
    _, task = sleeping(client, tmp_path, n_units=2)
    wait(lambda: counts(tmp_path, "sleep") == [1, 1], "the units to begin")
    os.kill(stack.processes["api"].popen.pid, signal.SIGKILL)
    stack.processes.pop("api").popen.wait()
    # results are to be stored while nobody listens
    protocols.wake(tmp_path)
    wait(lambda: counts(tmp_path, "woke") == [1, 1], "the units to end")
    stack.start_api()
    wait(lambda: status(client, task) == "complete", "the Task to complete all the same")
    assert counts(tmp_path, "sleep") == [1, 1]
    assert protocols.executions(tmp_path)["awake"] == 1
