"""Iterations of Strategies: what is due, what is done to Tasks, and what two at once, edits and crashes change."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from alchemiscale_prefect.domain.errors import AttemptVoid, Conflict, NotFound, Unavailable
from alchemiscale_prefect.domain.iterations import Material, Proposed, StrategyFailed, StrategyFailure
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.proposals import Decision
from alchemiscale_prefect.domain.strategies import StrategyMode, StrategyState, StrategyStatus, StrategyTaskScaling
from alchemiscale_prefect.services import actions, iterations, networks, strategies, submission
from alchemiscale_prefect.store.queries import iterations as queries
from alchemiscale_prefect.wire.strategies import ProposedChange, StrategyProposal
from tests.chains import keys_of, network_chain, pair
from tests.integration.dispatch.world import SCOPE, Net, World

NEVER = timedelta(days=1)
CHAIN = [pair("AnyStrategy", {}, module="elsewhere.strategies")]
Weights = Mapping[str, float | None]


@pytest.fixture
def net(world: World) -> Net:
    """Three Transformations in a row."""
    chain = network_chain("three", ("a", "b", "c", "d"), [(0, 1), (1, 2), (2, 3)])
    key = submission.create_network(world.database, world.user, chain, SCOPE)
    return Net(key, tuple(sorted(ScopedKey.of(tf, SCOPE) for tf in keys_of(chain, "Transformation"))))


def attach(world: World, net: Net, mode: StrategyMode = StrategyMode.partial, most: int = 2, **state: Any) -> None:
    given = {"task_scaling": StrategyTaskScaling.linear, **state}
    strategies.set_strategy(
        world.database, world.user, net.key, CHAIN, StrategyState(mode=mode, max_tasks_per_transformation=most, **given)
    )


def proposing(
    net: Net,
    *weights: float | None,
    max_tasks: int | None = None,
    budget: int | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> Callable[[Material], Proposed]:
    """A Strategy with these weights, one for each Transformation; and what somebody does while it thinks."""

    def propose(material: Material) -> Proposed:
        assert material.network.text
        assert material.strategy.text
        meanwhile()
        keys = [tf.gufe_key for tf in net.transformations]
        return Proposed(dict(zip(keys, weights, strict=True)), max_tasks, budget)

    return propose


def perform(world: World, net: Net, propose: Callable[[Material], Proposed]) -> StrategyProposal | None:
    performed = iterations.perform(world.database, world.store, propose, net.key)
    world.check()
    if performed is not None:
        assert strategies.get_proposal(world.database, world.user, net.key) == performed
    return performed


def changes(world: World, net: Net, propose: Callable[[Material], Proposed]) -> list[ProposedChange]:
    performed = perform(world, net, propose)
    assert performed is not None
    by_key = {change.transformation: change for change in performed.changes}
    return [by_key[tf] for tf in net.transformations]


def state(world: World, net: Net) -> StrategyState:
    found = strategies.get_state(world.database, world.user, net.key)
    assert found is not None
    return found


def is_due(world: World, net: Net, minimum: timedelta = NEVER) -> bool:
    return net.key in iterations.due(world.database, minimum)


def tasks_by_status(world: World) -> dict[str, int]:
    return dict(tuple(row) for row in world.rows("select status, count(*) from task group by status"))


def test_what_is_lacking_is_created_and_actioned_and_a_second_time_nothing(world: World, net: Net) -> None:
    attach(world, net, most=3)
    first = changes(world, net, proposing(net, 1.0, 0.3, None))
    assert [(c.target, len(c.created), c.decision) for c in first] == [
        (3, 3, Decision.more),
        (1, 1, Decision.more),
        (0, 0, Decision.finished),
    ]
    assert actions.of_network(world.database, world.user, net.key) == {
        str(key): 0.5 for change in first for key in change.created
    }
    before = {name: rows for name, rows in world.content().items() if not name.startswith("strategy")}
    again = perform(world, net, proposing(net, 1.0, 0.3, None))
    assert again is not None
    assert again.summary == "awake; created 0, actioned 0, cancelled 0"
    assert {name: rows for name, rows in world.content().items() if not name.startswith("strategy")} == before
    assert (state(world, net).iterations, state(world, net).status) == (2, StrategyStatus.awake)


def test_tasks_of_others_are_taken_up_with_the_weight_they_have(world: World, net: Net) -> None:
    attach(world, net)
    mine, free = world.create(net, 2)
    world.action(net, [mine], 0.9)
    first, *_ = changes(world, net, proposing(net, 1.0, 0.0, None))
    assert (first.held, first.actioned, first.created) == (1, (free,), ())
    assert actions.of_network(world.database, world.user, net.key) == {str(mine): 0.9, str(free): 0.5}


def test_partial_mode_cancels_nothing_and_full_mode_what_waits_before_what_runs(world: World, net: Net) -> None:
    attach(world, net, most=3)
    created = changes(world, net, proposing(net, 1.0, None, None))[0].created
    (run,) = world.started()
    assert changes(world, net, proposing(net, None, None, None))[0].decision is Decision.finished
    assert state(world, net).status is StrategyStatus.dormant
    assert len(actions.of_network(world.database, world.user, net.key)) == 3

    attach(world, net, StrategyMode.full, most=3)
    # linear: one of three is to stay, which is the running one
    fewer = changes(world, net, proposing(net, 0.1, 1.0, None))[0]
    assert set(fewer.cancelled) == set(created) - {run.task}
    run.heartbeat()
    none = changes(world, net, proposing(net, None, None, None))[0]
    assert none.cancelled == (run.task,)
    with pytest.raises(AttemptVoid):
        run.heartbeat()
    assert world.status(run.task) == "waiting"
    assert not world.queued()


def test_a_task_that_another_network_wants_goes_on(world: World, net: Net) -> None:
    attach(world, net, StrategyMode.full, most=1)
    (task,) = changes(world, net, proposing(net, 1.0, None, None))[0].created
    chain = network_chain("other", ("a", "b", "c", "d"), [(0, 1), (1, 2), (2, 3)])
    other = submission.create_network(world.database, world.user, chain, SCOPE)
    actions.action(world.database, world.user, other, [task])
    (run,) = world.started()
    assert changes(world, net, proposing(net, None, None, None))[0].cancelled == (task,)
    run.heartbeat()


def test_a_transformation_with_failed_tasks_is_skipped_and_reported_until_it_is_seen_to(world: World, net: Net) -> None:
    attach(world, net, most=1)
    changes(world, net, proposing(net, 1.0, None, None))
    (run,) = world.started()
    run.complete(ok=False)
    performed = perform(world, net, proposing(net, 1.0, 1.0, None))
    assert performed is not None
    assert performed.summary == "awake; created 1, actioned 0, cancelled 0; 1 skipped, Tasks of them failed"
    skipped = next(change for change in performed.changes if change.transformation == net.transformations[0])
    assert (skipped.decision, skipped.errored, skipped.created) == (Decision.errored, (run.task,), ())
    world.set_status([run.task], "invalid")
    assert len(changes(world, net, proposing(net, 1.0, 1.0, None))[0].created) == 1


def test_a_budget_counts_what_is_done_waits_and_runs(world: World, net: Net) -> None:
    attach(world, net, most=3)
    propose = proposing(net, 1.0, 0.9, 0.8, max_tasks=99, budget=4)
    assert [len(change.created) for change in changes(world, net, propose)] == [2, 1, 1]
    for run in world.started(2):
        run.complete()
    assert [change.decision for change in changes(world, net, propose)] == [Decision.over_budget] * 3
    assert tasks_by_status(world) == {"complete": 2, "waiting": 2}


def test_what_failed_keeps_its_place_in_a_budget_until_nobody_can_have_it_run_again(world: World, net: Net) -> None:
    attach(world, net, most=1)
    propose = proposing(net, 1.0, 0.5, None, budget=2)
    first, *_ = changes(world, net, propose)
    one, two = sorted(world.started(2), key=lambda run: run.task not in first.created)
    one.complete(ok=False)
    two.complete()
    failed, other, _ = changes(world, net, propose)
    assert [failed.decision, other.decision] == [Decision.errored, Decision.over_budget]
    assert "0 more are its share; 1 that failed keep places until they are set to invalid or deleted" in other.reason
    # somebody has it run again: no more than the budget wait, run or are done
    world.set_status([one.task], "waiting")
    assert [change.decision for change in changes(world, net, propose)[:2]] == [Decision.enough, Decision.over_budget]
    assert tasks_by_status(world) == {"complete": 1, "waiting": 1}
    # one that failed and never can run here again takes no place
    (again,) = world.started()
    again.complete(ok=False)
    world.set_status([one.task], "invalid")
    assert [len(change.created) for change in changes(world, net, propose)] == [1, 0, 0]
    assert tasks_by_status(world) == {"complete": 1, "invalid": 1, "waiting": 1}


def test_what_failed_leaves_its_place_to_others_where_a_strategy_wants_few_at_a_time(world: World, net: Net) -> None:
    attach(world, net, most=1)
    propose = proposing(net, 1.0, 0.5, None, max_tasks=1)
    changes(world, net, propose)
    (run,) = world.started()
    run.complete(ok=False)
    found = changes(world, net, propose)
    assert [(change.decision, len(change.created)) for change in found[:2]] == [
        (Decision.errored, 0),
        (Decision.more, 1),
    ]
    # somebody has it run again: what waits or runs is one more than was wanted, and nothing is added to it
    world.set_status([run.task], "waiting")
    assert not any(change.created for change in changes(world, net, proposing(net, 1.0, 0.5, 0.5, max_tasks=2)))


def test_a_strategy_that_raises_is_in_error_and_goes_on_once_it_is_set_awake(world: World, net: Net) -> None:
    attach(world, net)

    def fail(_: Material) -> Proposed:
        raise ZeroDivisionError("no weights\0 at all \ud800")

    performed = perform(world, net, fail)
    assert performed is not None
    assert performed.exception == ("ZeroDivisionError", "no weights at all \\ud800")
    failed = state(world, net)
    assert (failed.status, failed.iterations, failed.exception) == (StrategyStatus.error, 1, performed.exception)
    assert "in fail" in (failed.traceback or "")
    assert not is_due(world, net, timedelta())
    with pytest.raises(Conflict, match="set it awake"):
        perform(world, net, fail)
    strategies.set_awake(world.database, world.user, net.key)
    assert is_due(world, net)
    perform(world, net, proposing(net, 1.0, None, None))
    mended = state(world, net)
    assert (mended.status, mended.exception, mended.traceback) == (StrategyStatus.awake, None, None)
    assert not is_due(world, net)


def test_what_a_strategy_failed_with_elsewhere_is_kept_as_it_was_told(world: World, net: Net) -> None:
    attach(world, net)
    failure = StrategyFailure(("StrategyDied", "by signal SIGKILL"), "It was here")

    def die(_: Material) -> Proposed:
        raise StrategyFailed(failure)

    perform(world, net, die)
    failed = state(world, net)
    assert (failed.status, failed.exception, failed.traceback) == (
        StrategyStatus.error,
        failure.exception,
        failure.traceback,
    )


@pytest.mark.parametrize("weights", [{"Transformation-strange": 1.0}, {None: float("nan")}, {None: -1.0}])
def test_weights_that_are_none_are_the_strategy_s_failure(world: World, net: Net, weights: dict[Any, float]) -> None:
    attach(world, net)
    given = {net.transformations[0].gufe_key if key is None else key: weight for key, weight in weights.items()}
    performed = perform(world, net, lambda _: Proposed(given))
    assert performed is not None
    assert performed.exception is not None
    assert performed.exception[0] == "InvalidInput"
    assert tasks_by_status(world) == {}


def test_what_is_out_of_reach_is_not_the_strategy_s_failure(world: World, net: Net) -> None:
    attach(world, net)

    def unreachable(_: Material) -> Proposed:
        raise Unavailable("the object store is down")

    before = world.content()
    with pytest.raises(Unavailable):
        perform(world, net, unreachable)
    assert world.content() == before


def test_of_two_iterations_at_once_one_acts(world: World, net: Net) -> None:
    attach(world, net)
    both = Barrier(2)
    propose = proposing(net, 1.0, 1.0, 1.0, meanwhile=lambda: both.wait(60))
    with ThreadPoolExecutor(2) as threads:
        run = [threads.submit(iterations.perform, world.database, world.store, propose, net.key) for _ in range(2)]
        performed = [future.result() for future in run]
    assert performed.count(None) == 1
    assert tasks_by_status(world) == {"waiting": 6}
    assert state(world, net).iterations == 1
    world.check()


def test_what_a_user_does_meanwhile_stands(world: World, net: Net) -> None:
    attach(world, net)

    def with_meanwhile(meanwhile: Callable[[], object]) -> StrategyProposal | None:
        return perform(world, net, proposing(net, 1.0, None, None, meanwhile=meanwhile))

    assert with_meanwhile(lambda: attach(world, net, StrategyMode.disabled)) is None
    assert (state(world, net).mode, state(world, net).iterations) == (StrategyMode.disabled, 0)
    attach(world, net)
    assert with_meanwhile(lambda: attach(world, net, most=1)) is None
    assert state(world, net).max_tasks_per_transformation == 1
    attach(world, net)
    set_state = lambda value: networks.set_states(world.database, world.user, [net.key], [value])  # noqa: E731
    assert with_meanwhile(lambda: set_state("inactive")) is None
    set_state("active")
    assert with_meanwhile(lambda: strategies.remove(world.database, world.user, net.key)) is None
    assert tasks_by_status(world) == {}
    # Tasks that a user actions meanwhile are counted, and keep the user's weight
    attach(world, net)
    made = world.create(net)
    performed = with_meanwhile(lambda: world.action(net, made, 0.9))
    assert performed is not None
    assert actions.of_network(world.database, world.user, net.key)[str(made[0])] == 0.9
    assert tasks_by_status(world) == {"waiting": 2}
    # who sets it awake meanwhile finds it awake, and has it performed once more
    wake = lambda: strategies.set_awake(world.database, world.user, net.key)  # noqa: E731
    perform(world, net, proposing(net, None, None, None, meanwhile=wake))
    assert state(world, net).status is StrategyStatus.awake
    assert is_due(world, net)


def test_what_dies_before_its_end_has_done_nothing(world: World, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    attach(world, net, StrategyMode.full)
    before = world.content()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(queries, "keep_proposal", die)
        with pytest.raises(KeyboardInterrupt):
            perform(world, net, proposing(net, 1.0, 1.0, 1.0))
    assert world.content() == before
    perform(world, net, proposing(net, 1.0, 1.0, 1.0))
    assert tasks_by_status(world) == {"waiting": 6}


def test_when_a_strategy_is_due(world: World, net: Net) -> None:
    assert iterations.due(world.database, timedelta()) == []
    with pytest.raises(NotFound):
        perform(world, net, proposing(net, 1.0, None, None))
    attach(world, net, most=2, sleep_interval=1000)
    # a new one at once, then not before its interval, or the server's, is over
    assert is_due(world, net)
    perform(world, net, proposing(net, 1.0, None, None))
    assert not is_due(world, net, timedelta())
    world.execute("update strategy set last_iteration = last_iteration - interval '1001 s'")
    assert is_due(world, net, timedelta(seconds=900))
    assert not is_due(world, net, timedelta(seconds=1100))
    for name, value in (("mode", "disabled"), ("status", "error")):
        world.execute(f"update strategy set {name} = '{value}'")
        assert not is_due(world, net, timedelta())
        world.execute("update strategy set mode = 'partial', status = 'awake'")
    networks.set_states(world.database, world.user, [net.key], ["inactive"])
    assert not is_due(world, net, timedelta())
    with pytest.raises(Conflict, match="inactive"):
        perform(world, net, proposing(net, 1.0, None, None))
    networks.set_states(world.database, world.user, [net.key], ["active"])
    # results: as long as something else waits for a worker the interval holds
    perform(world, net, proposing(net, 1.0, None, None))
    (one,) = world.started()
    one.complete()
    assert not is_due(world, net)
    world.started()
    assert is_due(world, net)
    # without new ones what runs is left to run
    perform(world, net, proposing(net, 0.0, None, None))
    assert tasks_by_status(world) == {"complete": 1, "running": 1}
    assert not is_due(world, net)


def test_one_that_is_dormant_wakes_on_new_results_alone(world: World, net: Net) -> None:
    attach(world, net, sleep_interval=1)
    world.tasks(net, 2)
    one, _ = world.started(2)
    perform(world, net, proposing(net, None, None, None))
    world.execute("update strategy set last_iteration = last_iteration - interval '1 day'")
    assert not is_due(world, net, timedelta())
    one.complete()
    assert is_due(world, net)
    perform(world, net, proposing(net, None, 1.0, None))
    woken = state(world, net)
    assert (woken.status, woken.last_iteration_result_count) == (StrategyStatus.awake, 1)
