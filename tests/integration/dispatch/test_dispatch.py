"""Passes of the dispatcher: how far a pool is filled, and what is mended after a crash at any step."""

import threading
import uuid
from collections import Counter
from datetime import timedelta

import pytest

from alchemiscale_prefect.domain.attempts import AttemptId, RunState
from alchemiscale_prefect.domain.errors import AttemptVoid
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.services import dispatch
from alchemiscale_prefect.services.dispatch import ASK_AFTER, LAUNCH_GRACE, Pass
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.queries import attempts
from tests.integration.dispatch.world import MemoryLauncher, Net, World, own_keys, pool

GRACE = LAUNCH_GRACE.total_seconds() + 1
SILENT = ASK_AFTER.total_seconds() + 1


@pytest.fixture
def net(world: World) -> Net:
    return world.network()


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


# --- runs that never begin -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [RunState.ended, RunState.missing])
def test_a_run_that_ended_before_it_began_is_lost_and_has_a_successor(
    world: World, launcher: MemoryLauncher, net: Net, state: RunState
) -> None:
    (key,) = world.tasks(net)
    dispatch.dispatch(world.database, launcher, pool())
    first = _only_attempt(launcher)
    launcher.state[launcher.of(first)] = state
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(), "it may be about to begin"
    world.age(SILENT)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=1, lost=1)
    assert launcher.launched[-1].attempt == AttemptId(str(key), 2)
    assert world.attempts(key) == [(1, "lost"), (2, "dispatched")]
    assert launcher.cancelled == [], "nothing is left to stop"
    with pytest.raises(AttemptVoid):
        world.run(first, launcher.of(first)).begin()


def test_a_run_may_wait_for_a_worker_as_long_as_it_takes(world: World, launcher: MemoryLauncher, net: Net) -> None:
    """Behind GPU runs that is hours; and when a worker takes it at last, its time to begin starts then."""
    (key,) = world.tasks(net)
    short = pool(start_timeout=timedelta(seconds=60))
    dispatch.dispatch(world.database, launcher, short)
    flow_run = launcher.of(_only_attempt(launcher))
    world.age(100_000)
    assert dispatch.dispatch(world.database, launcher, short) == Pass()
    launcher.state[flow_run] = RunState.pending
    for _ in range(3):
        assert dispatch.dispatch(world.database, launcher, short) == Pass()
        world.age(15)
    world.run(_only_attempt(launcher), flow_run).begin()
    assert world.attempts(key) == [(1, "running")]


@pytest.mark.parametrize("state", [RunState.pending, RunState.running])
def test_a_run_that_a_worker_took_and_never_began_is_lost(
    world: World, launcher: MemoryLauncher, net: Net, state: RunState
) -> None:
    (key,) = world.tasks(net)
    short = pool(start_timeout=timedelta(seconds=60))
    dispatch.dispatch(world.database, launcher, short)
    flow_run = launcher.of(_only_attempt(launcher))
    launcher.state[flow_run] = state
    world.age(SILENT)
    assert dispatch.dispatch(world.database, launcher, short) == Pass()
    world.age(61)
    assert dispatch.dispatch(world.database, launcher, short) == Pass(launched=1, lost=1, cancelled=1)
    assert launcher.cancelled == [flow_run]
    assert world.attempts(key) == [(1, "lost"), (2, "dispatched")]


def test_a_run_that_goes_back_to_the_pool_gets_its_time_anew(world: World, launcher: MemoryLauncher, net: Net) -> None:
    world.tasks(net)
    short = pool(start_timeout=timedelta(seconds=60))
    dispatch.dispatch(world.database, launcher, short)
    flow_run = launcher.of(_only_attempt(launcher))
    world.age(SILENT)
    for state in (RunState.pending, RunState.scheduled, RunState.pending):
        launcher.state[flow_run] = state
        assert dispatch.dispatch(world.database, launcher, short) == Pass()
        world.age(45)
    assert dispatch.dispatch(world.database, launcher, short) == Pass()


def test_a_run_that_begins_while_it_is_given_up_goes_on(world: World, launcher: MemoryLauncher, net: Net) -> None:
    (key,) = world.tasks(net)
    dispatch.dispatch(world.database, launcher, pool())
    attempt = _only_attempt(launcher)
    run = world.run(attempt, launcher.of(attempt))
    (row,) = world.rows("select task_id, n from attempt")
    with world.database.transaction() as connection:
        run.begin()  # after it was looked at
        assert attempts.lose(connection, [tuple(row)], "gone", 5, settled=True) == ()
    assert world.attempts(key) == [(1, "running")]
    world.check()


# --- runs that vanish under way --------------------------------------------------------------------------------------


