"""Stopping what no network wants any more: networks that are stopped, and Tasks that are cancelled and stopped."""

import pytest

from alchemiscale_prefect.domain.errors import AttemptVoid, InvalidInput
from alchemiscale_prefect.services import dispatch, networks
from tests.integration.dispatch.world import pool


def test_a_stopped_network_stops_what_runs_what_is_on_its_way_and_what_waits(world, net, launcher):
    tasks = world.tasks(net, 3)
    dispatch.dispatch(world.database, launcher, pool(buffer=2))
    first, second = (launch.attempt for launch in launcher.launched)
    running = world.run(first, launcher.of(first))
    running.begin()
    assert world.stop(net) == [str(net.key)]
    assert networks.get_states(world.database, world.user, [net.key]) == ["inactive"]
    # the flow run learns of it by itself, the other one may not begin
    with pytest.raises(AttemptVoid):
        running.heartbeat()
    with pytest.raises(AttemptVoid):
        world.run(second, launcher.of(second)).begin()
    with pytest.raises(AttemptVoid):
        running.complete()
    assert [world.status(task) for task in tasks] == ["waiting"] * 3
    assert world.attempt(first).state == world.attempt(second).state == "cancelled"
    assert world.attempt(first).reason == "its network was stopped"
    # and Prefect is told, once
    assert dispatch.dispatch(world.database, launcher, pool()).cancelled == 2
    assert set(launcher.cancelled) == {launcher.of(first), launcher.of(second)}
    assert dispatch.dispatch(world.database, launcher, pool()) == dispatch.Pass()
    assert len(launcher.launched) == 2
    world.check()


def test_what_was_stopped_is_taken_up_where_it_was(world, net):
    (task,) = world.tasks(net)
    (run,) = world.started()
    run.store_dag()
    run.store_unit()
    world.stop(net, "deleted")
    run.stop()
    assert world.status(task) == "waiting"
    assert world.claim() == []
    assert world.action(net, [task]) == [str(task)]
    (again,) = (world.run(attempt) for attempt in world.claim())
    begun = again.begin()
    assert begun.checkpoint is not None
    assert [unit.key for unit in begun.checkpoint.units] == ["ProtocolUnitResult-1"]
    again.complete()
    assert world.status(task) == "complete"


def test_what_another_network_wants_goes_on(world, net):
    other = world.network("other")
    shared, own = world.tasks(net, 2)
    world.action(other, [shared])
    runs = {run.task: run for run in world.started(2)}
    world.stop(net)
    runs[shared].heartbeat()
    with pytest.raises(AttemptVoid):
        runs[own].heartbeat()
    assert (world.status(shared), world.status(own)) == ("running", "waiting")
    runs[shared].complete()
    world.check()
    # the second one leaves the Task to nobody
    (third,) = world.tasks(net)
    world.action(other, [third])
    (run,) = world.started()
    world.stop(net)
    run.heartbeat()
    world.stop(other)
    with pytest.raises(AttemptVoid):
        run.heartbeat()


def test_networks_stopped_together_share_nothing_with_a_third(world, net):
    other = world.network("other")
    (task,) = world.tasks(net)
    world.action(other, [task])
    (run,) = world.started()
    keys = [net.key, other.key]
    answer = networks.set_states(world.database, world.user, keys, ["inactive", "invalid"], stop_tasks=True)
    assert answer == [str(key) for key in keys]
    with pytest.raises(AttemptVoid):
        run.heartbeat()
    assert world.status(task) == "waiting"


def test_a_task_that_was_cancelled_while_it_ran_is_stopped_with_its_network(world, net):
    (task,) = world.tasks(net)
    (run,) = world.started()
    world.cancel(net, [task], stop_tasks=False)
    run.heartbeat()
    world.stop(net)
    with pytest.raises(AttemptVoid):
        run.heartbeat()


def test_the_tasks_of_an_active_network_are_not_stopped(world, net):
    (task,) = world.tasks(net)
    (run,) = world.started()
    other = world.network("other")
    keys = [other.key, net.key]
    with pytest.raises(InvalidInput, match="`stop_tasks` goes with"):
        networks.set_states(world.database, world.user, keys, ["inactive", "active"], stop_tasks=True)
    assert networks.get_states(world.database, world.user, keys) == ["active"] * 2
    run.heartbeat()
    assert world.action(net, [task]) == [None]


def test_without_stop_tasks_a_state_stops_nothing(world, net):
    world.tasks(net, 2)
    (run,) = world.started()
    networks.set_states(world.database, world.user, [net.key], ["deleted"])
    run.heartbeat()
    assert len(world.claim()) == 1


def test_cancelling_stops_what_runs_unless_it_may_go_on(world, net):
    tasks = world.tasks(net, 3)
    runs = {run.task: run for run in world.started(2)}
    stopped = next(iter(runs))
    assert world.cancel(net, [stopped]) == [str(stopped)]
    with pytest.raises(AttemptVoid):
        runs.pop(stopped).heartbeat()
    (going_on,) = runs.values()
    going_on.heartbeat()
    assert world.status(stopped) == "waiting"
    # one that was let run can be stopped later
    assert world.cancel(net, [going_on.task], stop_tasks=False) == [str(going_on.task)]
    going_on.heartbeat()
    assert world.cancel(net, [going_on.task]) == [None]
    with pytest.raises(AttemptVoid):
        going_on.heartbeat()
    assert sorted(world.status(task) for task in tasks) == ["waiting"] * 3
    world.check()


def test_cancelling_does_not_stop_what_another_network_wants(world, net):
    other = world.network("other")
    (task,) = world.tasks(net)
    world.action(other, [task])
    (run,) = world.started()
    world.cancel(net, [task])
    run.heartbeat()
    assert world.status(task) == "running"
    # the last one that wanted it
    world.cancel(other, [task])
    with pytest.raises(AttemptVoid):
        run.heartbeat()


def test_a_task_of_another_network_is_left_alone(world, net):
    elsewhere = world.network("elsewhere", systems=("c", "d"))
    (task,) = world.tasks(elsewhere)
    (run,) = world.started()
    assert world.cancel(net, [task]) == [None]
    world.stop(net)
    run.heartbeat()
    # cancelled where it is, it is nobody's; a network without its Transformation has no say
    world.cancel(elsewhere, [task], stop_tasks=False)
    assert world.cancel(net, [task]) == [None]
    run.heartbeat()
