"""Failed Tasks under restart patterns: started again, given up, and counted by network."""

import pytest

from alchemiscale_prefect.services import restarts
from tests.integration.dispatch.failing import CUDA, DISK, add, counts, fail, fail_once, finish, state
from tests.integration.dispatch.world import Net, World

# --- one network ---


def test_a_task_runs_again_as_often_as_its_pattern_allows_and_is_then_given_up(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    add(world, net, [r"CUDA error \d+$"], 2)
    for n in (1, 2):
        fail_once(world, CUDA)
        assert state(world, key) == ("waiting", {"one"})
        assert counts(world) == {("one", r"CUDA error \d+$"): n}
        world.check()
    fail_once(world, CUDA)
    assert state(world, key) == ("error", set())
    assert counts(world) == {}
    assert world.attempts(key) == [(1, "error"), (2, "error"), (3, "error")]
    world.check()


def test_a_task_that_matches_no_pattern_is_given_up_at_once(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    add(world, net, ["CUDA error", "Segmentation"], 5)
    fail_once(world, DISK)
    assert state(world, key) == ("error", set())
    world.check()


def test_without_patterns_a_task_stays_in_error_and_actioned(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    fail_once(world, CUDA)
    assert state(world, key) == ("error", {"one"})


def test_a_failure_without_tracebacks_matches_nothing(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    add(world, net, ["."], 5)
    fail_once(world)
    assert state(world, key) == ("error", set())


def test_any_traceback_will_do_and_every_pattern_found_counts(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    add(world, net, ["CUDA", "No space left", "Segmentation"], 2)
    fail_once(world, CUDA, DISK)
    assert state(world, key)[0] == "waiting"
    assert counts(world) == {("one", "CUDA"): 1, ("one", "No space left"): 1}
    fail_once(world, DISK)
    assert counts(world) == {("one", "CUDA"): 1, ("one", "No space left"): 2}
    fail_once(world, CUDA, DISK)
    assert state(world, key) == ("error", set())


def test_only_the_last_result_is_looked_at(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    fail_once(world, CUDA)
    world.set_status([key], "waiting")
    fail_once(world, DISK)
    add(world, net, ["CUDA"], 5)
    assert state(world, key) == ("error", set())


def test_a_task_that_could_not_be_made_or_was_lost_is_left_alone(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    add(world, net, ["."], 5)
    fail_once(world, CUDA)
    (run,) = world.started()
    run.finish(False, None, "Protocol.create failed")
    assert state(world, key) == ("error", {"one"})
    add(world, net, ["create failed"], 5)
    assert state(world, key) == ("error", {"one"})
    world.set_status([key], "waiting")
    (run,) = world.started()
    run.release(max_losses=1)
    add(world, net, ["lost"], 5)
    assert state(world, key) == ("error", {"one"})


def test_the_answer_to_a_finish_said_again_is_the_same_and_counts_once(world: World, net: Net) -> None:
    world.tasks(net)
    add(world, net, ["CUDA"], 5)
    (run,) = world.started()
    answer = fail(run, CUDA)
    assert finish(run, CUDA) == answer
    assert counts(world) == {("one", "CUDA"): 1}


# --- what counts anew, and what goes on ---


def test_waiting_by_hand_keeps_the_count_and_actioning_anew_does_not(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    add(world, net, ["CUDA"], 1)
    fail_once(world, CUDA)
    (run,) = world.started()
    world.set_status([key], "waiting")
    run.stop()
    assert counts(world) == {("one", "CUDA"): 1}
    run = world.started()[0]
    world.cancel(net, [key], stop_tasks=False)
    assert counts(world) == {}
    world.action(net, [key])
    fail(run, CUDA)
    assert state(world, key) == ("waiting", {"one"})


def test_a_new_weight_keeps_the_count(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    add(world, net, ["CUDA"], 3)
    fail_once(world, CUDA)
    world.action(net, [key], 0.9)
    assert counts(world) == {("one", "CUDA"): 1}


@pytest.mark.parametrize("status", ["invalid", "deleted"])
def test_a_task_that_ends_takes_its_counts_with_it(world: World, net: Net, status: str) -> None:
    (key,) = world.tasks(net)
    add(world, net, ["CUDA"], 3)
    fail_once(world, CUDA)
    world.set_status([key], status)
    assert counts(world) == {}


def test_a_pattern_added_again_has_the_new_number_and_counts_anew(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    add(world, net, ["CUDA", "other"], 1)
    fail_once(world, CUDA)
    add(world, net, ["CUDA"], 2)
    assert restarts.of_networks(world.database, world.user, [net.key]) == [{"CUDA": 2, "other": 1}]
    assert counts(world) == {}
    for _ in range(2):
        fail_once(world, CUDA)
    assert state(world, key)[0] == "waiting"
    fail_once(world, CUDA)
    assert state(world, key) == ("error", set())


def test_another_number_of_restarts_holds_from_the_next_failure(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    add(world, net, ["CUDA"], 1)
    fail_once(world, CUDA)
    restarts.set_allowed_restarts(world.database, world.user, net.key, ["CUDA", "unknown"], 2)
    assert restarts.of_networks(world.database, world.user, [net.key]) == [{"CUDA": 2}]
    fail_once(world, CUDA)
    assert state(world, key)[0] == "waiting"
    fail_once(world, CUDA)
    assert state(world, key) == ("error", set())


def test_removed_patterns_have_no_say(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    add(world, net, ["CUDA", "space", "third"], 3)
    fail_once(world, CUDA, DISK)
    restarts.remove(world.database, world.user, net.key, ["CUDA", "unknown"])
    assert counts(world) == {("one", "space"): 1}
    restarts.remove(world.database, world.user, net.key)
    assert counts(world) == {}
    assert restarts.of_networks(world.database, world.user, [net.key]) == [{}]
    fail_once(world, CUDA)
    assert state(world, key) == ("error", {"one"})


def test_patterns_added_late_decide_about_what_is_in_error_already(world: World, net: Net) -> None:
    cuda, disk, waiting = world.tasks(net, 3)
    for run in world.started(2):
        fail(run, CUDA if run.task == cuda else DISK)
    # whichever of them ran: two are in error, one waits
    failed = {key: world.status(key) for key in (cuda, disk, waiting)}
    assert sorted(failed.values()) == ["error", "error", "waiting"]
    assert len(world.queued()) == 1
    add(world, net, ["CUDA"], 1)
    for key, status in failed.items():
        if status == "waiting" or key == cuda:
            assert state(world, key) == ("waiting", {"one"})
        else:
            assert state(world, key) == ("error", set())
    world.check()


# --- several networks ---


@pytest.fixture
def two(world: World) -> tuple[Net, Net]:
    """Two networks of the same Transformation."""
    return world.network("one"), world.network("two")


def test_a_network_gives_up_what_another_starts_again(world: World, two: tuple[Net, Net]) -> None:
    one, other = two
    (key,) = world.tasks(one)
    world.action(other, [key])
    add(world, one, ["CUDA"], 2)
    add(world, other, ["space"], 2)
    fail_once(world, CUDA)
    assert state(world, key) == ("waiting", {"one"})
    fail_once(world, DISK)
    assert state(world, key) == ("error", set())


def test_networks_count_for_themselves(world: World, two: tuple[Net, Net]) -> None:
    one, other = two
    (key,) = world.tasks(one)
    world.action(other, [key])
    add(world, one, ["CUDA"], 1)
    add(world, other, ["CUDA", "error"], 2)
    fail_once(world, CUDA)
    assert counts(world) == {("one", "CUDA"): 1, ("two", "CUDA"): 1, ("two", "error"): 1}
    fail_once(world, CUDA)
    assert state(world, key) == ("waiting", {"two"})
    fail_once(world, CUDA)
    assert state(world, key) == ("error", set())


def test_a_network_without_patterns_keeps_what_the_other_gives_up(world: World, two: tuple[Net, Net]) -> None:
    one, other = two
    (key,) = world.tasks(one)
    world.action(other, [key])
    add(world, one, ["CUDA"], 1)
    fail_once(world, DISK)
    assert state(world, key) == ("error", {"two"})
    assert world.queued() == {}


def test_a_traceback_with_characters_that_postgres_cannot_hold(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    add(world, net, ["null byte"], 3)
    fail_once(world, "ValueError: embedded null byte \0 \ud800 here")
    assert state(world, key) == ("waiting", {"one"})
