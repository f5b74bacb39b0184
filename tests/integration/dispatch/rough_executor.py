"""Executors of flow runs that go wrong in every way: each run in a plain process of its own, or in a thread."""

import contextlib
import multiprocessing
import os
import random
import signal
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import wait
from pathlib import Path

import psutil

from alchemiscale_prefect.domain.attempts import AttemptId, RunState
from alchemiscale_prefect.domain.errors import AttemptVoid, LeaseHeld
from alchemiscale_prefect.store.database import Database
from tests.integration.dispatch.rough_orchestrator import RoughOrchestrator
from tests.integration.dispatch.test_claim_concurrently import Crew
from tests.integration.dispatch.world import FlowRun, World

LEASE = timedelta(seconds=1.0)
# of the lease: then its keeper ends the process, see `execution.lease`
SAFE = 0.85
MAX_LOSSES = 10**6
# no flow run takes so long: SIGALRM ends its process, and the test fails
TOO_LONG = 60
FATES = {
    "complete": 45,
    "vanish": 8,
    "start late": 4,
    "crash": 5,
    "release": 8,
    "freeze": 6,
    "finish late": 8,
    "fail": 10,
}


@dataclass(frozen=True)
class Place:
    """Where everything is: what a thread or a process of the test needs to know.

    Attributes
    ----------
    database_url
        Of the database, to which each process has connections of its own.
    folder
        For what is written.
    tester
        The process of the test.
    """

    database_url: str
    folder: Path
    tester: int

    @property
    def stop(self) -> Path:
        """There when it is over."""
        return self.folder / "stop"

    @property
    def quiet(self) -> Path:
        """There when nothing goes wrong any more."""
        return self.folder / "quiet"

    def over(self) -> bool:
        """Whether it is, also because the test was killed."""
        return self.stop.exists() or not psutil.pid_exists(self.tester)

    def world(self, connections: int) -> World:
        return World(Database(self.database_url, pool_size=connections), self.folder / "objects")


class Vanished(Exception):
    """The stand-in for a process's death where flow runs are executed in threads."""


@dataclass
class Execution:
    """What executes a flow run, computing as long as it may take its lease for its own.

    Attributes
    ----------
    killable
        It has a process of its own.
    """

    world: World
    orchestrator: RoughOrchestrator
    chance: random.Random
    run: FlowRun
    killable: bool
    renewed: float = 0.0

    def execute(self, *, rough: bool) -> None:
        """Begin, compute and finish; or vanish, freeze, give up, fail, or come late."""
        try:
            self._execute(rough)
        except AttemptVoid:
            # it was told; it says that it has stopped
            with contextlib.suppress(AttemptVoid):
                self._release()
            self._end()

    def _execute(self, rough: bool) -> None:
        self.run.lease = LEASE if rough else 30 * LEASE
        fate = self.chance.choices(tuple(FATES), tuple(FATES.values()))[0] if rough else "complete"
        if fate == "crash":
            return self._end()
        if fate == "start late":
            time.sleep(1.5 * self.chance.random())
        self._begin()
        self.orchestrator.become(self.run.flow_run, RunState.running)
        steps = self.chance.randint(1, 4)
        turn = self.chance.randrange(steps)
        for step in range(steps):
            if step == turn and fate == "vanish":
                self._vanish()
            if step == turn and fate == "freeze":
                self._be_late()
            if not self._compute():
                return None
        if fate == "release":
            self._release()
        else:
            if fate == "finish late":
                self._be_late()
            self._finish(fate != "fail")
        return self._end()

    def _begin(self) -> None:
        while True:
            self.renewed = time.time()
            try:
                self.run.begin()
            except LeaseHeld:
                time.sleep(0.1)
                continue
            self._trace("begun", self._still_mine())
            return

    def _compute(self) -> bool:
        """A step of the work; whether there may be another."""
        time.sleep(0.05 * self.chance.random())
        self._trace("computes", self._still_mine())
        self.renewed = time.time()
        self.run.heartbeat()
        if self.orchestrator.is_cancelling(self.run.flow_run):
            self._release()
            self._end()
            return False
        return True

    def _still_mine(self) -> float:
        """Now, if the lease is good by this process's own clock."""
        now = time.time()
        if now >= self.renewed + SAFE * self.run.lease.total_seconds():
            # its keeper has ended it
            self._vanish()
        return now

    def _finish(self, ok: bool) -> None:
        answer = self.run.complete(ok)
        assert self.run.finish(ok) == answer
        self._trace("finished")

    def _release(self) -> None:
        self.run.release(max_losses=MAX_LOSSES)

    def _end(self) -> None:
        self.orchestrator.become(self.run.flow_run, RunState.ended)

    def _be_late(self) -> None:
        time.sleep(LEASE.total_seconds() * (0.7 + self.chance.random()))

    def _vanish(self) -> None:
        if self.killable:
            os.kill(os.getpid(), signal.SIGKILL)
        raise Vanished

    def _trace(self, event: str, at: float | None = None) -> None:
        self.world.execute(
            "insert into trace (task, n, owner, event, at) values (:task, :n, :owner, :event, :at)",
            task=self.run.task.gufe_key,
            n=self.run.attempt.n,
            owner=self.run.run.owner,
            event=event,
            at=time.time() if at is None else at,
        )


