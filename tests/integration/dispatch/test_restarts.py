"""Failed Tasks under restart patterns: started again, given up, and counted by network."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import text

from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission, Principal
from alchemiscale_prefect.domain.errors import InvalidInput, NotAuthorized, NotFound, PermissionDenied
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.restarts import MAX_PATTERNS
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import restarts, runs, tasks
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.wire import compute as wire
from tests.integration.dispatch.world import PDR_KEY, SCOPE, FlowRun, Net, World

CUDA = 'Traceback (most recent call last):\n  File "unit.py", line 7\nRuntimeError: CUDA error 700\n'
DISK = "Traceback (most recent call last):\nOSError: [Errno 28] No space left on device\n"


def add(world: World, net: Net, patterns: Sequence[str], allowed: int = 1) -> None:
    restarts.add(world.database, world.user, net.key, patterns, allowed)


def fail(run: FlowRun, *tracebacks: str) -> wire.Finished:
    """Store a failed result and finish."""
    run.store_result(False)
    return finish(run, *tracebacks)


def finish(run: FlowRun, *tracebacks: str) -> wire.Finished:
    units = [
        wire.UnitTraceback(
            failure_key=f"ProtocolUnitFailure-{n}",
            source_key=f"ProtocolUnit-{n}",
            name=None,
            exception="Error()",
            traceback=traceback,
        )
        for n, traceback in enumerate(tracebacks)
    ]
    body = wire.Finish(ok=False, result=PDR_KEY, tracebacks=units)
    return runs.finish(run.world.database, run.world.store, run.world.compute, run.run, body)


def fail_once(world: World, *tracebacks: str) -> None:
    """Let the one Task that may run do so, and fail."""
    (run,) = world.started()
    fail(run, *tracebacks)


def state(world: World, key: ScopedKey) -> tuple[str | None, set[str]]:
    """A Task's status, and the names of the networks it is actioned on."""
    rows = world.rows(
        "select o.name from action a join task t on t.id = a.task_id join gufe_object o on o.id = a.network_id "
        "where t.key = :key",
        key=key.gufe_key,
    )
    return world.status(key), {row.name for row in rows}


def counts(world: World) -> dict[tuple[str, str], int]:
    """(network, pattern) → restarts, of the only Task."""
    rows = world.rows(
        "select o.name, p.pattern, c.num_retries from restart_count c join restart_pattern p on p.id = c.pattern_id "
        "join gufe_object o on o.id = c.network_id"
    )
    return {(row.name, row.pattern): row.num_retries for row in rows}


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
    assert counts(world) == {("one", "CUDA"): 1}
    run = world.started()[0]
    world.cancel(net, [key])
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


# --- at the same time ---


def test_failures_at_the_same_time_are_each_counted(world: World, two: tuple[Net, Net]) -> None:
    one, other = two
    keys = world.tasks(one, 8)
    world.action(other, keys)
    add(world, one, ["CUDA"], 3)
    add(world, other, ["CUDA"], 2)
    for expected in ({"one", "two"}, {"one", "two"}, {"one"}, set()):
        begun = world.started(8)
        start = Barrier(8)

        def fails(run: FlowRun, start: Barrier = start) -> None:
            run.store_result(False)
            start.wait(30)
            finish(run, CUDA)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(fails, begun))
        assert {(*state(world, key)[:1], frozenset(state(world, key)[1])) for key in keys} == {
            ("waiting" if expected else "error", frozenset(expected))
        }
        world.check()


