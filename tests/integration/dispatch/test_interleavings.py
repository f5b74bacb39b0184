"""Two calls about one Task overlap, at any statement: what comes of it is what one after the other gives.

``ALCHEMISCALE_TEST_HISTORIES`` (`make soak`) is how many examples there are; the usual ones are few, each on a Task
that has come as far as a random history brings it.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from alchemiscale_prefect.domain.errors import AttemptVoid, InvalidInput, LeaseHeld
from alchemiscale_prefect.services import dispatch, tasks
from alchemiscale_prefect.store.database import Database
from tests.integration.dispatch.overlap import Gate, Overlap
from tests.integration.dispatch.world import FlowRun, Net, World, pool
from tests.waiting import wait_for

EXAMPLES = int(os.environ.get("ALCHEMISCALE_TEST_HISTORIES", "15"))
LIMITS = pool(max_losses=3)


@dataclass
class Case:
    """A Task, which extends a complete one, and the flow runs of its attempts, in a database of nobody else's."""

    net: Net
    parent: Any
    task: Any
    runs: list[FlowRun] = field(default_factory=list)


def _run(world: World, case: Case, which: int) -> FlowRun | None:
    if not case.runs:
        return None
    known = case.runs[max(len(case.runs) - 1 - which, 0)]
    made = world.run(known.attempt, known.flow_run, known.run.owner.rpartition("/")[2])
    made.world = world
    return made


def _of_run(act: Callable[[FlowRun], object], which: int = 0) -> Callable[[World, Case], str]:
    def call(world: World, case: Case) -> str:
        run = _run(world, case, which)
        if run is None:
            return "nobody"
        try:
            act(run)
        except AttemptVoid:
            return "void"
        except LeaseHeld:
            return "held"
        except InvalidInput:
            return "invalid"
        return "done"

    return call


def _claim(world: World, case: Case) -> str:
    claimed = world.claim(1)
    case.runs += [world.run(attempt) for attempt in claimed]
    return f"claimed {len(claimed)}"


def _expire(world: World, case: Case) -> str:
    world.execute("update attempt set lease_expires_at = now() - interval '1s' where lease_expires_at > now()")
    return "expired"


def _users(act: Callable[[World, Case], object]) -> Callable[[World, Case], str]:
    return lambda world, case: str(act(world, case) != [None])


def _again(run: FlowRun) -> None:
    """Prefect starts the flow run in a second process."""
    run.world.run(run.attempt, run.flow_run, "again").begin()


ACTS: dict[str, Callable[[World, Case], str]] = {
    "claim": _claim,
    "begin": _of_run(FlowRun.begin),
    "begin again": _of_run(_again),
    "heartbeat": _of_run(FlowRun.heartbeat),
    "former heartbeat": _of_run(FlowRun.heartbeat, 1),
    "former finish": _of_run(lambda run: run.finish(False, None, "late"), 1),
    "finish": _of_run(lambda run: run.finish(False, None, "no DAG")),
    "complete": _of_run(FlowRun.complete),
    "release": _of_run(lambda run: run.release(max_losses=3)),
    "expire": _expire,
    "reap": lambda world, _: str(dispatch.give_up_expired(world.database, LIMITS)),
    "cancel": _users(lambda world, case: world.cancel(case.net, [case.task])),
    "action": _users(lambda world, case: world.action(case.net, [case.task])),
    "weight": _users(lambda world, case: world.action(case.net, [case.task], 0.0)),
    "waiting": _users(lambda world, case: world.set_status([case.parent, case.task], "waiting")),
    "delete": _users(lambda world, case: world.set_status([case.task], "deleted")),
    "priority": _users(lambda world, case: tasks.set_priority(world.database, world.user, [case.parent, case.task], 3)),
}
# what another one looks at is passed over, not waited for
PASSES_OVER = {"claim"}
# in several transactions: what happens between two of them need not be as if it had happened before or after
IN_STEPS = {"complete", "finish", "former finish", "former heartbeat", "heartbeat"}
BEGUN = ("claim", "begin")


def _case(world: World) -> Case:
    net = world.network(f"net {uuid.uuid4().hex}", 0.5, (uuid.uuid4().hex, uuid.uuid4().hex))
    (parent,) = world.tasks(net)
    (run,) = world.started()
    run.complete()
    (task,) = world.create(net, 1, extends=parent)
    world.action(net, [task])
    return Case(net, parent, task)


def _outcome(world: World, case: Case) -> tuple[Any, ...]:
    (row,) = world.rows(
        """
        select t.status, t.losses, t.priority, t.attempts,
               (select count(*) from result r where r.task_id = t.id) as results,
               (select array_agg(a.state || case when a.lease_expires_at > now() then '+' else '' end order by a.n)
                from attempt a where a.task_id = t.id) as states,
               (select array_agg((a.weight > 0) || ' ' || a.queued order by a.weight) from action a
                where a.task_id = t.id) as actions
        from task t where t.key = :key
        """,
        key=case.task.gufe_key,
    )
    return tuple(map(str, row))


