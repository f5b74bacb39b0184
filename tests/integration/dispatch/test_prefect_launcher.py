"""The launcher against a real Prefect server, on SQLite: creation in bulk with idempotency, states, cancellation."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import LogCreate, WorkPoolUpdate
from prefect.client.schemas.objects import StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling, Completed, Crashed, Pending, Running, State

from alchemiscale_prefect.domain.attempts import AttemptId, Capacity, Fate, Launch, RunState
from alchemiscale_prefect.domain.checks import CheckStatus
from alchemiscale_prefect.domain.errors import Unavailable
from alchemiscale_prefect.orchestration import flow_runs as flow_runs_module
from alchemiscale_prefect.orchestration import launcher as launcher_module
from alchemiscale_prefect.orchestration.cancellation import is_cancelled
from alchemiscale_prefect.orchestration.checks import check_prefect
from alchemiscale_prefect.orchestration.control import RECONCILE, STRATEGY, deploy_control
from alchemiscale_prefect.orchestration.deployments import deploy_run_task, ensure_process_pool
from alchemiscale_prefect.orchestration.flow_runs import PrefectFlowRuns
from alchemiscale_prefect.orchestration.launcher import LOOK_UP_SIZE, PrefectLauncher
from alchemiscale_prefect.services import dispatch
from alchemiscale_prefect.services.dispatch import Pass
from tests.command_line import CommandLine
from tests.integration.dispatch.prefect_server import (
    deploy_other,
    launch_one,
    make_launches,
    move,
    prefect_server,
    update_queue,
)
from tests.integration.dispatch.world import World, pool

POOL = "test-pool"


@pytest.fixture(scope="module")
def prefect_api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server."""
    with prefect_server(tmp_path_factory.mktemp("prefect")) as url:
        yield url


@pytest.fixture(scope="module")
def client(prefect_api_url: str) -> Iterator[SyncPrefectClient]:
    with SyncPrefectClient(prefect_api_url) as client:
        yield client


@pytest.fixture(scope="module")
def deployment(client: SyncPrefectClient) -> str:
    ensure_process_pool(client, POOL)
    return deploy_run_task(client, POOL, working_directory=Path("/tmp"))


@pytest.fixture
def launcher(prefect_api_url: str, deployment: str) -> Iterator[PrefectLauncher]:
    """As the dispatcher makes it: with the client that ``PREFECT_API_URL`` says."""
    with temporary_settings({PREFECT_API_URL: prefect_api_url}):
        launcher = PrefectLauncher(deployment)
        yield launcher
        launcher.close()


def test_deploying_twice_changes_nothing(client: SyncPrefectClient, deployment: str) -> None:
    before = client.read_deployment_by_name(deployment)
    ensure_process_pool(client, POOL)
    assert deploy_run_task(client, POOL, working_directory=Path("/tmp")) == deployment
    assert client.read_deployment_by_name(deployment).id == before.id


def test_a_flow_run_is_named_and_tagged_after_its_task(client: SyncPrefectClient, launcher: PrefectLauncher) -> None:
    launches = make_launches(1, n=7)
    (launched,) = launcher.launch(launches)
    assert launched.attempt == launches[0].attempt
    run = client.read_flow_run(launched.flow_run_id)
    assert run.name == launches[0].attempt.task
    assert set(run.tags) == {"alchemiscale", "scope:x"}
    assert run.parameters == {"task": launches[0].attempt.task, "attempt": 7}
    assert run.idempotency_key == launches[0].idempotency_key == f"{launches[0].attempt.task}:7"
    assert run.work_pool_name == POOL
    assert run.state_type is StateType.SCHEDULED


def test_asking_twice_makes_one_flow_run(launcher: PrefectLauncher) -> None:
    launches = make_launches(30)  # two calls
    first = launcher.launch(launches)
    assert [item.attempt for item in first] == [launch.attempt for launch in launches]
    assert len({item.flow_run_id for item in first}) == 30
    assert launcher.launch(launches[::-1]) == first[::-1]
    assert launcher.launch(launches[:1] * 2) == first[:1] * 2


def test_the_next_attempt_is_another_flow_run(launcher: PrefectLauncher) -> None:
    (launch,) = make_launches(1)
    again = Launch(AttemptId(launch.attempt.task, 2), launch.tags)
    first, second = launcher.launch([launch, again])
    assert first.flow_run_id != second.flow_run_id


def test_a_key_whose_run_was_cancelled_gives_the_old_run(launcher: PrefectLauncher) -> None:
    """Why the number of the attempt is in the key."""
    launches = make_launches(1)
    (first,) = launcher.launch(launches)
    launcher.cancel([first.flow_run_id])
    assert launcher.launch(launches) == (first,)
    assert launcher.states([first.flow_run_id]) == {first.flow_run_id: RunState.ended}


