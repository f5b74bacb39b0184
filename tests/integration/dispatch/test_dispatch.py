"""Passes of the dispatcher: how far a pool is filled, and what is mended after a crash at any step."""

import threading
import uuid
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import text

from alchemiscale_prefect.domain.attempts import AttemptId, Launch, Launched, RunState
from alchemiscale_prefect.domain.errors import AttemptVoid
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.services import dispatch
from alchemiscale_prefect.services.dispatch import LAUNCH_GRACE, Pass
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.queries import attempts
from tests.integration.dispatch.world import MemoryLauncher, Net, World, own_keys, pool

GRACE = LAUNCH_GRACE.total_seconds() + 1


def _live(world: World) -> Counter[str]:
    rows = world.rows("select state, count(*) from attempt where state in ('dispatched', 'running') group by state")
    return Counter(dict(map(tuple, rows)))


def _only_attempt(launcher: MemoryLauncher) -> AttemptId:
    (launch,) = launcher.launched
    return launch.attempt


# --- how far ---------------------------------------------------------------------------------------------------------


def test_the_buffer_is_filled_and_kept_full(world: World, launcher: MemoryLauncher, net: Net) -> None:
    world.tasks(net, 30)
    small = pool(buffer=4, max_in_flight=100)
    assert dispatch.dispatch(world.database, launcher, small) == Pass(launched=4)
    assert dispatch.dispatch(world.database, launcher, small) == Pass()
    for launch in launcher.launched[:3]:
        world.run(launch.attempt, launcher.of(launch.attempt)).begin()
    assert dispatch.dispatch(world.database, launcher, small) == Pass(launched=3)
    assert _live(world) == {"dispatched": 4, "running": 3}


def test_no_more_than_max_in_flight(world: World, launcher: MemoryLauncher, net: Net) -> None:
    world.tasks(net, 30)
    narrow = pool(buffer=4, max_in_flight=6)
    for _ in range(6):
        dispatch.dispatch(world.database, launcher, narrow)
        for key, n, flow_run in world.rows(
            "select t.key, a.n, a.flow_run_id from attempt a join task t on t.id = a.task_id "
            "where a.state = 'dispatched' limit 2"
        ):
            world.run(AttemptId(f"{key}-{net.key.scope}", n), flow_run).begin()
        assert sum(_live(world).values()) <= 6
    assert _live(world) == {"running": 6}
    (task,) = world.rows("select t.key from attempt a join task t on t.id = a.task_id where state = 'running' limit 1")
    world.set_status([ScopedKey.of(task.key, net.key.scope)], "deleted")
    assert dispatch.dispatch(world.database, launcher, narrow) == Pass(launched=1, cancelled=1)


def test_a_lower_limit_than_what_runs_is_no_error(world: World, launcher: MemoryLauncher, net: Net) -> None:
    world.tasks(net, 10)
    dispatch.dispatch(world.database, launcher, pool(buffer=5, max_in_flight=5))
    assert dispatch.dispatch(world.database, launcher, pool(buffer=2, max_in_flight=3)) == Pass()


def test_pools_are_filled_each_for_itself(world: World, launcher: MemoryLauncher, net: Net) -> None:
    world.tasks(net, 10)
    for name in ("a", "b"):
        assert dispatch.dispatch(world.database, launcher, pool(name, buffer=3)).launched == 3
    assert len(launcher.runs) == 6


def test_an_empty_queue_asks_the_orchestrator_nothing(world: World, net: Net) -> None:
    world.create(net, 3)
    deaf = MemoryLauncher(fail_before=True)
    assert dispatch.dispatch(world.database, deaf, pool()) == Pass()


def test_a_launch_says_what_people_look_for(world: World, launcher: MemoryLauncher, net: Net) -> None:
    (key,) = world.tasks(net)
    dispatch.dispatch(world.database, launcher, pool())
    (launch,) = launcher.launched
    assert launch.attempt == AttemptId(str(key), 1)
    assert launch.tags == (
        "alchemiscale",
        f"scope:{net.key.scope}",
        f"network:{net.key}",
        f"transformation:{net.transformations[0]}",
    )


# --- crashes between the steps ---------------------------------------------------------------------------------------


def test_a_claim_is_committed_before_the_launch_and_taken_up_by_another_dispatcher(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    world.tasks(net, 3)
    with pytest.raises(ConnectionError):
        dispatch.dispatch(world.database, MemoryLauncher(fail_before=True), pool())
    assert _live(world) == {"dispatched": 3}
    # not at once: the one that claimed may be at it
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()
    world.age(GRACE)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=3)
    assert sorted(launcher.runs) == sorted(f"{name}:1" for name in world_names(world))
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()


class KeyedLauncher(MemoryLauncher):
    """One flow run per idempotency key, as Prefect makes them."""

    def _launch(self, launch: Launch) -> Launched:
        flow_run = self.runs.setdefault(launch.idempotency_key, uuid.uuid4())
        self.state.setdefault(flow_run, RunState.scheduled)
        return Launched(launch.attempt, flow_run)


