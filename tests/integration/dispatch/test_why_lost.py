"""Why an attempt was lost, and what follows: it counts, it does not count, or somebody wanted it so."""

from collections.abc import Collection, Mapping
from uuid import UUID

import pytest

from alchemiscale_prefect.domain.attempts import AttemptId, Capacity, Fate, RunEnd, RunState
from alchemiscale_prefect.domain.errors import AttemptVoid, Unavailable
from alchemiscale_prefect.domain.losses import REGAIN, SETTLE_LOST, UNCOUNTED_LIMIT
from alchemiscale_prefect.services import dispatch, losses
from alchemiscale_prefect.services.dispatch import Pass
from tests.integration.dispatch.world import FlowRun, MemoryLauncher, Net, World, pool

EXPIRED = 91


class AwayLauncher(MemoryLauncher):
    """Prefect does not answer, of flow runs that it has."""

    def states(self, flow_run_ids: Collection[UUID]) -> Mapping[UUID, RunState]:
        raise Unavailable("Prefect is away")

    def cancel(self, flow_run_ids: Collection[UUID]) -> frozenset[UUID]:
        raise Unavailable("Prefect is away")


def _begun(world: World, launcher: MemoryLauncher) -> FlowRun:
    """A flow run of the only Task, with a checkpoint, silent for longer than its lease."""
    dispatch.dispatch(world.database, launcher, pool())
    attempt = launcher.launched[-1].attempt
    run = world.run(attempt, launcher.of(attempt))
    run.begin()
    run.store_dag()
    launcher.state[run.flow_run] = RunState.running
    world.age(EXPIRED)
    return run


@pytest.mark.parametrize(
    ("state", "end", "reason", "counted"),
    [
        (RunState.running, None, "its host vanished, hangs or is cut off", 1),
        (RunState.missing, None, "Prefect does not know its flow run", 1),
        (RunState.ended, RunEnd(Fate.lost, "it ran out of memory"), "it ran out of memory", 1),
        (RunState.ended, RunEnd(Fate.preempted, "its host was preempted"), "its host was preempted", 0),
    ],
)
def test_prefect_says_why_a_lease_ran_out(
    world: World,
    launcher: MemoryLauncher,
    net: Net,
    state: RunState,
    end: RunEnd | None,
    reason: str,
    counted: int,
) -> None:
    world.tasks(net)
    run = _begun(world, launcher)
    launcher.state[run.flow_run] = state
    if end is not None:
        launcher.ended[run.flow_run] = end
    assert losses.give_up_expired(world.database, pool(), launcher) == 1
    (row,) = world.rows("select t.losses, t.status, t.reason, a.reason as why from task t, attempt a")
    assert tuple(row) == (counted, "waiting", f"its lease ran out: {reason}", f"its lease ran out: {reason}")
    (last, *_) = world.rows("select why from task_history order by id desc")
    assert last.why == f"its lease ran out: {reason}"
    world.check()


def test_a_loss_does_not_wait_for_a_prefect_that_is_away(world: World, launcher: MemoryLauncher, net: Net) -> None:
    world.tasks(net)
    run = _begun(world, launcher)
    assert losses.give_up_expired(world.database, pool(), AwayLauncher()) == 1
    assert world.attempt(run.attempt).reason == "its lease ran out"


@pytest.mark.parametrize("state", [RunState.cancelling, RunState.ended])
def test_a_run_cancelled_in_prefect_that_could_not_say_so_is_called_off(
    world: World, launcher: MemoryLauncher, net: Net, state: RunState
) -> None:
    (key,) = world.tasks(net)
    run = _begun(world, launcher)
    launcher.state[run.flow_run] = state
    if state is RunState.ended:
        launcher.ended[run.flow_run] = RunEnd(Fate.cancelled, "its flow run was cancelled in Prefect")
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()
    assert (world.status(key), world.attempts(key)) == ("error", [(1, "cancelled")])
    assert launcher.cancelled == []
    world.check()


