"""Which hosts a flow run may begin on, through the services and on a real Postgres."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from alchemiscale_prefect.domain.errors import AttemptVoid, HostRefused
from alchemiscale_prefect.domain.hosts import HostPolicy
from alchemiscale_prefect.domain.losses import BackOff
from alchemiscale_prefect.services import dispatch, runs
from alchemiscale_prefect.wire import compute as wire
from tests.integration.dispatch.fleet import POLICY, age, begin, fail
from tests.integration.dispatch.world import FlowRun, Net, World, pool

ANYWHERE = replace(POLICY, avoidances=0)
RESTS = replace(POLICY, rest=BackOff(timedelta(seconds=10)))


def next_run(world: World) -> FlowRun:
    (attempt,) = world.claim()
    return world.run(attempt)


def begun(world: World, host: str, policy: HostPolicy = POLICY) -> FlowRun:
    run = next_run(world)
    begin(run, host, policy)
    return run


def refused(world: World, host: str, policy: HostPolicy = POLICY) -> tuple[FlowRun, HostRefused]:
    run = next_run(world)
    with pytest.raises(HostRefused) as caught:
        begin(run, host, policy)
    return run, caught.value


def make_bad(world: World, host: str, failures: int = 3) -> None:
    """Tasks fail on `host`, and on another they do not."""
    for _ in range(3):
        begun(world, "good").complete()
    for _ in range(failures):
        fail(begun(world, host))


@pytest.fixture
def tasks(world: World, net: Net) -> None:
    world.tasks(net, 40)


def test_a_refused_task_waits_for_another_host_and_nothing_is_lost(world: World, net: Net) -> None:
    world.tasks(net, 7)
    make_bad(world, "bad")
    run, error = refused(world, "bad")
    assert "do not fail elsewhere" in str(error)
    assert error.code == "host_refused"
    assert error.retry_after == 300
    row = world.attempt(run.attempt)
    assert (row.state, row.host, row.started_at, row.flow_run_settled) == ("refused", "bad", None, True)
    assert row.reason in str(error)
    assert world.status(run.task) == "waiting"
    (task,) = world.rows("select losses, not_before from task where key = :key", key=run.task.gufe_key)
    assert tuple(task) == (0, None)
    assert world.queued()[run.task.gufe_key] == 1
    # whoever asks again, because the answer was lost, is answered again; others not at all
    with pytest.raises(HostRefused, match="do not fail elsewhere"):
        begin(run, "bad")
    with pytest.raises(AttemptVoid):
        begin(world.run(run.attempt), "bad")
    with pytest.raises(AttemptVoid):
        run.heartbeat()
    # at once it may be claimed again, and another host takes it
    again = begun(world, "good")
    assert (again.task, again.attempt.n) == (run.task, 2)
    again.complete()
    assert world.attempts(run.task) == [(1, "refused"), (2, "complete")]
    world.check()


@pytest.mark.usefixtures("tasks")
def test_losses_count_if_they_may_be_the_hosts_fault(world: World) -> None:
    """A full disk and a host that vanished; not what was told to stop, nor a ProtocolDAG that cannot be made."""
    for _ in range(3):
        begun(world, "good").complete()
    for _ in range(2):
        run = begun(world, "bad", ANYWHERE)
        run.release("no room left on bad: /scratch")
        world.set_status([run.task], "deleted")
    for _ in range(3):
        stopped = begun(world, "bad", ANYWHERE)
        body = wire.Release(reason="its flow run was told to stop", cause="stopped")
        runs.release(world.database, world.compute, stopped.run, body, 5)
        begun(world, "bad", ANYWHERE).finish(False, None, "Protocol.create failed\nValueError")
    failures = [row.failure for row in world.rows("select failure from attempt where failure is not null")]
    assert failures == ["no room left on"] * 2
    begun(world, "bad", ANYWHERE)
    age(world, 91)
    assert dispatch.give_up_expired(world.database, pool()) == 1
    assert [row.failure for row in world.rows("select failure from attempt where failure like '%lease%'")] == [
        "its lease ran out"
    ]
    refused(world, "bad", ANYWHERE)


@pytest.mark.usefixtures("tasks")
def test_what_failed_before_the_window_does_not_count(world: World) -> None:
    short = replace(ANYWHERE, window=timedelta(seconds=1000))
    make_bad(world, "bad", failures=2)
    age(world, 1001)
    begun(world, "good").complete()
    for _ in range(3):
        fail(begun(world, "bad", short))
    refused(world, "bad", short)


@pytest.mark.usefixtures("tasks")
def test_what_is_heard_of_again_does_not_count(world: World) -> None:
    make_bad(world, "bad", failures=2)
    silent = begun(world, "bad")
    age(world, 91)
    dispatch.give_up_expired(world.database, pool())
    silent.heartbeat()
    assert world.attempt(silent.attempt).failure is None
    begun(world, "bad")


@pytest.mark.usefixtures("tasks")
def test_of_two_that_a_host_on_probation_could_be_tried_with_one_is(world: World) -> None:
    make_bad(world, "bad")
    refused(world, "bad")
    age(world, 301)
    two = [world.run(attempt) for attempt in world.claim(2)]

    def attempt(run: FlowRun) -> bool:
        try:
            begin(run, "bad")
        except HostRefused:
            return False
        return True

    with ThreadPoolExecutor() as threads:
        assert sorted(threads.map(attempt, two)) == [False, True]
    (trial,) = [run for run in two if world.attempt(run.attempt).state == "running"]
    refused(world, "bad")
    # what says nothing gives way to another trial
    body = wire.Release(reason="its flow run was told to stop", cause="stopped")
    runs.release(world.database, world.compute, trial.run, body, 5)
    fail(begun(world, "bad"))
    _, error = refused(world, "bad")
    assert "banned" in str(error)
    (host,) = world.rows("select bans, extract(epoch from until - now()) as seconds from host where name = 'bad'")
    assert host.bans == 2
    assert 300 < host.seconds <= 600
    age(world, 601)
    begun(world, "bad").complete()
    begun(world, "bad")
    begun(world, "bad")
    assert [row.state for row in world.rows("select state from host where name = 'bad'")] == ["healthy"]
    world.check()


@pytest.mark.usefixtures("tasks")
def test_a_host_is_freed_when_what_failed_on_it_fails_elsewhere(world: World) -> None:
    make_bad(world, "bad")
    begun(world, "bad", replace(POLICY, failures=0))  # nothing is ever banned if it is set so
    refused(world, "bad")
    for _ in range(3):
        fail(begun(world, "good"))
    begun(world, "bad")
    assert [row.state for row in world.rows("select state from host where name = 'bad'")] == ["healthy"]


def test_a_task_that_runs_again_does_so_on_another_host(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    fail(begun(world, "a"))
    other = world.network("other", systems=("x", "y"))
    world.tasks(other)
    begun(world, "b")
    world.set_status([key], "waiting")
    for number in range(2, 5):
        run, error = refused(world, "a", RESTS)
        assert (run.task, run.attempt.n) == (key, number)
        assert "failed on it" in str(error)
        assert error.retry_after == 0
        (task,) = world.rows(
            "select extract(epoch from not_before - now()) as rest from task where key = :key", key=key.gufe_key
        )
        assert 0 < task.rest <= 10 * 2 ** (number - 2)
        assert world.claim() == []
        age(world, 60)
        assert dispatch.end_rest(world.database) == 1
    # one host is better than none
    begun(world, "a", RESTS).complete()
    assert world.attempts(key) == [(1, "error"), (2, "refused"), (3, "refused"), (4, "refused"), (5, "complete")]
    world.check()


def test_a_task_runs_where_it_failed_if_there_is_no_better_place(world: World, net: Net) -> None:
    for elsewhere in ("nobody", "long ago", "banned", "failed there too", "another pool"):

        def begun_in(pool: str, host: str, elsewhere: str = elsewhere) -> FlowRun:
            (attempt,) = world.claim(1, pool)
            run = world.run(attempt)
            begin(run, f"{host}, {elsewhere}")
            return run

        (key,) = world.tasks(net)
        fail(begun_in(elsewhere, "a"))
        if elsewhere == "failed there too":
            world.set_status([key], "waiting")
            fail(begun_in(elsewhere, "b"))
        elif elsewhere != "nobody":
            world.tasks(net)
            begun_in("pool" if elsewhere == "another pool" else elsewhere, "b").complete()
        if elsewhere == "long ago":
            age(world, 1000)
        if elsewhere == "banned":
            world.execute("insert into host (name, state, since) values ('b, banned', 'banned', now())")
        world.set_status([key], "waiting")
        assert begun_in(elsewhere, "a").task == key


def test_nobody_asks_about_another_scopes_task(world: World, net: Net) -> None:
    """The look at hosts knows no row-level security: a key with another scope's name finds nothing."""
    world.tasks(net)
    run = next_run(world)
    foreign = replace(run.run, task=replace(run.task, project="other_project"))
    run.run = foreign
    world.execute("insert into host (name, state, since) values ('bad', 'banned', now())")
    with pytest.raises(AttemptVoid):
        begin(run, "bad")
    assert world.attempt(run.attempt).state == "dispatched"
