"""Hosts as the API sees them, with their workers and a clock of their own: no processes, no waiting."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from alchemiscale_prefect.domain.attempts import AttemptId
from alchemiscale_prefect.domain.errors import AttemptVoid, HostRefused
from alchemiscale_prefect.domain.hosts import HostPolicy
from alchemiscale_prefect.services import dispatch, runs
from alchemiscale_prefect.wire import compute as wire
from tests.integration.dispatch.world import LEASE, PDR_KEY, FlowRun, MemoryLauncher, World, pool

POLICY = HostPolicy()
MINUTE = 60.0


def begin(run: FlowRun, host: str, policy: HostPolicy = POLICY, image: str | None = None) -> wire.Begun:
    """Begin on a host."""
    body = wire.Begin(owner=run.run.owner, flow_run_id=str(run.flow_run), host=host, image=image)
    return runs.begin(run.world.database, run.world.compute, run.run, body, LEASE, policy=policy)


def fail(run: FlowRun, exception: str = "NaN()", unit: str = "SimulationUnit") -> wire.Finished:
    """Finish, after a unit failed."""
    run.store_result(ok=False)
    traceback = wire.UnitTraceback(
        failure_key="ProtocolUnitFailure-1",
        source_key=f"{unit}-{uuid.uuid4().hex}",
        name="simulation",
        exception=exception,
        traceback=f"Traceback: {exception}",
    )
    body = wire.Finish(ok=False, result=PDR_KEY, tracebacks=[traceback], reason=exception)
    return runs.finish(run.world.database, run.world.store, run.world.compute, run.run, body)


def age(world: World, seconds: float) -> None:
    """Let so much time pass."""
    world.age(seconds)
    past = ", ".join(f"{name} = {name} - make_interval(secs => :s)" for name in ("since", "until", "counts_from"))
    world.execute(f"update host set {past}, judged_at = judged_at - make_interval(secs => :s)", s=seconds)
    world.execute(
        "update task set not_before = not_before - make_interval(secs => :s) where not_before is not null", s=seconds
    )


@dataclass
class Slot:
    """A worker's place for one flow run."""

    host: str
    run: FlowRun | None = None
    free_at: float = 0.0


@dataclass
class Fleet:
    """Hosts that work on a queue.

    Attributes
    ----------
    outcome
        Of a run on a host: how long it takes in seconds, and the exception that its unit fails with, if it does.
    begun
        When and where each run began, or was refused (with the reason).
    failed
        When and where one failed.
    """

    world: World
    hosts: dict[str, int]
    outcome: Callable[[FlowRun, str], tuple[float, str | None]]
    policy: HostPolicy = POLICY
    now: float = 0.0
    begun: list[tuple[float, str, str | None]] = field(default_factory=list)
    failed: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.launcher = MemoryLauncher()
        self.pool = pool(buffer=sum(self.hosts.values()), max_in_flight=50)
        # in turns, so that no host is always the first to be asked
        places = [(n, host) for host, count in self.hosts.items() for n in range(count)]
        self.slots = [Slot(host) for _, host in sorted(places)]
        self.waiting: list[AttemptId] = []
        self.seen = 0

    def work(self, seconds: float, step: float = 10.0) -> None:
        """Let all hosts work for so long."""
        end = self.now + seconds
        began = time.monotonic()
        while self.now < end:
            self._hand_out()
            self.now += step
            # what this has taken has passed for Postgres already
            spent, began = time.monotonic() - began, time.monotonic()
            age(self.world, max(step - spent, 0.0))
            self.world.execute("update attempt set lease_expires_at = now() + '90s' where state = 'running'")
            for slot in self.slots:
                if slot.run is not None and slot.free_at <= self.now:
                    self._finish(slot)

    def _hand_out(self) -> None:
        for slot in self.slots:
            while slot.run is None and slot.free_at <= self.now:
                attempt = self._next()
                if attempt is None:
                    return
                self._begin(slot, attempt)
        self.slots.append(self.slots.pop(0))

    def _next(self) -> AttemptId | None:
        if not self.waiting:
            dispatch.dispatch(self.world.database, self.launcher, self.pool)
            self.waiting = [launch.attempt for launch in self.launcher.launched[self.seen :]]
            self.seen = len(self.launcher.launched)
        return self.waiting.pop(0) if self.waiting else None

    def _begin(self, slot: Slot, attempt: AttemptId) -> None:
        run = self.world.run(attempt, self.launcher.of(attempt))
        try:
            begin(run, slot.host, self.policy)
        except HostRefused as refused:
            self.begun.append((self.now, slot.host, str(refused)))
            slot.free_at = self.now + refused.retry_after
            return
        except AttemptVoid:
            return
        self.begun.append((self.now, slot.host, None))
        slot.run = run
        slot.free_at = self.now + self.outcome(run, slot.host)[0]

    def _finish(self, slot: Slot) -> None:
        run, slot.run = slot.run, None
        assert run is not None
        exception = self.outcome(run, slot.host)[1]
        if exception is None:
            run.complete()
        else:
            fail(run, exception)
            self.failed.append((self.now, slot.host))

    def states(self) -> dict[str, Any]:
        """Where each host stands, of which there is anything to say."""
        return {row.name: row.state for row in self.world.rows("select name, state from host")}
