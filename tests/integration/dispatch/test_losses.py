"""What the dispatcher makes of runs that never begin, vanish under way, or that nobody wants."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from alchemiscale_prefect.domain.attempts import AttemptId, Fate, RunEnd, RunState
from alchemiscale_prefect.domain.errors import AttemptVoid
from alchemiscale_prefect.services import dispatch
from alchemiscale_prefect.services.dispatch import ASK_AFTER, Pass
from alchemiscale_prefect.store.queries import attempts, losses
from tests.integration.dispatch.world import FlowRun, MemoryLauncher, Net, World, pool

SILENT = ASK_AFTER.total_seconds() + 1


def _only_attempt(launcher: MemoryLauncher) -> AttemptId:
    (launch,) = launcher.launched
    return launch.attempt


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


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (RunEnd(Fate.never_started, "no such image"), "it ended before it began: no such image"),
        (None, "it ended before it began: Prefect does not know its flow run"),
    ],
)
def test_the_loss_has_the_reason_that_prefect_gives(
    world: World, launcher: MemoryLauncher, net: Net, end: RunEnd | None, reason: str
) -> None:
    world.tasks(net)
    dispatch.dispatch(world.database, launcher, pool())
    flow_run = launcher.of(_only_attempt(launcher))
    launcher.state[flow_run] = RunState.ended
    if end is not None:
        launcher.ended[flow_run] = end
    world.age(SILENT)
    dispatch.give_up_never_begun(world.database, launcher, pool())
    (row,) = world.rows("select a.reason, t.reason as shown from attempt a join task t on t.id = a.task_id")
    assert tuple(row) == (reason, reason)


def test_a_run_that_somebody_cancelled_in_prefect_is_not_made_again_and_again(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    called_off, crashed = world.tasks(net, 2)
    dispatch.dispatch(world.database, launcher, pool())
    by_task = {launch.attempt.task: launcher.of(launch.attempt) for launch in launcher.launched}
    for flow_run in by_task.values():
        launcher.state[flow_run] = RunState.ended
    launcher.ended[by_task[str(called_off)]] = RunEnd(Fate.cancelled, "cancelled in Prefect")
    launcher.ended[by_task[str(crashed)]] = RunEnd(Fate.lost, "crashed")
    world.age(SILENT)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=1, lost=1)
    assert world.attempts(called_off) == [(1, "cancelled")]
    assert world.attempts(crashed) == [(1, "lost"), (2, "dispatched")]
    assert world.status(called_off) == "error"
    world.check()
    world.set_status([called_off], "waiting")
    assert dispatch.dispatch(world.database, launcher, pool()).launched == 1


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
        assert losses.lose(connection, [tuple(row)], "gone", 5, settled=True) == ()
    assert world.attempts(key) == [(1, "running")]
    world.check()


# --- runs that vanish under way --------------------------------------------------------------------------------------


def test_an_expired_lease_is_a_loss_and_the_task_runs_again(world: World, launcher: MemoryLauncher, net: Net) -> None:
    (key,) = world.tasks(net)
    dispatch.dispatch(world.database, launcher, pool())
    attempt = _only_attempt(launcher)
    run = world.run(attempt, launcher.of(attempt))
    run.begin()
    # not to the second: what this test takes itself passes for Postgres too
    world.age(60)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()
    run.heartbeat()
    world.age(60)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()
    world.age(31)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=1, lost=1)
    assert launcher.cancelled == [], "it may be heard of again"
    assert world.attempts(key) == [(1, "lost"), (2, "dispatched")]
    assert world.status(key) == "waiting"
    second = world.run(launcher.launched[-1].attempt, launcher.of(launcher.launched[-1].attempt))
    second.begin()
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(cancelled=1)
    assert launcher.cancelled == [run.flow_run], "whoever still runs it is to stop"
    with pytest.raises(AttemptVoid):
        run.heartbeat()
    with pytest.raises(AttemptVoid):
        run.complete()
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
        pairs = [(silent.task_id, silent.n) for silent in expired]
        assert losses.lose(connection, pairs, "its lease ran out", 5, settled=False) == ()
    assert world.attempts(key) == [(1, "running")]


def test_a_finish_after_the_lease_ran_out_counts_unless_it_was_given_up(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    (run,) = world.started()
    world.age(500)
    assert run.complete().status == "complete"
    assert world.status(key) == "complete"


def _lost(world: World, max_losses: int = 5) -> FlowRun:
    """A run that was given up for lost, at work nonetheless."""
    (run,) = world.started()
    world.age(91)
    assert dispatch.give_up_expired(world.database, pool(max_losses=max_losses)) == 1
    return run


def test_a_run_given_up_for_lost_goes_on_if_no_other_has_begun(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    run = _lost(world)
    assert world.queued() == {key.gufe_key: 1}
    run.heartbeat()
    assert world.status(key) == "running"
    assert world.attempts(key) == [(1, "running")]
    assert world.rows("select losses from task")[0].losses == 0
    assert world.queued() == {}
    world.check()
    world.age(60)
    assert dispatch.give_up_expired(world.database, pool()) == 0, "the whole lease is its own again"
    assert run.complete().status == "complete"


@pytest.mark.parametrize("dispatched", [False, True])
def test_a_late_result_counts_and_its_successor_never_begins(world: World, net: Net, dispatched: bool) -> None:
    (key,) = world.tasks(net)
    run = _lost(world)
    successors = [world.run(attempt) for attempt in world.claim()] if dispatched else []
    run.store_dag()
    run.store_unit()
    assert run.complete().status == "complete"
    assert world.attempts(key) == [(1, "complete"), *([(2, "cancelled")] if dispatched else [])]
    for successor in successors:
        with pytest.raises(AttemptVoid):
            successor.begin()
    assert world.claim() == []
    world.check()


@pytest.mark.parametrize("end", [FlowRun.release, lambda run: run.complete(ok=False)], ids=["lost", "error"])
def test_a_late_run_is_refused_once_a_later_one_has_begun_though_that_is_over(
    world: World, net: Net, end: Callable[[FlowRun], object]
) -> None:
    world.tasks(net)
    run = _lost(world)
    (later,) = world.started()
    end(later)
    before = world.content()
    for late in (
        FlowRun.heartbeat,
        FlowRun.store_result,
        FlowRun.finish,
        lambda run: run.finish(False, None, "no DAG"),
    ):
        with pytest.raises(AttemptVoid):
            late(run)
    assert world.content() == before


def test_a_late_word_that_no_dag_can_be_made_counts(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    assert _lost(world).finish(False, None, "Protocol.create failed").status == "error"
    assert (world.status(key), world.attempts(key)) == ("error", [(1, "error")])


def test_a_late_result_mends_what_was_lost_too_often(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    run = _lost(world, max_losses=1)
    assert world.status(key) == "error"
    assert run.complete().status == "complete"
    world.check()


def test_a_late_run_that_nobody_wants_may_finish_but_not_go_on(world: World, net: Net) -> None:
    kept, deleted = world.tasks(net, 2)
    runs = world.started(2)
    world.age(91)
    dispatch.give_up_expired(world.database, pool())
    world.cancel(net, [kept])
    world.set_status([deleted], "deleted")
    for run in runs:
        with pytest.raises(AttemptVoid):
            run.heartbeat()
    by_task = {run.task: run for run in runs}
    assert by_task[kept].complete().status == "complete"
    with pytest.raises(AttemptVoid):
        by_task[deleted].complete()


def test_what_was_given_back_is_not_taken_again(world: World, run: FlowRun) -> None:
    run.release("walltime")
    with pytest.raises(AttemptVoid):
        run.heartbeat()
    with pytest.raises(AttemptVoid):
        run.finish()
    assert world.attempts(run.task) == [(1, "lost")]


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
    # the flow runs of the first two: the last one may be heard of again
    assert dispatch.dispatch(world.database, launcher, patient) == Pass(lost=1, cancelled=1)
    (row,) = world.rows("select status, reason, losses from task")
    assert (row.status, row.losses) == ("error", 3)
    assert row.reason == (
        "lost 3 times in a row, the last time: its lease ran out: its host vanished, hangs or is cut off"
    )
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


def test_a_task_off_its_last_network_may_be_let_run_if_it_has_begun(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    second = world.network("two")
    dispatched, begun, kept = world.tasks(net, 3)
    world.action(second, [kept])
    dispatch.dispatch(world.database, launcher, pool())
    by_task = {launch.attempt.task: launch.attempt for launch in launcher.launched}
    run = world.run(by_task[str(begun)], launcher.of(by_task[str(begun)]))
    run.begin()
    world.cancel(net, [dispatched, begun, kept], stop_tasks=False)
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
