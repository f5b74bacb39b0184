"""What became of Tasks, as attempts that were really made leave it."""

from copy import copy
from datetime import timedelta

import pytest

from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.errors import InvalidInput, NotAuthorized, NotFound
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import dispatch, history, progress, runs
from alchemiscale_prefect.wire import compute as wire
from tests.integration.dispatch.world import PDR_KEY, SCOPE, pool

STRANGER = Principal.writing("stranger", IdentityKind.user, (Scope("elsewhere"),))
MISSING = ScopedKey.of("Task-none", SCOPE)


@pytest.fixture
def attempts_of(world):
    def found(task, limit=None):
        return history.get_attempts(world.database, world.user, task, limit)

    return found


def finish_in_error(run, tracebacks):
    run.store_result(False)
    body = wire.Finish(ok=False, result=PDR_KEY, tracebacks=tracebacks, reason="unit: RuntimeError")
    return runs.finish(run.world.database, run.world.store, run.world.compute, run.run, body)


def failure(number, exception="RuntimeError('no')"):
    return wire.UnitTraceback(
        failure_key=f"ProtocolUnitFailure-{number}",
        source_key=f"ProtocolUnit-{number}",
        name=f"unit {number}",
        exception=exception,
        traceback=f"Traceback {number}",
    )


def test_a_task_from_waiting_to_complete(world, net, attempts_of):
    (task,) = world.tasks(net, priority=3)
    (details,) = history.get_details(world.database, world.user, [task])
    assert (details.status, details.num_claims, details.current_claim, details.most_recent_attempt) == (
        ("waiting", 0, None, None)
    )
    assert (details.task, details.priority, details.creator, details.extends) == (task, 3, "user", None)
    assert attempts_of(task) == []

    (run,) = (world.run(attempt) for attempt in world.claim())
    (details,) = history.get_details(world.database, world.user, [task])
    assert details.status == "waiting"
    assert (details.current_claim.n, details.current_claim.outcome) == (1, None)
    assert (details.current_claim.hostname, details.current_claim.fraction) == (None, None)
    run.begin()
    run.heartbeat(3, 7, 0.5)
    (details,) = history.get_details(world.database, world.user, [task])
    now = details.current_claim
    assert (details.status, now.hostname, now.flow_run_id, now.pool) == ("running", "host", run.flow_run, "pool")
    assert (now.compute_service_id, now.manager_name) == (str(run.flow_run), "pool")
    assert (now.units_completed, now.units_total, now.datetime_end) == (3, 7, None)
    assert now.fraction == 0.5
    assert now.datetime_claimed <= now.datetime_started
    assert history.get_units(world.database, world.user, [task]) == [(3, 7)]

    finished = run.complete()
    (details,) = history.get_details(world.database, world.user, [task])
    assert (details.status, details.current_claim, details.num_claims) == ("complete", None, 1)
    ended = details.most_recent_attempt
    assert (ended.outcome, str(ended.protocoldagresultref)) == ("complete", finished.result)
    # the last heartbeat came before the end
    assert (ended.units_completed, ended.units_total, ended.fraction) == (7, 7, None)
    assert history.get_units(world.database, world.user, [task]) == [(7, 7)]
    assert attempts_of(task) == [ended]


def test_every_way_an_attempt_can_end(world, net, launcher, attempts_of):
    (task,) = world.tasks(net)
    limits = pool(max_losses=100)

    (run,) = world.started()
    run.release("the node is drained")

    (run,) = world.started()
    world.age(1000)
    assert dispatch.give_up_expired(world.database, limits) == 1

    # never begun: its flow run is gone
    dispatch.dispatch(world.database, launcher, limits)
    world.age(1000)
    launcher.state.clear()
    assert dispatch.give_up_never_begun(world.database, launcher, limits) == 1

    (run,) = world.started()
    world.set_status([task], "waiting")
    run.stop()

    (run,) = world.started()
    finish_in_error(run, [failure(1)])
    world.set_status([task], "waiting")

    (run,) = world.started()
    found = attempts_of(task)
    assert [(attempt.n, attempt.outcome) for attempt in found] == [
        (6, None),
        (5, "error"),
        (4, "cancelled"),
        (3, "expired"),
        (2, "expired"),
        (1, "released"),
    ]
    assert found[5].reason == "the node is drained"
    assert found[4].reason == "its lease ran out"
    assert found[2].reason == "its Task was set waiting"
    assert found[1].protocoldagresultref is not None
    assert attempts_of(task, limit=2) == found[:2]
    (details,) = history.get_details(world.database, world.user, [task])
    assert details.num_claims == 6
    assert details.current_claim == found[0]
    assert details.most_recent_attempt == found[1]


def test_tracebacks_of_all_failures_the_most_recent_first(world, net):
    (task,) = world.tasks(net)
    (run,) = world.started()
    finish_in_error(run, [failure(1), failure(2)])
    world.set_status([task], "waiting")
    (run,) = world.started()
    run.finish(False, None, "creating the ProtocolDAG failed\nTraceback of create")
    world.set_status([task], "waiting")
    (run,) = world.started()
    run.release()
    (run,) = world.started()
    run.complete()
    latest, first = history.get_tracebacks(world.database, world.user, task, None)
    assert (first.n, first.creator) == (1, "compute")
    assert first.protocoldagresultref.qualname == "ProtocolDAGResultRef"
    assert [(unit.failure_key, unit.source_key, unit.name) for unit in first.tracebacks] == [
        ("ProtocolUnitFailure-1", "ProtocolUnit-1", "unit 1"),
        ("ProtocolUnitFailure-2", "ProtocolUnit-2", "unit 2"),
    ]
    assert first.tracebacks[0].traceback == "Traceback 1"
    # what could not even begin has its traceback too
    assert (latest.n, latest.protocoldagresultref) == (2, None)
    assert latest.tracebacks[0].traceback.endswith("Traceback of create")
    assert history.get_tracebacks(world.database, world.user, task, 1) == [latest]


