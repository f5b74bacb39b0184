"""Everything is killed, at any time; no Task is lost, none is run by two at once, and little is done twice."""

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, unit
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.sdk.client import AlchemiscaleClient
from alchemiscale_prefect.sdk.errors import AlchemiscaleClientError, AlchemiscaleConnectionError
from alchemiscale_prefect.store.database import Database
from tests import protocols
from tests.chaos import judgement
from tests.chaos.battered_stack import BatteredStack
from tests.chaos.conftest import SEED, TASKS
from tests.chaos.injuries import KILLS, Injury, Kind, Plan, plan
from tests.chaos.stamped_protocol import END, START, StampedProtocol, StampedSettings, read_stamps
from tests.integration.dispatch.world import World
from tests.waiting import wait_for

SCOPE = Scope("chaos", "tests", "execution")
# long enough for a stack that is started again on a busy machine; nothing waits for so long that goes well
PATIENCE = 400.0
UNITS = 4
LIVE = ("dispatched", "running")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if os.environ.get(TASKS) else 1200)]


def submit(
    client: AlchemiscaleClient, settings: StampedSettings, count: int = 1, name: str = "chaos"
) -> tuple[ScopedKey, list[ScopedKey]]:
    """A network of one edge with Tasks, which are not actioned."""
    edge = protocols.transformation(StampedProtocol(settings), name=f"{name} {uuid4().hex}")
    network = client.create_network(AlchemicalNetwork(edges=[edge], name=uuid4().hex), SCOPE, visualize=False)
    (transformation,) = client.get_network_transformations(network)
    return network, client.create_tasks(transformation, count=count)


def test_the_task_of_a_killed_worker_is_resumed_by_another_and_repeats_one_unit_at_most(
    battered: BatteredStack, client: AlchemiscaleClient, tmp_path: Path
) -> None:
    stamps = tmp_path / "stamps"
    network, (task,) = submit(client, StampedSettings(n_units=6, duration=1.0 * unit.second, stamps=str(stamps)))
    client.action_tasks([task], network)

    def ended() -> set[int]:
        return {stamp.unit for stamp in read_stamps(stamps) if stamp.event == END}

    # four more, of a second each, are to come
    wait_for(lambda: 1 in ended(), "the second unit", PATIENCE)
    (flow_run,) = battered.flow_runs()
    first = battered.worker_of(flow_run)
    assert first is not None
    start_again = battered.kill_worker(first, flow_runs_too=True)
    assert battered.flow_runs() == []

    wait_for(lambda: read_stamps(stamps)[-1].pid != flow_run.pid, "another worker to take it up", PATIENCE)
    second = battered.worker_of(psutil.Process(read_stamps(stamps)[-1].pid))
    assert second not in (None, first)
    wait_for(lambda: client.get_tasks_status([task]) == ["complete"], "the Task to complete", PATIENCE)
    start_again()
    found = read_stamps(stamps)
    judgement.check_one_at_a_time(found)
    judgement.check_little_is_repeated(found, 6)
    (result,) = client.get_task_results(task, visualize=False)
    judgement.check_counted_once(found, result, 6)


class Chaos:
    """A plan that is carried out on a stack with Tasks in it."""

    def __init__(self, battered: BatteredStack, client: AlchemiscaleClient, intended: Plan, stamps: Path) -> None:
        self.battered = battered
        self.client = client
        self.plan = intended
        self.stamps = stamps
        self.networks: dict[int, ScopedKey] = {}
        self.tasks: dict[int, ScopedKey] = {}
        self._user = ThreadPoolExecutor(1)
        self._acts: list[Future[None]] = []
        self._over = False
        self._began = time.monotonic()

    def __enter__(self) -> "Chaos":
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._user.shutdown(cancel_futures=True)

    def submit(self, count: int, duration: float) -> None:
        """Make the Tasks and action them."""
        settings = {"n_units": UNITS, "duration": duration * unit.second, "stamps": str(self.stamps)}
        for failing in (True, False):
            indices = [index for index in range(count) if (index in self.plan.failing) is failing]
            if indices:
                made = StampedSettings(failing_unit=1 if failing else -1, **settings)
                network, tasks = submit(self.client, made, len(indices))
                self.tasks.update(zip(indices, tasks, strict=True))
                self.networks.update(dict.fromkeys(indices, network))
                self.client.action_tasks(tasks, network)

    def done(self) -> int:
        """How many units were done, those too that were for nothing."""
        return sum(stamp.event == END for stamp in read_stamps(self.stamps))

    def carry_out(self) -> None:
        """Let happen what is planned, each thing in its time."""
        last, before = time.monotonic(), -1
        to_come = list(self.plan.injuries)
        while to_come or not self.battered.whole:
            self.battered.tend()
            done = self.done()
            if done != before:
                before, last = done, time.monotonic()
            while to_come and to_come[0].after <= done:
                injury = to_come.pop(0)
                self.say(f"{done:3d} units: {injury.kind} {injury.tasks or injury.which}")
                if injury.tasks:
                    self._acts.append(self._user.submit(self._act, injury))
                else:
                    self.battered.injure(injury)
            assert time.monotonic() - last < PATIENCE, f"nothing was done for {PATIENCE:.0f} s; {self.battered.done}"
            time.sleep(0.1)

    def say(self, what: str) -> None:
        """Print what happens, with the time."""
        print(f"{time.monotonic() - self._began:6.1f} s: {what}")

    def settle(self, settled: Callable[[], bool], what: str) -> None:
        """Wait, and go on with starting what ends by itself."""

        def tended() -> bool:
            self.battered.tend()
            return settled()

        wait_for(tended, what, PATIENCE)
        self.say(f"waited for {what}")

    def users_are_done(self) -> bool:
        return all(act.done() and act.result() is None for act in self._acts)

    def _act(self, injury: Injury) -> None:
        while not self._over:
            try:
                for index in injury.tasks:
                    task, network = self.tasks[index], self.networks[index]
                    if injury.kind is Kind.cancel:
                        self.client.cancel_tasks([task], network)
                    elif injury.kind is Kind.action:
                        self.client.action_tasks([task], network)
                    else:
                        self.client.set_tasks_status([task], "deleted")
                return
            except (AlchemiscaleConnectionError, AlchemiscaleClientError) as error:
                # out of reach, or the answer was lost: all of these may be said again
                if getattr(error, "status_code", None) not in (None, 503):
                    raise

    def expected(self, index: int) -> set[str]:
        """The statuses that are right for a Task at the end."""
        if index in self.plan.deleted:
            return {"deleted"}
        ended = "error" if index in self.plan.failing else "complete"
        # one that is complete by then is not cancelled
        return {"waiting", ended} if index in self.plan.cancelled else {ended}