def test_a_restored_database_gets_flow_runs_of_its_own_for_numbers_that_come_again(
    world: World, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "LAUNCH_GRACE", timedelta(0))
    (key,) = world.tasks(net)
    launcher = KeyedLauncher(fail_after=True)
    with pytest.raises(ConnectionError):
        dispatch.dispatch(world.database, launcher, pool())
    launcher.fail_after = False
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=1)
    (first,) = launcher.runs.values()  # asked for twice
    assert world.attempt(AttemptId(str(key), 1)).flow_run_id == first
    # as it is in a backup of before; in Prefect, the flow run is there and over
    world.execute("delete from attempt")
    world.execute("update task set attempts = 0")
    with world.database.transaction() as connection:
        queue.refresh(connection, list(connection.execute(text("select id from task")).scalars()))
    launcher.state[first] = RunState.ended
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=1)
    second = world.attempt(AttemptId(str(key), 1)).flow_run_id
    assert second != first
    assert launcher.state[second] is RunState.scheduled


def world_names(world: World) -> list[str]:
    """The ScopedKeys of all Tasks."""
    return [f"{row.key}-test_org-test_campaign-test_project" for row in world.rows("select key from task")]


def test_a_launch_whose_answer_is_lost_makes_no_second_flow_run(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    world.tasks(net, 3)
    launcher.fail_after = True
    with pytest.raises(ConnectionError):
        dispatch.dispatch(world.database, launcher, pool())
    launcher.fail_after = False
    made = dict(launcher.runs)
    world.age(GRACE)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=3)
    assert launcher.runs == made
    recorded = world.rows("select flow_run_id from attempt")
    assert {row.flow_run_id for row in recorded} == set(made.values())


def test_a_run_may_begin_before_it_is_on_record(world: World, launcher: MemoryLauncher, net: Net) -> None:
    world.tasks(net)
    launcher.fail_after = True
    with pytest.raises(ConnectionError):
        dispatch.dispatch(world.database, launcher, pool())
    launcher.fail_after = False
    attempt = _only_attempt(launcher)
    run = world.run(attempt, launcher.of(attempt))
    run.begin()
    world.age(GRACE)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()
    with pytest.raises(AttemptVoid):
        world.run(attempt).begin()
    run.complete()
    assert world.status(run.task) == "complete"


def test_an_answer_that_comes_after_the_run_began_changes_nothing(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    world.tasks(net)
    launches = dispatch.claim(world.database, pool())
    launched = launcher.launch(launches)
    run = world.run(launches[0].attempt, launched[0].flow_run_id)
    run.begin()
    before = world.content()
    with world.database.transaction() as connection:
        attempts.record_launched(connection, launched)
    assert world.content() == before


def test_items_that_fail_in_an_answer_are_asked_for_again(world: World, launcher: MemoryLauncher, net: Net) -> None:
    keys = world.tasks(net, 3)
    launcher.refuse = {str(keys[0])}
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=2, failed=1)
    assert world.attempt(AttemptId(str(keys[0]), 1)).flow_run_id is None
    world.age(GRACE)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(failed=1)
    launcher.refuse = set()
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=1)
    assert len(launcher.runs) == 3


def test_a_task_cancelled_while_its_flow_run_is_made_is_stopped(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    (key,) = world.tasks(net)
    launches = dispatch.claim(world.database, pool())
    world.set_status([key], "invalid")
    launched = launcher.launch(launches)
    with world.database.transaction() as connection:
        attempts.record_launched(connection, launched)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(cancelled=1)
    assert launcher.cancelled == [launched[0].flow_run_id]
    with pytest.raises(AttemptVoid):
        world.run(launches[0].attempt, launched[0].flow_run_id).begin()


def test_a_claim_whose_task_is_cancelled_is_not_launched_again(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    keys = world.tasks(net, 2)
    dispatch.claim(world.database, pool())
    world.cancel(net, keys)
    world.age(GRACE)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()
    assert launcher.launched == []


# --- several dispatchers ---------------------------------------------------------------------------------------------


def test_a_second_dispatcher_of_a_pool_does_not_claim_while_the_first_does(world: World, net: Net) -> None:
    world.tasks(net, 5)
    with world.database.transaction() as first:
        assert queue.try_lock_pool(first, "pool")
        assert dispatch.claim(world.database, pool()) == ()
        assert len(dispatch.claim(world.database, pool("other", buffer=2))) == 2
    assert len(dispatch.claim(world.database, pool())) == 3


def test_two_dispatchers_at_once_launch_nothing_twice_and_keep_the_limit(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    keys = world.tasks(net, 120)
    narrow = pool(buffer=5, max_in_flight=8)
    over = threading.Event()
    most: list[int] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while not over.is_set():
                dispatch.dispatch(world.database, launcher, narrow)
                most.append(sum(_live(world).values()))
        except BaseException as error:  # noqa: BLE001  raised again below
            errors.append(error)
            over.set()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    done: set[uuid.UUID] = set()
    while len(done) < len(keys) and not over.is_set():
        for launch in list(launcher.launched):
            flow_run = launcher.runs.get(f"{launch.attempt.task}:1")
            if flow_run is not None and flow_run not in done:
                run = world.run(launch.attempt, flow_run)
                run.begin()
                run.complete()
                done.add(flow_run)
    over.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert max(most) <= 8
    assert Counter(own_keys(launch.attempt for launch in launcher.launched)) == Counter(key.gufe_key for key in keys)
    assert len(launcher.runs) == 120
    world.check()