def test_one_answer_for_each_task_in_order(world, net):
    first, second = world.tasks(net, 2)
    runs_ = {run.task: run for run in world.started(2)}
    runs_[second].heartbeat(1, 2)
    asked = [second, MISSING, first, second]
    details = history.get_details(world.database, world.user, asked)
    assert [None if one is None else one.task for one in details] == [second, None, first, second]
    # 0 of 0 is nothing
    runs_[first].heartbeat(0, 0)
    assert history.get_units(world.database, world.user, asked) == [(1, 2), None, None, (1, 2)]


def test_a_child_names_its_parent_in_its_own_scope(world, net):
    (parent,) = world.tasks(net)
    (child,) = world.create(net, 1, extends=parent)
    (details,) = history.get_details(world.database, world.user, [child])
    assert details.extends == parent


def test_strangers_see_nothing(world, net):
    (task,) = world.tasks(net)
    world.started()
    assert history.get_details(world.database, STRANGER, [task]) == [None]
    assert history.get_units(world.database, STRANGER, [task]) == [None]
    for read in (history.get_attempts, history.get_tracebacks):
        with pytest.raises(NotAuthorized):
            read(world.database, STRANGER, task, None)
        with pytest.raises(NotFound):
            read(world.database, world.user, MISSING, None)


# --- shares ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def share(world):
    def found(principal, scope, hours=24.0):
        database = world.database.restricted(principal.scopes)
        return history.compute_share(database, world.database, principal, scope, hours)

    return found


def backdate(world, task, started, ended=None):
    """Move an attempt of a Task so many hours back."""
    world.execute(
        "update attempt a set started_at = now() - :started, ended_at = case when cast(:ended as interval) is null "
        "then a.ended_at else now() - :ended end from task t where t.id = a.task_id and t.key = :key",
        key=task.gufe_key,
        started=timedelta(hours=started),
        ended=None if ended is None else timedelta(hours=ended),
    )


def test_a_share_of_nothing_is_none(world, share):
    assert share(world.user, SCOPE) == 0.0
    assert share(world.user, Scope()) == 0.0


def test_a_share_is_of_the_time_that_attempts_ran(world, net, share):
    elsewhere = Scope("test_org", "other", "project")
    ours = world.tasks(net, 2)
    them = copy(world)
    them.user = Principal.writing("them", IdentityKind.user, (elsewhere,))
    (other,) = them.tasks(them.network("theirs"))
    for run in world.started(3):
        if run.task != ours[1]:
            run.complete()
    backdate(world, ours[0], 30, 22)  # of its eight hours two are in the last 24
    backdate(world, ours[1], 1)  # still running
    backdate(world, other, 10, 1)
    assert share(world.user, SCOPE) == pytest.approx(3 / 12, abs=1e-3)
    everything = Principal.writing("all", IdentityKind.user, (Scope(),))
    assert share(everything, elsewhere) == pytest.approx(9 / 12, abs=1e-3)
    assert share(everything, Scope("test_org")) == 1.0
    assert share(everything, Scope("none")) == 0.0
    # of a wildcard counts what the identity sees; the whole is the whole all the same
    assert share(world.user, Scope()) == pytest.approx(3 / 12, abs=1e-3)
    assert share(world.user, elsewhere) == 0.0
    assert share(STRANGER, Scope()) == 0.0
    # within the last hour only the running one ran
    assert share(world.user, SCOPE, hours=0.5) == 1.0
    for hours in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(InvalidInput, match="`hours`"):
            share(world.user, SCOPE, hours)


# --- progress of a network -------------------------------------------------------------------------------------------


def test_progress_of_a_network(world, net):
    tasks = world.tasks(net, 6)
    world.create(net, 1)
    failed, *others = world.started(4)
    finish_in_error(failed, [failure(1)])
    done, slow, quick = others
    done.complete()
    backdate(world, done.task, 0.75, 0.25)
    backdate(world, slow.task, 0.5)
    slow.heartbeat(2, 8, 0.3)
    found = progress.of_network(world.database, world.user, net.key)
    assert found.status == {"complete": 1, "error": 1, "running": 2, "waiting": 3}
    assert found.waiting == 2
    assert [run.task for run in found.running] == [slow.task, quick.task]
    assert found.running[0].seconds == pytest.approx(1800, abs=60)
    assert (found.running[0].units_done, found.running[0].units_total) == (2, 8)
    assert found.running[0].flow_run_id == slow.flow_run
    assert [run.fraction for run in found.running] == [0.3, None]
    assert (found.units_done, found.units_total) == (2, 8)
    assert (found.completed, found.mean_seconds) == (1, pytest.approx(1800, abs=1))
    assert found.window_seconds == pytest.approx(2700, abs=60)
    assert not found.done
    world.stop(net)
    assert progress.of_network(world.database, world.user, net.key).done
    assert len(tasks) == 6


def test_what_was_completed_long_ago_tells_nothing(world, net):
    world.tasks(net)
    (run,) = world.started()
    run.complete()
    backdate(world, run.task, 9, 2)
    found = progress.of_network(world.database, world.user, net.key)
    assert (found.completed, found.mean_seconds, found.window_seconds) == (0, None, 0.0)
    assert found.done
