"""Several claimers at once, and others who change what they claim: every Task exactly once, and nobody is refused."""

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from alchemiscale_prefect.domain.attempts import AttemptId
from alchemiscale_prefect.domain.errors import AttemptVoid, LeaseHeld
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.shares import Shares
from alchemiscale_prefect.services import dispatch, tasks
from alchemiscale_prefect.store import queue
from tests.integration.dispatch.world import FlowRun, MemoryLauncher, Net, World, own_keys, pool


class Crew:
    """Threads whose exceptions count."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[..., None], *arguments: object) -> None:
        def guarded() -> None:
            try:
                work(*arguments)
            except BaseException as error:  # noqa: BLE001  raised again by `join`
                self.errors.append(error)

        self._threads.append(threading.Thread(target=guarded))
        self._threads[-1].start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()
        if self.errors:
            raise self.errors[0]


def _fill(world: World, count: int) -> tuple[list[Net], list[ScopedKey]]:
    """Networks of one Transformation, and Tasks, each actioned on one to three of them."""
    nets = [world.network(name, weight) for name, weight in (("one", 0.2), ("two", 0.5), ("three", 1.0))]
    keys = world.create(nets[0], count)
    for offset, net in enumerate(nets):
        world.action(net, [key for n, key in enumerate(keys) if n % 3 == offset or n % 4 == 0])
    return nets, keys


@pytest.mark.parametrize("claimers", [2, 4])
def test_every_task_is_claimed_exactly_once(world: World, claimers: int) -> None:
    _, keys = _fill(world, 1200)
    claimed: list[AttemptId] = []

    def claim(pool: str) -> None:
        # pools of their own: dispatchers of one pool take turns
        while more := world.claim(7, pool):
            claimed.extend(more)

    crew = Crew()
    for n in range(claimers):
        crew.start(claim, f"pool-{n}")
    crew.join()
    claimed += world.claim_all()  # what a claimer passed over because another one looked at it
    assert Counter(own_keys(claimed)) == Counter(key.gufe_key for key in keys)
    assert {attempt.n for attempt in claimed} == {1}
    world.check()


def _work(world: World, seed: int, over: threading.Event) -> None:
    """Claim and run Tasks: some are lost, some fail, some are forgotten under way, some complete."""
    chance = random.Random(seed)
    while not over.is_set():
        for attempt in world.claim(3, f"pool-{seed}"):
            run = world.run(attempt)
            fates: list[Callable[[], object]] = [
                lambda run=run: run.release(max_losses=1000),
                lambda run=run: run.complete(ok=False),
                run.heartbeat,
                run.complete,
            ]
            with contextlib.suppress(AttemptVoid, LeaseHeld):
                run.begin()
                run.heartbeat()
                chance.choices(fates, (3, 3, 1, 3))[0]()


def _change(world: World, seed: int, nets: list[Net], keys: list[ScopedKey]) -> None:
    """What users do, at random."""
    chance = random.Random(seed)
    for _ in range(60):
        some, net = chance.sample(keys, 12), chance.choice(nets)
        changes: list[Callable[[], object]] = [
            lambda net=net, some=some: world.action(net, some, chance.choice([0.0, 0.3, 1.0])),
            lambda net=net, some=some: world.action(net, some),
            lambda net=net, some=some: world.cancel(net, some),
            lambda some=some: tasks.set_priority(world.database, world.user, some, chance.randrange(1, 4)),
            lambda some=some: world.set_status(some, "waiting"),
        ]
        chance.choice(changes)()


def test_claims_among_changes_of_every_kind(world: World) -> None:
    """Nobody deadlocks (that would be `Unavailable`), nothing is forgotten, and no Task runs twice at once."""
    nets, keys = _fill(world, 240)
    over = threading.Event()
    changes, workers = Crew(), Crew()
    for seed in range(2):
        workers.start(_work, world, seed, over)
        changes.start(_change, world, seed + 10, nets, keys)
    changes.join()
    over.set()
    workers.join()
    world.check()
    # nothing is forgotten: whatever may run can be claimed now
    world.set_status(keys, "waiting")
    for net in nets:
        world.action(net, keys, 0.5)
    unfinished = {key.gufe_key for key in keys if world.status(key) != "complete"}
    live = world.rows("select t.key from attempt a join task t on t.id = a.task_id where a.state = 'dispatched'")
    assert set(own_keys(world.claim_all())) | {row.key for row in live} == unfinished
    world.check()


def test_many_begin_one_attempt_and_one_of_them_does(world: World) -> None:
    net = world.network()
    world.tasks(net, 10)
    for attempt in world.claim(10):
        runs = [world.run(attempt) for _ in range(4)]
        begun: list[FlowRun] = []

        def begin(run: FlowRun, begun: list[FlowRun] = begun) -> None:
            try:
                run.begin()
            except AttemptVoid:
                return
            begun.append(run)

        crew = Crew()
        for run in runs:
            crew.start(begin, run)
        crew.join()
        assert len(begun) == 1
        begun[0].heartbeat()


def test_begin_and_a_cancellation_do_not_wait_for_each_other_in_a_circle(world: World) -> None:
    net = world.network()
    keys = world.tasks(net, 40)
    runs = [world.run(attempt) for attempt in world.claim(40)]
    crew = Crew()

    def begin(some: list[FlowRun]) -> None:
        for run in some:
            try:
                run.begin()
            except AttemptVoid:
                continue

    def reset() -> None:
        for n in range(0, 40, 4):
            world.set_status(keys[n : n + 4], "deleted")

    crew.start(begin, runs[::2])
    crew.start(begin, runs[1::2])
    crew.start(reset)
    crew.join()
    world.check()
    assert {state for (state,) in world.rows("select state from attempt")} == {"cancelled"}


_MANY = """
    with made as (
        insert into task (key, scope_id, transformation_id, status, attempts)
        select 'Task-' || md5(:status || n::text), t.scope_id, t.transformation_id, :status, :attempts
        from (select * from task limit 1) t, generate_series(1, 20000) n returning id),
    done as (
        insert into attempt (task_id, n, pool, state, tags)
        select id, 1, 'pool', 'complete', '[]' from made where :attempts = 1)
    insert into action (network_id, task_id, scope_id, weight, priority, draw, queued)
    select a.network_id, made.id, a.scope_id, 0.5, 10, random(), :status = 'waiting'
    from made, (select * from action limit 1) a
