"""Several dispatchers and executors at once, without Prefect's weight: every Task ends once, however badly things go.

``ALCHEMISCALE_TEST_ATTEMPTS`` (`make chaos`: 5,000) is how many attempts there are to be at least; with it, dispatchers
and executors are processes, and each flow run is executed in a process of its own, of which many are killed.
"""

import contextlib
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.services import dispatch, losses
from tests.integration.dispatch.rough_executor import (
    MAX_LOSSES,
    TOO_LONG,
    Place,
    execute_in_processes,
    execute_in_threads,
)
from tests.integration.dispatch.rough_orchestrator import RoughOrchestrator, install
from tests.integration.dispatch.test_claim_concurrently import Crew
from tests.integration.dispatch.world import Net, World, pool
from tests.waiting import wait_for

LONG = os.environ.get("ALCHEMISCALE_TEST_ATTEMPTS")
ATTEMPTS = int(LONG or 100)
DISPATCHERS, EXECUTORS, AT_ONCE = (2, 3, 6) if LONG else (2, 2, 4)
SUBMITTED = 40 if LONG else 20


def hurry(patch: Callable[[Any, str, object], None] = setattr) -> None:
    """What dispatchers wait for takes long in earnest."""
    patch(dispatch, "LAUNCH_GRACE", timedelta(seconds=1))
    patch(losses, "ASK_AFTER", timedelta(seconds=1))


def dispatches(place: Place, seed: int) -> None:
    """A dispatcher, whose orchestrator often fails it."""
    hurry()
    world = place.world(connections=2)
    orchestrator = RoughOrchestrator(world.database, random.Random(seed))
    while not place.over():
        orchestrator.rough = not place.quiet.exists()
        # a busy machine may take long to start a process; at the end each is given the time
        start_timeout = timedelta(seconds=1.0 if orchestrator.rough else 30.0)
        limits = pool(buffer=40, max_in_flight=80, start_timeout=start_timeout, max_losses=MAX_LOSSES)
        with contextlib.suppress(ConnectionError):
            dispatch.dispatch(world.database, orchestrator, limits)
        time.sleep(0.1)
    world.database.close()


def executes(place: Place, seed: int) -> None:
    """An executor of several flow runs at once."""
    (execute_in_processes if LONG else execute_in_threads)(place, seed, AT_ONCE)