def test_an_item_that_fails_is_told_apart_from_its_neighbours(
    client: SyncPrefectClient, launcher: PrefectLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    launches = make_launches(3)
    real = launcher._post

    def damaged(path: str, body: list[dict[str, object]]) -> object:
        for item in body:
            if item["name"] == launches[1].attempt.task:
                item["parameters"] = {"task": {"__prefect_kind": "json", "value": "{no json"}}
        return real(path, body)

    monkeypatch.setattr(launcher, "_post", damaged)
    first, failed, third = launcher.launch(launches)
    assert failed.flow_run_id is None
    assert failed.error
    assert {first.error, third.error} == {None}
    monkeypatch.undo()
    again = launcher.launch(launches)
    assert (again[0], again[2]) == (first, third)
    assert again[1].flow_run_id is not None


def test_states_are_told_in_our_words(client: SyncPrefectClient, launcher: PrefectLauncher) -> None:
    histories: dict[RunState, tuple[State, ...]] = {
        RunState.scheduled: (),
        RunState.pending: (Pending(),),
        RunState.running: (Pending(), Running()),
        RunState.ended: (Pending(), Running(), Completed()),
    }
    runs = {launch_one(launcher): state for state in histories}
    for flow_run, state in runs.items():
        move(client, flow_run, *histories[state])
    crashed, unknown = launch_one(launcher), uuid.uuid4()
    move(client, crashed, Pending(), Crashed(message="Process exited with status code: 137."))
    assert launcher.states([*runs, crashed, unknown]) == {
        **runs,
        crashed: RunState.ended,
        unknown: RunState.missing,
    }
    ends = launcher.ends([*runs, crashed, unknown])
    assert {flow_run: end.fate for flow_run, end in ends.items()} == {
        **{flow_run: Fate.completed for flow_run, state in runs.items() if state is RunState.ended},
        crashed: Fate.lost,
    }
    assert ends[crashed].reason == "it ran out of memory, probably: Process exited with status code: 137."
    assert launcher.states([]) == {}


def test_more_runs_than_one_call_may_name(launcher: PrefectLauncher) -> None:
    unknown = [uuid.uuid4() for _ in range(2 * LOOK_UP_SIZE)]
    known = [launch_one(launcher) for _ in range(2)]
    states = launcher.states([*unknown, *known])
    assert {flow_run for flow_run, state in states.items() if state is RunState.scheduled} == set(known)
    assert len(states) == 2 * LOOK_UP_SIZE + 2
    assert launcher.cancel([*unknown, *known]) == {*unknown, *known}
    assert set(launcher.states(known).values()) == {RunState.ended}


def test_a_scheduled_run_is_cancelled_at_once_and_a_running_one_asked_to_stop(
    client: SyncPrefectClient, launcher: PrefectLauncher
) -> None:
    scheduled, pending, running = (launch_one(launcher) for _ in range(3))
    move(client, pending, Pending())
    move(client, running, Pending(), Running())
    assert launcher.cancel([scheduled, pending, running]) == {scheduled, pending, running}
    types = {flow_run: client.read_flow_run(flow_run).state_type for flow_run in (scheduled, pending, running)}
    assert types == {
        scheduled: StateType.CANCELLED,
        pending: StateType.CANCELLING,
        running: StateType.CANCELLING,
    }
    # what a run asks that is told to stop
    assert [is_cancelled(flow_run) for flow_run in (pending, running, launch_one(launcher))] == [True, True, False]
    # whoever asks again, after a crash, hears the same
    assert launcher.cancel([scheduled, pending, running]) == {scheduled, pending, running}


@pytest.mark.parametrize("end", [Completed(), Crashed()], ids=lambda state: state.name)
def test_a_run_that_has_ended_stays_as_it_is(client: SyncPrefectClient, launcher: PrefectLauncher, end: State) -> None:
    flow_run = launch_one(launcher)
    move(client, flow_run, Pending(), Running(), end)
    assert launcher.cancel([flow_run]) == {flow_run}
    assert client.read_flow_run(flow_run).state_type is end.type


def test_a_run_that_somebody_deleted_is_missing_and_settled(
    client: SyncPrefectClient, launcher: PrefectLauncher
) -> None:
    flow_run = launch_one(launcher)
    client.delete_flow_run(flow_run)
    assert launcher.states([flow_run]) == {flow_run: RunState.missing}
    assert launcher.cancel([flow_run]) == {flow_run}


def test_a_deployment_made_anew_is_found(client: SyncPrefectClient, launcher: PrefectLauncher, deployment: str) -> None:
    launch_one(launcher)
    client.delete_deployment(client.read_deployment_by_name(deployment).id)
    deploy_run_task(client, POOL, working_directory=Path("/tmp"))
    launch_one(launcher)


def test_a_deployment_that_is_not_there_is_named_and_nothing_is_made(client: SyncPrefectClient) -> None:
    with pytest.raises(Unavailable, match="no deployment run-task/nowhere; make it with: alchemiscale-prefect"):
        PrefectLauncher("run-task/nowhere", client).launch(make_launches(1))


def test_capacity_is_what_the_limits_leave_and_a_paused_pool_or_queue_has_none(
    prefect_api_url: str, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher_module, "CAPACITY_SECONDS", -1.0)
    ensure_process_pool(client, "limited")
    with temporary_settings({PREFECT_API_URL: prefect_api_url}):
        ours = PrefectLauncher(deploy_run_task(client, "limited", working_directory=Path("/tmp")))
        others = PrefectLauncher(deploy_other(client, "limited"))
        queue = client.read_deployment_by_name(ours.deployment).work_queue_id
        assert queue is not None
        assert ours.capacity() == Capacity(workers_online=False)
        client.send_worker_heartbeat("limited", "somebody")
        client.update_work_pool("limited", WorkPoolUpdate(concurrency_limit=5))
        assert ours.capacity() == Capacity(slots=5, workers_online=True)
        # what runs and is about to counts when it is of others; what is only scheduled does not
        for states in ((), (Pending(),), (Pending(), Running()), (Pending(), Running(), Completed())):
            move(client, launch_one(ours), *states)
            move(client, launch_one(others), *states)
        assert ours.capacity() == Capacity(slots=3, workers_online=True)
        update_queue(client, queue, concurrency_limit=3)
        assert ours.capacity() == Capacity(slots=1, workers_online=True)
        client.update_work_pool("limited", WorkPoolUpdate(concurrency_limit=2))
        assert ours.capacity() == Capacity(slots=0, workers_online=True)
        update_queue(client, queue, is_paused=True)
        assert ours.capacity().paused
        update_queue(client, queue, is_paused=False)
        assert not ours.capacity().paused
        client.update_work_pool("limited", WorkPoolUpdate(is_paused=True))
        assert ours.capacity().paused
        client.update_work_pool("limited", WorkPoolUpdate(is_paused=False, concurrency_limit=0))
        assert ours.capacity().paused
        ours.close()
        others.close()


def test_a_life_of_a_task_with_the_real_orchestrator(
    client: SyncPrefectClient, launcher: PrefectLauncher, world: World
) -> None:
    net = world.network()
    first, second = world.tasks(net, 2)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=2)
    rows = {
        row.key: row.flow_run_id
        for row in world.rows("select t.key, a.flow_run_id from attempt a join task t on t.id = a.task_id")
    }
    # one is cancelled while it waits
    world.set_status([first], "deleted")
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(cancelled=1)
    assert client.read_flow_run(rows[first.gufe_key]).state_type is StateType.CANCELLED
    # who cancels a flow run in Prefect's own pages finds its Task in error, and not dispatched anew
    (cancelled,) = world.tasks(net)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=1)
    flow_run = world.attempt(AttemptId(str(cancelled), 1)).flow_run_id
    client.set_flow_run_state(flow_run, Cancelling())
    assert client.read_flow_run(flow_run).state_type is StateType.CANCELLED
    world.age(31)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()
    (row,) = world.rows("select status, reason from task where key = :key", key=cancelled.gufe_key)
    assert row.status == "error"
    assert row.reason.startswith("its flow run was cancelled in Prefect")
    # the other one crashes before it begins
    move(client, rows[second.gufe_key], Pending(), Crashed())
    world.age(31)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=1, lost=1)
    attempt = AttemptId(str(second), 2)
    run = world.run(attempt, world.attempt(attempt).flow_run_id)
    move(client, run.flow_run, Pending(), Running())
    run.begin()
    run.complete()
    assert world.status(second) == "complete"
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()