"""


@pytest.mark.parametrize("analyzed", [False, True])
def test_no_table_that_grows_is_read_through(world: World, analyzed: bool) -> None:
    world.tasks(world.network(), 1)
    for status, attempts in (("error", 1), ("waiting", 0)):
        world.execute(_MANY, status=status, attempts=attempts)
    if analyzed:
        with world.database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("vacuum analyze"))
    statements: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        statements.append((statement, parameters))

    event.listen(world.database.engine, "before_cursor_execute", note)
    try:
        keys = [ScopedKey.from_str(attempt.task) for attempt in world.claim(3)]
        assert len(dispatch.claim(world.database, pool("shared", buffer=3, shares=Shares({})))) == 3
        if analyzed:
            dispatch.dispatch(world.database, MemoryLauncher(), pool())
            world.run(world.claim(1)[0]).begin()
            world.age(1e6)
            dispatch.dispatch(world.database, MemoryLauncher(), pool())
            tasks.set_priority(world.database, world.user, keys, 1)
            world.set_status(keys[:1], "deleted")
            dispatch.dispatch(world.database, MemoryLauncher(), pool())
    finally:
        event.remove(world.database.engine, "before_cursor_execute", note)
    claim = ("with recursive busy", "skip locked", "launched as", "durations")
    # in the first minutes after a large submission, before its tables are analyzed, at least the claim
    looked_at = [item for item in statements if analyzed or any(part in item[0] for part in claim)]
    assert all(any(part in item[0] for item in looked_at) for part in claim)
    for statement, parameters in looked_at:
        if statement.startswith(("notify", "update attempt set created_at")):
            continue
        for mode in ("force_custom_plan", "force_generic_plan"):
            with world.database.transaction() as connection:
                if any(part in statement for part in claim):
                    queue.read_in_order(connection)
                connection.exec_driver_sql(f"set local plan_cache_mode = {mode}")
                plan = "\n".join(connection.exec_driver_sql(f"explain {statement}", parameters).scalars())
            for table in ("action", "task", "attempt"):
                assert f"Seq Scan on {table} " not in plan, f"{statement}\n{plan}"
