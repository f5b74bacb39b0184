"""A Task rests after its attempt was lost, for longer each time; what its loss is worth."""

from datetime import timedelta

import pytest

from alchemiscale_prefect.domain.losses import BackOff
from alchemiscale_prefect.services import dispatch, runs
from alchemiscale_prefect.services.dispatch import Pass, Pool
from alchemiscale_prefect.wire import compute as wire
from tests.integration.dispatch import failing
from tests.integration.dispatch.world import FlowRun, MemoryLauncher, Net, World, pool

BACK_OFF = BackOff(timedelta(seconds=100), timedelta(seconds=300))


@pytest.fixture
def resting() -> Pool:
    return pool(back_off=BACK_OFF)


def _rest(world: World) -> float:
    """Seconds that the only Task is to rest from now on."""
    (row,) = world.rows("select extract(epoch from not_before - now()) as seconds from task")
    return float(row.seconds)


def _pass_time(world: World, seconds: float) -> None:
    world.execute("update task set not_before = not_before - make_interval(secs => :seconds)", seconds=seconds)


def test_a_task_is_not_claimed_before_its_rest_is_over(
    world: World, launcher: MemoryLauncher, net: Net, resting: Pool
) -> None:
    (key,) = world.tasks(net)
    world.started()
    world.age(91)
    assert dispatch.dispatch(world.database, launcher, resting).lost == 1
    assert 45 < _rest(world) <= 100
    assert world.status(key) == "waiting"
    assert world.queued() == {}
    world.check()
    assert dispatch.dispatch(world.database, launcher, resting) == Pass()
    _pass_time(world, 101)
    assert dispatch.dispatch(world.database, launcher, resting) == Pass(launched=1)
    assert world.attempts(key) == [(1, "lost"), (2, "dispatched")]
    world.check()


def test_rests_grow_with_losses_in_a_row_and_do_not_use_up_restarts(world: World, net: Net, resting: Pool) -> None:
    failing.add(world, net, [".*"])
    world.tasks(net)
    for longest in (100, 200, 300, 300):
        world.started()
        world.age(91)
        dispatch.give_up_expired(world.database, resting)
        assert longest / 2 - 5 < _rest(world) <= longest
        _pass_time(world, longest)
        assert dispatch.end_rest(world.database) == 1
    assert set(failing.counts(world).values()) <= {0}


def test_one_that_is_lost_too_often_does_not_rest(world: World, net: Net) -> None:
    world.tasks(net)
    world.started()
    world.age(91)
    dispatch.give_up_expired(world.database, pool(max_losses=1, back_off=BACK_OFF))
    assert tuple(*world.rows("select status, not_before from task")) == ("error", None)
    world.check()


def test_who_sets_a_status_ends_the_rest(world: World, net: Net, resting: Pool) -> None:
    (key,) = world.tasks(net)
    world.started()
    world.age(91)
    dispatch.give_up_expired(world.database, resting)
    world.set_status([key], "invalid")
    assert tuple(*world.rows("select status, not_before from task")) == ("invalid", None)


def test_a_run_that_is_heard_of_again_ends_the_rest(world: World, net: Net, resting: Pool) -> None:
    world.tasks(net)
    (run,) = world.started()
    world.age(91)
    dispatch.give_up_expired(world.database, resting)
    run.heartbeat()
    assert tuple(*world.rows("select status, losses, not_before from task")) == ("running", 0, None)


def test_an_attempt_that_finished_a_unit_begins_the_row_of_losses_anew(world: World, run: FlowRun) -> None:
    """A Task that is longer than the walltime gets done, a part at a time."""
    for n in range(2, 5):
        run.release(max_losses=2)
        assert tuple(*world.rows("select status, losses from task")) == ("waiting", 1)
        (run,) = world.started()
        run.store_unit(f"ProtocolUnitResult-{n}", f"ProtocolUnit-{n}")
    run.release(max_losses=2)
    (run,) = world.started()
    run.release(max_losses=2)
    assert world.status(run.task) == "error"


def test_a_run_that_is_told_to_stop_lets_its_task_rest(world: World, run: FlowRun) -> None:
    runs.release(world.database, world.compute, run.run, wire.Release(reason="walltime"), 5, BACK_OFF)
    assert 45 < _rest(world) <= 100