def test_what_kubernetes_writes_into_the_logs_says_why_a_run_ended(
    client: SyncPrefectClient, launcher: PrefectLauncher
) -> None:
    explained, silent = (launch_one(launcher) for _ in range(2))
    for flow_run in (explained, silent):
        move(client, flow_run, Pending(), Running(), Crashed(message="No active or succeeded pods found for any job"))
    lines = ["Pod was evicted: The pod was evicted from its node. The node was low on resource: memory.", "other words"]
    for second, line in enumerate(lines):
        at = datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)
        client.create_logs([LogCreate(name="o", level=30, message=line, timestamp=at, flow_run_id=explained)])
    ends = launcher.ends([explained, silent])
    assert ends[explained].reason.startswith("it was evicted from its host: Pod was evicted")
    assert ends[silent].reason.startswith("its host or its pod failed: No active")


def test_flow_runs_under_way_and_closed_pools_are_what_prefect_says(
    client: SyncPrefectClient, launcher: PrefectLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_runs_module, "PAGE", 2)
    flow_runs = PrefectFlowRuns(client)
    made = make_launches(4, n=3)
    waiting, running, cancelling, over = (item.flow_run_id or uuid.uuid4() for item in launcher.launch(made))
    move(client, running, Pending(), Running())
    move(client, cancelling, Pending(), Cancelling())
    move(client, over, Pending(), Running(), Completed())
    ours = [launch.attempt for launch in made]
    found = {run.flow_run_id: run.state for run in flow_runs.under_way() if run.attempt in ours}
    assert found == {waiting: RunState.scheduled, running: RunState.running, cancelling: RunState.cancelling}
    flow_runs.end([cancelling])
    assert client.read_flow_run(cancelling).state_type is StateType.CANCELLED
    ensure_process_pool(client, "closed")
    client.update_work_pool("closed", WorkPoolUpdate(is_paused=True))
    assert flow_runs.closed([POOL, "closed", "none"]) == {
        "closed": "its work pool is paused",
        "none": "its work pool was deleted",
    }