def test_everything_is_killed_at_any_time(
    battered: BatteredStack, client: AlchemiscaleClient, tmp_path: Path, seed: int
) -> None:
    given = os.environ.get(TASKS)
    count, duration = (int(given), 1.0) if given else (12, 0.5)
    kills = max(len(KILLS), int(0.8 * count))
    print(f"\nseed {seed}: the same again with {SEED}={seed}")
    with Chaos(battered, client, plan(seed, count, UNITS, kills), tmp_path / "stamps") as chaos:
        chaos.submit(count, duration)
        chaos.carry_out()
        chaos.settle(chaos.users_are_done, "what users asked for")
        database = Database(battered.stack.database_url, pool_size=1)
        try:
            come_to_rest(chaos, World(database, battered.stack.layout.objects))
            judge(chaos, database)
        finally:
            database.close()
    print(f"{battered.done}")


def come_to_rest(chaos: Chaos, world: World) -> None:
    """Wait until all that is to happen has happened, and assert that nothing is left of it."""
    tasks = list(chaos.tasks.values())

    def over() -> bool:
        found = {row.key: row.status for row in world.rows("select key, status from task")}
        return all(found[task.gufe_key] in chaos.expected(index) for index, task in chaos.tasks.items()) and not any(
            attempt.state in LIVE for attempt in judgement.attempts_of(world.database, tasks)
        )

    chaos.settle(over, "every Task to be in its right state")
    chaos.settle(lambda: not chaos.battered.flow_runs(), "the last processes to end")
    world.check()
    chaos.settle(lambda: judgement.is_idle(world.database), "no lock to be held")
    if os.environ.get(TASKS):  # of silent ones it takes minutes, and holds nothing of ours
        chaos.settle(lambda: not open_flow_runs(chaos), "Prefect to know of every end")
    # a second look: nothing has come back to life
    assert over()


def judge(chaos: Chaos, database: Database) -> None:
    """What is in the result of every Task, and what was done for it."""
    attempts = judgement.attempts_of(database, chaos.tasks.values())
    stamps = judgement.by_task(read_stamps(chaos.stamps), attempts)
    statuses = dict(zip(chaos.tasks, chaos.client.get_tasks_status(list(chaos.tasks.values())), strict=True))
    for index, task in chaos.tasks.items():
        traces = stamps[task.gufe_key]
        judgement.check_one_at_a_time(traces)
        if index not in chaos.plan.failing:
            judgement.check_little_is_repeated(traces, UNITS)
        results = chaos.client.get_task_results(task, visualize=False)
        assert len(results) == (statuses[index] == "complete") or index in chaos.plan.deleted
        for result in results:
            judgement.check_counted_once(traces, result, UNITS)
        states = [attempt.state for attempt in attempts if attempt.task == task.gufe_key]
        assert states.count("complete") == len(results)
        if statuses[index] == "error":
            assert len(chaos.client.get_task_failures(task, visualize=False)) == 1
    starts = sum(stamp.event == START for traces in stamps.values() for stamp in traces)
    print(
        f"{len(chaos.tasks)} Tasks, {len(attempts)} attempts, {starts} units started, {chaos.done()} done; "
        f"{sorted(statuses.values())}"
    )


def open_flow_runs(chaos: Chaos) -> list[str]:
    """The flow runs that Prefect takes for not ended."""
    names = [str(task) for task in chaos.tasks.values()]
    states = {"type": {"not_any_": ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"]}}
    try:
        answer = httpx.post(
            f"{chaos.battered.stack.config.prefect_api_url}/flow_runs/filter",
            json={"flow_runs": {"name": {"any_": names}, "state": states}},
            timeout=30.0,
        )
    except httpx.TransportError:
        return ["out of reach"]
    answer.raise_for_status()
    return [f"{run['name']}: {run['state_type']}" for run in answer.json()]