def test_patterns_that_come_while_a_task_fails_decide_about_it(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    (run,) = world.started()
    run.store_result(False)
    with ThreadPoolExecutor(1) as pool:
        # a failure under way: the Task is locked, its outcome not committed
        with world.database.transaction() as connection:
            task_id = connection.execute(text("select id from task where key = :k"), {"k": key.gufe_key}).scalar_one()
            queue.lock(connection, [task_id])
            adding = pool.submit(add, world, net, ["CUDA"], 1)
            with pytest.raises(TimeoutError):
                adding.result(1.5)
        adding.result(30)
    finish(run, CUDA)
    assert state(world, key) == ("waiting", {"one"})


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
            future.result(60)
    assert {world.status(key) for key in keys} == {"waiting"}
    assert {pattern for _, pattern in counts(world)} <= {patterns[2], patterns[4]}
    world.check()


# --- what is refused ---


@pytest.mark.parametrize(
    ("patterns", "allowed", "field", "message"),
    [
        (["fine", "("], 1, "patterns", r"'\(' is not a valid regular expression: missing \)"),
        (["(?P<n>a)(?P<n>b)"], 1, "patterns", "redefinition of group name"),
        (["a{99999999999999999999}"], 1, "patterns", "the repetition number is too large"),
        ([""], 1, "patterns", "is empty"),
        ([7], 1, "patterns", "must be a string"),
        ("CUDA", 1, "patterns", "must be a list"),
        (["CUDA"], 0, "num_allowed_restarts", "between 1 and"),
        (["CUDA"], -3, "num_allowed_restarts", "between 1 and"),
        ([f"p{n}" for n in range(MAX_PATTERNS + 1)], 1, "patterns", "at most 100 restart patterns"),
    ],
)
def test_what_is_wrong_is_refused_by_name_and_changes_nothing(
    world: World, net: Net, patterns: list[str], allowed: int, field: str, message: str
) -> None:
    world.tasks(net)
    fail_once(world, CUDA)
    rows = world.content()
    with pytest.raises(InvalidInput, match=message) as refused:
        add(world, net, patterns, allowed)
    assert refused.value.field == field
    assert world.content() == rows


def test_a_pattern_that_takes_too_long_is_refused(world: World, net: Net) -> None:
    world.tasks(net)
    fail_once(world, "a" * 5000 + "!")
    rows = world.content()
    with pytest.raises(InvalidInput, match="takes too long") as refused:
        add(world, net, ["fine", "(a+)+b"])
    assert refused.value.field == "patterns"
    assert world.content() == rows


def test_a_pattern_that_turns_out_to_take_too_long_is_not_found_and_delays_nobody(world: World, net: Net) -> None:
    slow, quick = world.tasks(net, 2)
    add(world, net, ["(a+)+b"], 3)
    for run in world.started(2):
        fail(run, "a" * 5000 + "!" if run.task == slow else "aab")
    assert state(world, slow) == ("error", set())
    assert state(world, quick) == ("waiting", {"one"})


def test_who_may_only_read_sees_patterns_and_changes_none(world: World, net: Net) -> None:
    add(world, net, ["CUDA"], 3)
    rows = world.content()
    reader = Principal("reader", IdentityKind.user, (Grant(SCOPE, Permission.read),))
    stranger = Principal.writing("stranger", IdentityKind.user, (Scope("foreign_org"),))
    assert restarts.of_networks(world.database, reader, [net.key]) == [{"CUDA": 3}]
    with pytest.raises(NotAuthorized):
        restarts.of_networks(world.database, stranger, [net.key])
    for principal, refusal in ((reader, PermissionDenied), (stranger, NotAuthorized)):
        for call in (
            lambda who: restarts.add(world.database, who, net.key, ["x"], 1),
            lambda who: restarts.set_allowed_restarts(world.database, who, net.key, ["CUDA"], 1),
            lambda who: restarts.remove(world.database, who, net.key, ["CUDA"]),
            lambda who: restarts.remove(world.database, who, net.key),
        ):
            with pytest.raises(refusal):
                call(principal)
    assert world.content() == rows


def test_a_network_that_is_not_there(world: World, net: Net) -> None:
    missing = ScopedKey.of("AlchemicalNetwork-00000000000000000000000000000000", SCOPE)
    for call in (
        lambda: restarts.add(world.database, world.user, missing, ["x"], 1),
        lambda: restarts.set_allowed_restarts(world.database, world.user, missing, ["x"], 1),
        lambda: restarts.remove(world.database, world.user, missing),
        lambda: restarts.of_networks(world.database, world.user, [net.key, missing]),
    ):
        with pytest.raises(NotFound, match="No such object in database"):
            call()
    with pytest.raises(InvalidInput, match="does not correspond to an `AlchemicalNetwork`"):
        restarts.add(world.database, world.user, net.transformations[0], ["x"], 1)


def test_a_traceback_with_characters_that_postgres_cannot_hold(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    add(world, net, ["null byte"], 3)
    fail_once(world, "ValueError: embedded null byte \0 \ud800 here")
    assert state(world, key) == ("waiting", {"one"})
    assert tasks.get_statuses(world.database, world.user, [key]) == ["waiting"]