def _unwell(pool: str, deployment: str) -> dict[str, str]:
    """What `check_prefect` does not find well, with how it came out."""
    found = check_prefect(pool, deployment)
    return {check.name: check.status.value for check in found if check.status is not CheckStatus.ok}


def test_what_the_dispatcher_needs_of_prefect_is_looked_at(
    prefect_api_url: str, client: SyncPrefectClient, deployment: str
) -> None:
    with temporary_settings({PREFECT_API_URL: prefect_api_url}):
        ensure_process_pool(client, "checked")
        name = deploy_run_task(client, "checked", working_directory=Path("/tmp"))
        missing = {"reconcile deployment": "failed", "strategy deployment": "failed"}
        assert _unwell("checked", name) == {"workers": "warning", **missing}
        for flow in (RECONCILE, STRATEGY):
            deploy_control(client, flow, "checked", working_directory=Path("/tmp"))
        assert _unwell("checked", name) == {"workers": "warning"}
        client.send_worker_heartbeat("checked", "a worker", 30.0)
        assert _unwell("checked", name) == {}
        client.update_work_pool("checked", WorkPoolUpdate(is_paused=True))
        assert _unwell("checked", name) == {"work pool": "warning"}
        client.update_work_pool("checked", WorkPoolUpdate(is_paused=False, concurrency_limit=0))
        assert _unwell("checked", name) == {"work pool": "warning"}
        client.update_work_pool("checked", WorkPoolUpdate(concurrency_limit=2))
        # a deployment of another pool, none at all, and no pool
        assert _unwell("checked", deployment) == {"deployment": "failed"}
        assert _unwell("checked", "run-task/none") == {"deployment": "failed"}
        assert _unwell("none", name) == {"work pool": "failed", "workers": "skipped", "deployment": "failed"}
        # what looks after the rest, where its pool is gone
        client.delete_work_pool("checked")
        assert _unwell(POOL, deployment) == {"workers": "warning", **missing}


def test_deploying_by_the_command_line_makes_all_there_is_once_and_says_so(
    prefect_api_url: str, client: SyncPrefectClient
) -> None:
    cli = CommandLine({})
    with temporary_settings({PREFECT_API_URL: prefect_api_url}):
        made = cli.json("deploy", "--pool", POOL, "--control-pool", "control")
        assert (made["deployment"], made["reconcile"]) == (f"run-task/{POOL}", "reconcile/control")
        # what an operator changed stays
        (automation, *_) = client.read_automations()
        client.pause_automation(automation.id)
        reconcile = client.read_deployment_by_name("reconcile/control")
        runs = next(item for item in reconcile.schedules if item.slug == "runs")
        client.update_deployment_schedule(reconcile.id, runs.id, active=False)
        text = cli.text("deploy", "--pool", POOL, "--control-pool", "control")
        assert text.splitlines() == [
            f"deployment run-task/{POOL}",
            "deployment reconcile/control",
            "deployment strategy/control",
            *(f"automation {name}" for name in made["automations"]),
        ]
        assert {item.name: item.enabled for item in client.read_automations()} == {
            name: name != automation.name for name in made["automations"]
        }
        again = client.read_deployment_by_name("reconcile/control")
        assert {item.slug: (item.active, item.parameters) for item in again.schedules} == {
            "runs": (False, {}),
            "objects": (True, {"objects": True}),
        }
        assert again.concurrency_options is not None
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        assert cli.refused("deploy")["code"] == "unavailable"
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert cli.refused("deploy")["code"] == "invalid_input"
        assert cli.refused("reconcile")["code"] == "invalid_input"