def execute_in_processes(place: Place, seed: int, at_once: int) -> None:
    """An executor: it forks a process for each flow run, and sees to every end.

    It has no connection and no other thread, so that its children inherit nothing that cannot be shared.

    Raises
    ------
    AssertionError
        A child failed, or took too long; those that SIGKILL ended are what the test is about.
    """
    assert psutil.Process().num_threads() == 1
    fork = multiprocessing.get_context("fork")
    children: list[multiprocessing.process.BaseProcess] = []
    ends: Counter[int | None] = Counter()
    started = 0
    try:
        while children or not place.over():
            while len(children) < at_once and not place.over():
                started += 1
                child = fork.Process(target=_execute_one, args=(place, random.Random(f"{seed}/{started}")))
                child.start()
                children.append(child)
            wait([child.sentinel for child in children], timeout=1.0)
            # looking at `exitcode` reaps
            ends.update(child.exitcode for child in children if child.exitcode is not None)
            children = [child for child in children if child.exitcode is None]
            assert set(ends) <= {0, -signal.SIGKILL}, f"processes of flow runs ended with {ends}"
    finally:
        for child in children:
            child.kill()
            child.join()
    # most of a long test's flow runs are no survivors of chance: 8 in 100 vanish
    assert ends[-signal.SIGKILL] or started < 200, ends
    print(f"{started} processes of flow runs, {ends[-signal.SIGKILL]} of them killed")


def _execute_one(place: Place, chance: random.Random) -> None:
    """A process, from the flow run that it takes to its end."""
    world = place.world(connections=1)
    orchestrator = RoughOrchestrator(world.database, chance, rough=False)
    while not place.over():
        if taken := orchestrator.take():
            signal.alarm(TOO_LONG)
            execution = _execution(world, orchestrator, chance, taken, killable=True)
            execution.execute(rough=not place.quiet.exists())
            break
        time.sleep(0.05)
    world.database.close()


def execute_in_threads(place: Place, seed: int, at_once: int) -> None:
    """An executor of several flow runs at once, without the cost of processes."""
    world = place.world(connections=at_once)
    crew = Crew()
    for n in range(at_once):
        crew.start(_execute_all, place, world, random.Random(f"{seed}/{n}"))
    crew.join()
    world.database.close()


def _execute_all(place: Place, world: World, chance: random.Random) -> None:
    orchestrator = RoughOrchestrator(world.database, chance, rough=False)
    while not place.over():
        if taken := orchestrator.take():
            with contextlib.suppress(Vanished):
                execution = _execution(world, orchestrator, chance, taken, killable=False)
                execution.execute(rough=not place.quiet.exists())
        else:
            time.sleep(0.05)


def _execution(
    world: World,
    orchestrator: RoughOrchestrator,
    chance: random.Random,
    taken: tuple[uuid.UUID, AttemptId],
    *,
    killable: bool,
) -> Execution:
    flow_run, attempt = taken
    return Execution(world, orchestrator, chance, world.run(attempt, flow_run, f"{chance.random()}"), killable)