def test_flow_runs_of_which_prefect_has_no_answer_do_not_keep_others_from_being_made(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    waiting, unwanted = world.tasks(net, 2)
    dispatch.dispatch(world.database, launcher, pool())
    world.cancel(net, [unwanted])
    world.age(EXPIRED)
    (key,) = world.tasks(net)
    silent = AwayLauncher()
    for _ in range(2):
        dispatch.dispatch(world.database, silent, pool())
    assert [launch.attempt.task for launch in silent.launched] == [str(key)]
    # and they are asked about again
    launcher.state[launcher.runs[f"{waiting}:1"]] = RunState.ended
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=1, lost=1, cancelled=1)


def test_a_run_that_waits_and_is_being_cancelled_is_called_off(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    (key,) = world.tasks(net)
    dispatch.dispatch(world.database, launcher, pool())
    launcher.state[launcher.of(launcher.launched[0].attempt)] = RunState.cancelling
    world.age(EXPIRED)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()
    assert (world.status(key), world.attempts(key)) == ("error", [(1, "cancelled")])


def test_who_cancels_a_running_flow_run_in_prefect_stops_its_task_which_can_go_on(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    (key,) = world.tasks(net)
    run = _begun(world, launcher)
    run.heartbeat()
    run.release("its flow run was cancelled in Prefect", cause="cancelled")
    assert (world.status(key), world.attempts(key)) == ("error", [(1, "cancelled")])
    with pytest.raises(AttemptVoid):
        run.heartbeat()
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()
    world.check()
    world.set_status([key], "waiting")
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=1)
    # at once, and from the checkpoint
    second = launcher.launched[-1].attempt
    assert world.run(second, launcher.of(second)).begin().checkpoint is not None


def test_who_cancels_the_next_flow_run_in_prefect_does_not_get_the_lost_one_back(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    (key,) = world.tasks(net)
    lost = _begun(world, launcher)
    losses.give_up_expired(world.database, pool(), launcher)
    dispatch.dispatch(world.database, launcher, pool())
    second = launcher.of(launcher.launched[-1].attempt)
    launcher.state[second], launcher.ended[second] = (
        RunState.ended,
        RunEnd(Fate.cancelled, "its flow run was cancelled"),
    )
    world.execute("update attempt set launched_at = now() - interval '31 s' where n = 2")
    dispatch.dispatch(world.database, launcher, pool())
    assert (world.status(key), world.attempts(key)) == ("error", [(1, "lost"), (2, "cancelled")])
    with pytest.raises(AttemptVoid):
        lost.heartbeat()
    assert world.status(key) == "error"
    # what is done is not thrown away
    assert lost.complete().status == "complete"
    world.check()


def test_what_we_cancelled_is_not_taken_for_the_wish_of_somebody_in_prefect(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    unwanted, lost = world.tasks(net, 2)
    dispatch.dispatch(world.database, launcher, pool())
    runs = {launch.attempt.task: world.run(launch.attempt, launcher.of(launch.attempt)) for launch in launcher.launched}
    for run in runs.values():
        run.begin()
    world.cancel(net, [unwanted])
    with pytest.raises(AttemptVoid):
        runs[str(unwanted)].release(cause="cancelled")
    assert world.status(unwanted) == "waiting"
    # lost, and Prefect was told: then it hands in a result after all, and is told to stop in the middle
    world.age(EXPIRED)
    losses.give_up_expired(world.database, pool(), launcher)
    world.age(SETTLE_LOST.total_seconds() + 1)
    assert dispatch.stop_unwanted(world.database, launcher, pool()) == 2
    runs[str(lost)].store_result()
    runs[str(lost)].release(cause="cancelled")
    assert (world.status(lost), world.attempts(lost)) == ("waiting", [(1, "lost")])
    world.check()


def test_who_is_told_to_stop_has_no_part_in_it_up_to_a_limit(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    for _ in range(UNCOUNTED_LIMIT - 1):
        (run,) = world.started()
        run.release("told to stop", max_losses=1, cause="stopped")
    assert (world.status(key), world.rows("select losses from task")[0].losses) == ("waiting", 0)
    (run,) = world.started()
    run.store_dag()
    run.store_unit()
    run.release("told to stop", max_losses=1, cause="stopped")
    assert world.status(key) == "waiting", "it was of use"
    (run,) = world.started()
    run.release("told to stop", max_losses=1, cause="stopped")
    assert world.status(key) == "error"
    assert world.rows("select reason from task")[0].reason == "lost 11 times in a row, the last time: told to stop"
    world.set_status([key], "waiting")
    (run,) = world.started()
    run.release("told to stop", max_losses=1, cause="stopped")
    assert world.status(key) == "waiting", "it counts anew"


def test_a_lost_run_may_go_on_for_a_while_and_hand_in_its_result_for_longer(world: World, net: Net) -> None:
    tasks = world.tasks(net, 2)
    early, late = world.started(2)
    world.age(EXPIRED)
    losses.give_up_expired(world.database, pool())
    world.age(REGAIN.total_seconds() - 5)
    early.heartbeat()
    world.age(10)
    with pytest.raises(AttemptVoid):
        late.heartbeat()
    assert late.complete().status == "complete"
    assert sorted(filter(None, map(world.status, tasks))) == ["complete", "running"]


def test_prefect_is_told_of_a_lost_run_only_when_it_may_not_go_on(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    world.tasks(net)
    run = _begun(world, launcher)
    losses.give_up_expired(world.database, pool(), launcher)
    world.age(REGAIN.total_seconds())
    assert dispatch.stop_unwanted(world.database, launcher, pool()) == 0
    world.age((SETTLE_LOST - REGAIN).total_seconds() + 1)
    assert dispatch.stop_unwanted(world.database, launcher, pool()) == 1
    assert launcher.cancelled == [run.flow_run]


def test_a_paused_pool_gives_back_what_it_holds_and_another_pool_takes_it(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    world.tasks(net, 3)
    dispatch.dispatch(world.database, launcher, pool("paused"))
    first, taken, _ = (launch.attempt for launch in launcher.launched)
    world.run(first, launcher.of(first)).begin()
    launcher.state[launcher.of(taken)] = RunState.pending
    world.execute("update attempt set lease_expires_at = now() + interval '1h' where state = 'running'")
    launcher.free = Capacity(paused=True)
    world.age(losses.GIVE_BACK_AFTER.total_seconds() - 10)
    # a moment is no pause
    assert dispatch.dispatch(world.database, launcher, pool("paused")) == Pass()
    world.age(20)
    assert dispatch.dispatch(world.database, launcher, pool("paused")) == Pass(cancelled=1)
    states = [row.state for row in world.rows("select state from attempt order by state")]
    assert states == ["cancelled", "dispatched", "running"]
    assert dispatch.dispatch(world.database, MemoryLauncher(), pool("other")) == Pass(launched=1)
    world.check()


def test_a_claim_of_a_paused_pool_that_has_no_flow_run_is_given_back_too(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    (key,) = world.tasks(net)
    assert world.claim(pool="paused") == [AttemptId(str(key), 1)]
    launcher.free = Capacity(paused=True)
    world.age(losses.GIVE_BACK_AFTER.total_seconds() + 1)
    assert dispatch.dispatch(world.database, launcher, pool("paused")) == Pass()
    assert world.attempts(key) == [(1, "cancelled")]
    assert world.queued() == {key.gufe_key: 1}
    assert launcher.launched == []


def test_what_is_preempted_before_it_begins_has_its_limit_too(world: World, launcher: MemoryLauncher, net: Net) -> None:
    (key,) = world.tasks(net)
    for n in range(1, UNCOUNTED_LIMIT + 1):
        assert world.status(key) == "waiting"
        dispatch.dispatch(world.database, launcher, pool(max_losses=1))
        flow_run = launcher.of(launcher.launched[-1].attempt)
        launcher.state[flow_run] = RunState.ended
        launcher.ended[flow_run] = RunEnd(Fate.preempted, "its host was preempted")
        world.age(31)
        assert losses.give_up_never_begun(world.database, launcher, pool(max_losses=1)) == 1, n
    assert world.status(key) == "error"