class Bench:
    """Makes the same Task again and again, and does the same to it, in different orders."""

    def __init__(self, world: World, first: Database, second: Database) -> None:
        self.world = world
        self._overlap = Overlap(world.database, first, second)

    def serial(self, before: list[str], *acts: str) -> tuple[Any, ...]:
        """What comes of one after the other: answers by act, and the Task."""
        case = self._begin(before)
        answers = {act: ACTS[act](self.world, case) for act in acts}
        return self._end(case, answers)

    def overlapping(self, before: list[str], first: str, second: str, statement: int) -> tuple[Any, ...]:
        """What comes of both at once."""
        case = self._begin(before)

        def call(act: str) -> Callable[[Database], str]:
            def made(database: Database) -> str:
                world = World(database, self.world.store.folder)
                return ACTS[act](world, case)

            return made

        answers = self._overlap.run(call(first), call(second), statement)
        return self._end(case, dict(zip((first, second), answers, strict=True)))

    def _begin(self, before: list[str]) -> Case:
        case = _case(self.world)
        for act in before:
            ACTS[act](self.world, case)
        return case

    def _end(self, case: Case, answers: dict[str, str]) -> tuple[Any, ...]:
        self.world.check()
        outcome = (answers, _outcome(self.world, case))
        # nothing of it is in the way of the next one
        self.world.set_status([case.task], "deleted")
        return outcome


@pytest.fixture
def bench(world: World, database_url: str) -> Iterator[Bench]:
    databases = [Database(database_url, pool_size=2) for _ in range(2)]
    yield Bench(world, *databases)
    for database in databases:
        database.close()


def check(bench: Bench, before: list[str], first: str, second: str, statement: int) -> None:
    """Assert that the two at once are as one after the other, in either order."""
    found = bench.overlapping(before, first, second, statement)
    if first == second or {first, second} & IN_STEPS:
        return  # what `World.check` asserts holds
    allowed = [bench.serial(before, first, second), bench.serial(before, second, first)]
    for act, other in ((first, second), (second, first)):
        if act in PASSES_OVER and found[0][act] == "claimed 0":
            answers, outcome = bench.serial(before, other)
            allowed.append(({**answers, act: "claimed 0"}, outcome))
    assert found in allowed, f"{before}; {first} held before its statement {statement}, {second}"


ACT = st.sampled_from(sorted(ACTS))


@settings(
    max_examples=EXAMPLES,
    phases=(Phase.explicit, Phase.generate),
    derandomize=EXAMPLES <= 15,
    suppress_health_check=list(HealthCheck),
)
@given(
    before=st.lists(ACT, max_size=4).map(lambda acts: [*BEGUN, *acts]) | st.lists(ACT, max_size=3),
    first=ACT,
    second=ACT,
    statement=st.integers(1, 12),
)
# a loss updates the Task twice, which has Postgres look at the Task that it extends
@example(before=[*BEGUN, "expire"], first="reap", second="waiting", statement=4)
@example(before=[*BEGUN, "expire"], first="waiting", second="reap", statement=3)
# a heartbeat finds its attempt changed by who changes the Task
@example(before=[*BEGUN], first="cancel", second="heartbeat", statement=8)
@example(before=[*BEGUN], first="begin again", second="heartbeat", statement=3)
@example(before=[*BEGUN, "cancel", "action", "claim"], first="begin", second="release", statement=3)
def test_calls_that_overlap(bench: Bench, before: list[str], first: str, second: str, statement: int) -> None:
    check(bench, before, first, second, statement)


_WAITING = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


def test_a_heartbeat_that_finds_its_attempt_changed_holds_nothing_when_it_looks_again(
    world: World, database_url: str
) -> None:
    """What it waited for is locked until its transaction ends; and then it wants the Task, which all take first."""
    case = _case(world)
    for act in BEGUN:
        ACTS[act](world, case)
    database = Database(database_url, pool_size=1)
    beating = World(database, world.store.folder)
    beating.rows("select 1")
    gate = Gate(database, 2)
    with ThreadPoolExecutor(1) as thread:
        with world.database.transaction() as other:
            other.execute(text("update attempt set state = 'cancelled', ended_at = now() where state = 'running'"))
            answer = thread.submit(ACTS["heartbeat"], beating, case)
            wait_for(lambda: world.rows(_WAITING), "the heartbeat to wait for the change", every=0.01)
        assert gate.reached.wait(60.0)
        try:
            world.execute("select 1 from attempt where state = 'cancelled' for update nowait")
        finally:
            gate.open()
        assert answer.result() == "void"
    gate.remove()
    database.close()
