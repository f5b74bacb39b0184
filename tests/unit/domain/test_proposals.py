"""Plans of a Strategy's iterations."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.proposals import (
    MOST_TASKS,
    Decision,
    PlannedTask,
    Proposal,
    ProposalSettings,
    propose_changes,
)
from alchemiscale_prefect.domain.scaling import StrategyWeighting
from alchemiscale_prefect.domain.strategies import StrategyMode, StrategyTaskScaling
from alchemiscale_prefect.domain.tasks import TaskStatus

FULL, PARTIAL = StrategyMode.full, StrategyMode.partial
Tasks = Mapping[str, Sequence[PlannedTask]]

OPEN = {TaskStatus.waiting, TaskStatus.running}
statuses = st.lists(st.tuples(st.sampled_from(TaskStatus), st.booleans()), max_size=6)
networks = st.dictionaries(st.sampled_from("abcde"), st.tuples(st.none() | st.floats(0, 10), statuses), min_size=1)
settings = st.builds(
    ProposalSettings,
    mode=st.sampled_from(StrategyMode),
    scaling=st.sampled_from(StrategyTaskScaling),
    weighting=st.sampled_from(StrategyWeighting),
    max_tasks_per_transformation=st.integers(1, 5),
    max_tasks=st.none() | st.integers(0, 8),
)


def tasks(name: str, *given_: tuple[str, bool]) -> list[PlannedTask]:
    return [PlannedTask(f"{name}{n}", TaskStatus(status), actioned) for n, (status, actioned) in enumerate(given_)]


def held(of: Sequence[PlannedTask]) -> int:
    return sum(task.actioned and task.status in OPEN for task in of)


def carried_out(proposal: Proposal, before: Tasks) -> dict[str, list[PlannedTask]]:
    after = {key: list(of) for key, of in before.items()}
    for change in proposal.changes:
        actioned = {task.key: task.actioned for task in after[change.transformation]}
        actioned |= dict.fromkeys(change.action, True) | dict.fromkeys(change.cancel, False)
        new = [PlannedTask(f"{change.transformation}new{n}", TaskStatus.waiting, True) for n in range(change.create)]
        kept = [PlannedTask(task.key, task.status, actioned[task.key]) for task in after[change.transformation]]
        after[change.transformation] = [*kept, *new]
    return after


@given(networks, settings)
def test_whatever_the_weights_and_tasks_the_limits_hold_and_a_second_run_does_nothing(network, chosen):
    weights = {key: weight for key, (weight, _) in network.items()}
    before = {key: tasks(key, *given_) for key, (_, given_) in network.items()}
    proposal = propose_changes(weights, before, chosen)
    after = carried_out(proposal, before)
    assert [change.transformation for change in proposal.changes] == sorted(weights)
    added = 0
    for change in proposal.changes:
        had, has = held(before[change.transformation]), held(after[change.transformation])
        assert change.held == had
        assert change.target <= chosen.max_tasks_per_transformation
        assert has <= max(had, change.target)
        assert (
            has == change.target
            or chosen.mode is not FULL
            or change.decision
            in (
                Decision.errored,
                Decision.over_budget,
            )
        )
        assert change.reason
        if chosen.mode is not FULL:
            assert not change.cancel
            assert has >= had
        added += change.create + len(change.action)
    if chosen.max_tasks is not None and added:
        assert sum(held(of) for of in after.values()) <= chosen.max_tasks
    assert chosen.mode is not StrategyMode.disabled or proposal.is_empty
    assert propose_changes(weights, after, chosen).is_empty


def test_running_tasks_are_taken_up_first_then_waiting_ones_and_then_new_ones_are_made():
    before = {"a": tasks("a", ("waiting", False), ("complete", False), ("running", False), ("running", True))}
    plan = {most: propose_changes({"a": 1.0}, before, ProposalSettings(max_tasks_per_transformation=most)) for most in
            (1, 2, 3, 5)}  # fmt: skip
    assert {most: (proposal.changes[0].action, proposal.changes[0].create) for most, proposal in plan.items()} == {
        1: ((), 0),
        2: (("a2",), 0),
        3: (("a2", "a0"), 0),
        5: (("a2", "a0"), 2),
    }


def test_waiting_tasks_are_cancelled_first_the_last_before_the_others_and_in_full_mode_alone():
    given_ = [("waiting", True), ("running", True), ("waiting", True), ("running", False), ("complete", False)]
    before = {"a": tasks("a", *given_), "b": tasks("b", *given_), "c": []}
    weights = {"a": 1.0, "b": None, "c": 0.0}
    full = propose_changes(weights, before, ProposalSettings(FULL, max_tasks_per_transformation=1))
    assert [change.cancel for change in full.changes] == [("a2", "a0"), ("b2", "b0", "b1"), ()]
    assert [change.decision for change in full.changes] == [Decision.fewer, Decision.fewer, Decision.enough]
    partial = propose_changes(weights, before, ProposalSettings(PARTIAL, max_tasks_per_transformation=1))
    assert partial.is_empty
    assert [change.decision for change in partial.changes] == [Decision.kept, Decision.finished, Decision.enough]


def test_a_transformation_with_errored_tasks_gets_none_and_says_the_way_out():
    before = {"a": tasks("a", ("error", True), ("error", False)), "b": tasks("b", ("error", True)), "c": []}
    proposal = propose_changes({"a": 1.0, "b": None, "c": 1.0}, before, ProposalSettings())
    assert [(change.transformation, change.create) for change in proposal.changes] == [("a", 0), ("b", 0), ("c", 3)]
    assert [change.transformation for change in proposal.errored] == ["a"]
    assert "2 of its Tasks failed (a0, a1); set them to waiting" in proposal.errored[0].reason


def test_only_none_finishes():
    before: Tasks = {"a": [], "b": []}
    assert propose_changes({"a": None, "b": None}, before, ProposalSettings()).finished
    assert not propose_changes({"a": None, "b": 0.0}, before, ProposalSettings()).finished


@pytest.mark.parametrize(
    ("room", "added"),
    [
        (0, [0, 0, 0]),
        (1, [0, 1, 0]),
        (3, [1, 1, 1]),
        (4, [1, 2, 1]),
        (6, [1, 3, 2]),
        (7, [1, 3, 3]),
        (8, [1, 4, 3]),
        (99, [1, 5, 5]),
    ],
)
def test_where_there_is_no_room_for_all_each_gets_one_the_heaviest_first_then_a_second(room, added):
    before: Tasks = {"a": [], "b": [], "c": tasks("c", ("waiting", False))}
    chosen = ProposalSettings(max_tasks=room, max_tasks_per_transformation=5)
    proposal = propose_changes({"a": 0.1, "b": 1.0, "c": 0.9}, before, chosen)
    assert [change.create + len(change.action) for change in proposal.changes] == added
    assert proposal.changes[2].action == (("c0",) if added[2] else ())
    short = [change for change in proposal.changes if change.decision is Decision.over_budget]
    assert all(f"in all, {change.create + len(change.action)} more are" in change.reason for change in short)
    assert len(short) == sum(added[n] < (1, 5, 5)[n] for n in range(3))


def test_an_iteration_adds_so_many_tasks_at_most_and_the_next_the_others():
    before: Tasks = {name: [] for name in "abc"}
    most = ProposalSettings(max_tasks_per_transformation=2**31 - 1)
    first = propose_changes(dict.fromkeys("abc", 1.0), before, most)
    assert sum(change.create for change in first.changes) == MOST_TASKS
    assert {change.decision for change in first.changes} == {Decision.later}
    assert f"adds {MOST_TASKS} Tasks at most" in first.changes[0].reason
    # a budget that is less than that is what it says
    few = propose_changes(dict.fromkeys("abc", 1.0), before, replace(most, max_tasks=MOST_TASKS))
    assert {change.decision for change in few.changes} == {Decision.over_budget}
    enough = replace(most, max_tasks_per_transformation=MOST_TASKS)
    one: Tasks = {"a": []}
    after = carried_out(propose_changes({"a": 1.0}, one, enough), one)
    assert propose_changes({"a": 1.0}, after, enough).is_empty


def test_one_that_has_no_weight_is_left_alone_and_a_stranger_refused():
    before = {"a": tasks("a", ("waiting", True)), "b": []}
    assert propose_changes({"b": None}, before, ProposalSettings(FULL)).is_empty
    with pytest.raises(InvalidInput, match="not in the network: z"):
        propose_changes({"b": 1.0, "z": 1.0}, before, ProposalSettings())
