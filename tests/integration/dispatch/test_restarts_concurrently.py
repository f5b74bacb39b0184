"""Failures and restart patterns at the same time."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from sqlalchemy import Connection

from alchemiscale_prefect.services import restarts
from alchemiscale_prefect.store.queries import checkpoints
from tests.integration.dispatch.failing import CUDA, add, counts, fail, finish, state
from tests.integration.dispatch.world import FlowRun, Net, World


def test_failures_at_the_same_time_are_each_counted(world: World) -> None:
    one, other = world.network("one"), world.network("two")
    keys = world.tasks(one, 8)
    world.action(other, keys)
    add(world, one, ["CUDA"], 3)
    add(world, other, ["CUDA"], 2)
    for expected in ({"one", "two"}, {"one", "two"}, {"one"}, set()):
        begun = world.started(8)
        start = Barrier(8)

        def fails(run: FlowRun, start: Barrier = start) -> None:
            run.store_result(False)
            start.wait(120)
            finish(run, CUDA)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(fails, begun))
        assert {(*state(world, key)[:1], frozenset(state(world, key)[1])) for key in keys} == {
            ("waiting" if expected else "error", frozenset(expected))
        }
        world.check()


def test_patterns_that_come_while_a_task_fails_decide_about_it(
    world: World, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    (key,) = world.tasks(net)
    (run,) = world.started()
    run.store_result(False)
    failed, go_on = Event(), Event()
    drop = checkpoints.drop

    def late(connection: Connection, task_id: int) -> list[str]:
        # the Task has failed without a pattern to look at, but nobody can see that yet
        failed.set()
        assert go_on.wait(120)
        return drop(connection, task_id)

    monkeypatch.setattr(checkpoints, "drop", late)
    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(finish, run, CUDA)
        assert failed.wait(120)
        adding = pool.submit(add, world, net, ["CUDA"], 1)
        with pytest.raises(TimeoutError):
            adding.result(1)
        assert restarts.of_networks(world.database, world.user, [net.key]) == [{}]
        go_on.set()
        assert failing.result(120).status == "error"
        adding.result(120)
    assert state(world, key) == ("waiting", {"one"})
    assert counts(world) == {("one", "CUDA"): 1}
    world.check()


def test_patterns_that_are_removed_while_tasks_fail(world: World, net: Net) -> None:
    keys = world.tasks(net, 6)
    patterns = [f"error {n}|CUDA" for n in range(6)]
    add(world, net, patterns, 9)
    begun = world.started(6)

    def removes(n: int) -> None:
        restarts.remove(world.database, world.user, net.key, [patterns[n]])

    with ThreadPoolExecutor(12) as pool:
        failing = [pool.submit(fail, run, CUDA) for run in begun]
        removing = [pool.submit(removes, n) for n in (3, 1, 5, 0)]
        for future in (*failing, *removing):
            future.result(120)
    assert {world.status(key) for key in keys} == {"waiting"}
    assert {pattern for _, pattern in counts(world)} <= {patterns[2], patterns[4]}
    world.check()