def test_an_expired_lease_is_a_loss_and_the_task_runs_again(world: World, launcher: MemoryLauncher, net: Net) -> None:
    (key,) = world.tasks(net)
    dispatch.dispatch(world.database, launcher, pool())
    attempt = _only_attempt(launcher)
    run = world.run(attempt, launcher.of(attempt))
    run.begin()
    world.age(89)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()
    run.heartbeat()
    world.age(89)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()
    world.age(2)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=1, lost=1, cancelled=1)
    assert launcher.cancelled == [run.flow_run], "whoever still runs it is to stop"
    assert world.attempts(key) == [(1, "lost"), (2, "dispatched")]
    assert world.status(key) == "waiting"
    with pytest.raises(AttemptVoid):
        run.heartbeat()
    second = world.run(launcher.launched[-1].attempt, launcher.of(launcher.launched[-1].attempt))
    second.begin()
    second.complete()
    assert world.status(key) == "complete"


def test_a_lease_renewed_while_the_reaper_looks_is_kept(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    (run,) = world.started()
    world.age(91)
    with world.database.transaction() as connection:
        expired = attempts.expired(connection)
        run.heartbeat()
        assert len(expired) == 1
        assert attempts.lose(connection, expired, "its lease ran out", 5, settled=False) == ()
    assert world.attempts(key) == [(1, "running")]


def test_a_finish_after_the_lease_ran_out_counts_unless_it_was_given_up(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    (run,) = world.started()
    world.age(500)
    assert run.complete().status == "complete"
    assert world.status(key) == "complete"


def test_too_many_losses_in_a_row_are_an_error_with_its_reason(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    (key,) = world.tasks(net)
    patient = pool(max_losses=3)
    for n in (1, 2, 3):
        dispatch.dispatch(world.database, launcher, patient)
        attempt = launcher.launched[-1].attempt
        assert attempt.n == n
        world.run(attempt, launcher.of(attempt)).begin()
        world.age(91)
    assert dispatch.dispatch(world.database, launcher, patient) == Pass(lost=1, cancelled=1)
    (row,) = world.rows("select status, reason, losses from task")
    assert (row.status, row.losses) == ("error", 3)
    assert row.reason == "lost 3 times in a row, the last time: its lease ran out"
    assert world.queued() == {}
    world.set_status([key], "waiting")
    assert world.rows("select losses from task")[0].losses == 0
    assert dispatch.dispatch(world.database, launcher, patient) == Pass(launched=1)


def test_losses_that_are_not_in_a_row_do_not_add_up(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    for _ in range(4):
        world.started()[0].release(max_losses=2)
        world.started()[0].complete(ok=False)
        world.set_status([key], "waiting")
    assert world.status(key) == "waiting"


# --- runs that nobody wants ------------------------------------------------------------------------------------------


def test_an_unwanted_run_is_cancelled_once(world: World, launcher: MemoryLauncher, net: Net) -> None:
    scheduled, running, other = world.tasks(net, 3)
    dispatch.dispatch(world.database, launcher, pool())
    by_task = {launch.attempt.task: launch.attempt for launch in launcher.launched}
    run = world.run(by_task[str(running)], launcher.of(by_task[str(running)]))
    run.begin()
    world.set_status([scheduled, running], "deleted")
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(cancelled=2)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()
    expected = {launcher.of(by_task[str(key)]) for key in (scheduled, running)}
    assert Counter(launcher.cancelled) == Counter(expected)
    with pytest.raises(AttemptVoid):
        run.heartbeat()
    assert world.attempts(other) == [(1, "dispatched")]


def test_a_run_that_could_not_be_cancelled_is_asked_again(world: World, launcher: MemoryLauncher, net: Net) -> None:
    (key,) = world.tasks(net)
    dispatch.dispatch(world.database, launcher, pool())
    world.set_status([key], "deleted")
    launcher.deaf = True
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()
    launcher.deaf = False
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(cancelled=1)
    assert len(launcher.cancelled) == 2


def test_a_task_off_its_last_network_is_not_run_if_it_has_not_begun(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    second = world.network("two")
    dispatched, begun, kept = world.tasks(net, 3)
    world.action(second, [kept])
    dispatch.dispatch(world.database, launcher, pool())
    by_task = {launch.attempt.task: launch.attempt for launch in launcher.launched}
    run = world.run(by_task[str(begun)], launcher.of(by_task[str(begun)]))
    run.begin()
    world.cancel(net, [dispatched, begun, kept])
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(cancelled=1)
    assert launcher.cancelled == [launcher.of(by_task[str(dispatched)])]
    assert world.attempts(dispatched) == [(1, "cancelled")]
    assert world.attempts(kept) == [(1, "dispatched")]
    run.complete()
    assert world.status(begun) == "complete"
    world.action(net, [dispatched])
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=1)
    assert world.attempts(dispatched) == [(1, "cancelled"), (2, "dispatched")]


def test_a_running_task_set_waiting_runs_anew_under_the_next_number(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    (key,) = world.tasks(net)
    dispatch.dispatch(world.database, launcher, pool())
    attempt = _only_attempt(launcher)
    run = world.run(attempt, launcher.of(attempt))
    run.begin()
    world.set_status([key], "waiting")
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=1, cancelled=1)
    with pytest.raises(AttemptVoid):
        run.complete()
    assert world.attempts(key) == [(1, "cancelled"), (2, "dispatched")]


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
            flow_run = launcher.runs.get(launch.attempt.idempotency_key)
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