class Users:
    """What users do meanwhile: new Tasks, cancellations, second thoughts."""

    def __init__(self, world: World, nets: list[Net], seed: int) -> None:
        self.world = world
        self.nets = nets
        self.chance = random.Random(seed)
        self.keys: list[ScopedKey] = []

    def act(self) -> None:
        """One thing or the other."""
        some = self.chance.sample(self.keys, min(5, len(self.keys)))
        net = self.chance.choice(self.nets)
        acts: list[Callable[[], object]] = [
            lambda: self.world.cancel(net, some),
            lambda: self.world.action(net, some, self.chance.choice([0.2, 1.0])),
            lambda: self.world.set_status(some, "waiting"),
        ]
        self.chance.choice(acts)()

    def submit(self, count: int) -> None:
        """Tasks on one network or both; a part extends others."""
        parents = [None, *self.keys[-3:]]
        for parent in parents:
            made = self.world.create(self.nets[0], count // len(parents), extends=parent)
            self.keys += made
            self.world.action(self.nets[0], made)
            if self.chance.random() < 0.5:
                self.world.action(self.nets[1], made)

    def want_everything(self) -> None:
        """All Tasks are to run."""
        missing = self.world.rows(
            "select key, status = 'error' as failed from task t where status in ('waiting', 'error') and ("
            "status = 'error' or not exists (select 1 from action a where a.task_id = t.id and a.weight > 0))"
        )
        unwanted = {row.key: row.failed for row in missing}
        keys = [key for key in self.keys if key.gufe_key in unwanted]
        self.world.set_status([key for key in keys if unwanted[key.gufe_key]], "waiting")
        self.world.action(self.nets[0], keys, 0.5)


def attempts_made(world: World) -> int:
    return int(world.rows("select count(*) from attempt")[0][0])


@pytest.mark.timeout(3600 if LONG else 900)
def test_every_task_ends_once_however_badly_things_go(
    world: World, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch.setattr)
    install(world.database)
    world.execute("create table trace (id bigserial, task text, n int, owner text, event text, at double precision)")
    place = Place(database_url, tmp_path, os.getpid())
    users = Users(world, [world.network("one", 0.5), world.network("two", 1.0)], 7)
    users.submit(SUBMITTED)
    with running(place):
        for count in range(100, ATTEMPTS + 100, 100):
            wait_for(partial(go_on, world, users, place, min(count, ATTEMPTS)), f"{count} attempts", 240.0, every=0.1)
        place.quiet.touch()
        world.check()

        def complete() -> bool:
            users.want_everything()
            return place.stop.exists() or not world.rows("select 1 from task where status <> 'complete' limit 1")

        wait_for(complete, "every Task to be complete", 300.0, every=1.0)
        wait_for(lambda: place.stop.exists() or not unsettled(world), "every flow run to be settled", 240.0)
        place.stop.touch()
    world.check()
    judge(world)


def go_on(world: World, users: Users, place: Place, count: int) -> bool:
    """Let users do more, as long as there are fewer attempts."""
    users.act()
    waiting = world.rows("select count(*) from task where status = 'waiting'")[0][0]
    if waiting < 1.5 * SUBMITTED:
        users.submit(SUBMITTED)
    if not world.rows("select 1 from action where queued limit 1"):
        # what waits may all extend what failed
        users.want_everything()
    check_meanwhile(world)
    return attempts_made(world) >= count or place.stop.exists()


def guarded(work: Callable[[Place, int], None], place: Place, seed: int) -> None:
    """Work; one that fails ends all."""
    try:
        work(place, seed)
    except BaseException:
        place.stop.touch()
        raise


@contextlib.contextmanager
def running(place: Place) -> Iterator[None]:
    """Dispatchers and executors: threads, or processes where there are many attempts."""
    work = [(dispatches, seed) for seed in range(DISPATCHERS)] + [(executes, 10 + seed) for seed in range(EXECUTORS)]
    crew = Crew()
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=guarded, args=(target, place, seed)) for target, seed in work] if LONG else []
    for process in processes:
        process.start()
    if not LONG:
        for target, seed in work:
            crew.start(guarded, target, place, seed)
    try:
        yield
    finally:
        place.stop.touch()
        for process in processes:
            process.join(2 * TOO_LONG)
            process.kill()
        crew.join()
    assert [process.exitcode for process in processes] == [0] * len(processes)


def unsettled(world: World) -> list[Any]:
    """Attempts without an end, or whose flow run was not seen to."""
    return world.rows(
        "select task_id, n, state from attempt where state in ('dispatched', 'running') "
        "or (state in ('cancelled', 'lost') and flow_run_id is not null and not flow_run_settled)"
    )


def check_meanwhile(world: World) -> None:
    """Assert what may be looked up at any moment."""
    assert not world.rows(
        "select task_id from attempt where state in ('dispatched', 'running') group by task_id having count(*) > 1"
    )
    assert not world.rows("select task_id from result where ok group by task_id having count(*) > 1")


def judge(world: World) -> None:
    """Assert that each Task has one result, of the one execution that finished it, and none was executed by two."""
    by_task: dict[str, list[Any]] = {}
    for row in world.rows("select task, n, owner, event, at from trace order by task, at, id"):
        by_task.setdefault(row.task, []).append(row)
    results = {
        row.key: row
        for row in world.rows(
            "select t.key, count(*) filter (where r.ok) as ok, count(*) as every from task t "
            "join result r on r.task_id = t.id group by t.key"
        )
    }
    assert set(results) == set(by_task)
    for task, rows in by_task.items():
        finished = {row.owner for row in rows if row.event == "finished"}
        assert (results[task].ok, results[task].every) == (1, len(finished)), rows
        seen: list[str] = []
        for row in rows:
            if row.event != "finished" and (not seen or seen[-1] != row.owner):
                assert row.owner not in seen, f"{task}: {row.owner} beside {seen[-1]}: {rows}"
                seen.append(row.owner)
    states = world.rows("select state, count(*) from attempt group by state order by state")
    print(f"{len(results)} Tasks, attempts: {dict(map(tuple, states))}")
