"""Units run as soon as what they need is there, never before, never twice, never too many at once."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.slots import Slots
from alchemiscale_prefect.execution.schedule import Done, Schedule


@dataclass(frozen=True)
class Node:
    key: str
    dependencies: tuple[str, ...] = ()


@st.composite
def dags(draw: st.DrawFn) -> list[Node]:
    size = draw(st.integers(1, 12))
    nodes = []
    for index in range(size):
        needs = draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
        nodes.append(Node(f"n{index}", tuple(f"n{need}" for need in sorted(needs))))
    return draw(st.permutations(nodes))


@given(dags(), st.integers(1, 4), st.data())
def test_every_node_runs_once_after_what_it_needs(dag: list[Node], max_parallel: int, data: st.DataObject) -> None:
    failing = data.draw(st.sets(st.sampled_from([node.key for node in dag])))
    started: list[str] = []
    pending: list[tuple[Node, Done[str]]] = []
    most = 0

    def start(node: Node, results: Mapping[str, str], done: Done[str]) -> None:
        nonlocal most
        assert set(node.dependencies) <= set(results), "started before what it needs"
        started.append(node.key)
        pending.append((node, done))
        most = max(most, len(pending))

    def finish_some() -> None:
        index = data.draw(st.integers(0, len(pending) - 1))
        node, done = pending.pop(index)
        done(RuntimeError(node.key) if node.key in failing else f"result of {node.key}")

    schedule = Schedule(dag, {}, start, max_parallel, lambda _: None)

    class Stepping:
        """Ends one running node whenever the schedule waits for one."""

        def __init__(self, inner: object) -> None:
            self.inner = inner

        def put(self, item: object) -> None:
            self.inner.put(item)

        def get(self, timeout: float | None) -> object:
            finish_some()
            return self.inner.get()

    schedule._ended = Stepping(schedule._ended)
    failure = schedule.run()

    assert len(started) == len(set(started)), "a node ran twice"
    assert most <= max_parallel
    assert not pending
    if failing & set(started):
        assert isinstance(failure, RuntimeError)
    else:
        assert failure is None
        assert set(schedule.finished) == {node.key for node in dag}
    for node in dag:
        if set(node.dependencies) & failing:
            assert node.key not in started, "ran although what it needs had failed"


@given(dags(), st.data())
def test_finished_nodes_are_not_run_again(dag: list[Node], data: st.DataObject) -> None:
    # what is finished is closed under dependencies, as a checkpoint is
    order = sorted(dag, key=lambda node: int(node.key[1:]))
    cut = data.draw(st.integers(0, len(order)))
    there = {node.key: "before" for node in order[:cut]}
    ran: list[str] = []

    def start(node: Node, results: Mapping[str, str], done: Done[str]) -> None:
        ran.append(node.key)
        done("now")

    schedule = Schedule(dag, there, start, 2, lambda _: None)
    assert schedule.run() is None
    assert set(ran) == {node.key for node in dag} - set(there)
    assert {key: schedule.finished[key] for key in there} == there


def test_independent_nodes_run_at_the_same_time() -> None:
    barrier = threading.Barrier(2, timeout=60)
    with ThreadPoolExecutor(2) as pool:

        def work(done: Done[int]) -> None:
            barrier.wait()
            done(1)

        schedule = Schedule(
            [Node("a"), Node("b")], {}, lambda node, results, done: pool.submit(work, done) and None, 2, lambda _: None
        )
        assert schedule.run() is None
    assert schedule.finished == {"a": 1, "b": 1}


def test_progress_counts_what_is_finished() -> None:
    told: list[int] = []
    dag = [Node("a"), Node("b", ("a",)), Node("c", ("b",))]
    Schedule(dag, {"a": 0}, lambda node, results, done: done(1), 1, told.append).run()
    assert told == [2, 3]


def test_a_dependency_outside_the_dag_is_an_error_not_a_hang() -> None:
    schedule = Schedule([Node("a", ("missing",))], {}, lambda node, results, done: done(1), 1, lambda _: None)
    with pytest.raises(ValueError, match="dependencies are not in the DAG"):
        schedule.run()


def test_a_node_that_cannot_be_started_is_a_failure_and_the_others_are_waited_for() -> None:
    ended: list[str] = []

    def start(node: Node, results: Mapping[str, str], done: Done[str]) -> None:
        if node.key == "b":
            raise RuntimeError("can't start new thread")

        def end() -> None:
            ended.append(node.key)
            done(node.key)

        threading.Timer(0.1, end).start()

    schedule: Schedule[Node, str] = Schedule([Node("a"), Node("b"), Node("c")], {}, start, 3, lambda _: None)
    failure = schedule.run()
    assert str(failure) == "can't start new thread"
    assert sorted(ended) == ["a", "c"]


def test_the_next_nodes_are_started_before_anybody_is_told() -> None:
    seen: list[str] = []

    def start(node: Node, results: Mapping[str, str], done: Done[str]) -> None:
        seen.append(f"start {node.key}")
        done(node.key)

    Schedule([Node("a"), Node("b", ("a",))], {}, start, 1, lambda count: seen.append(f"told {count}")).run()
    assert seen == ["start a", "start b", "told 1", "told 2"]


def _together(needs: dict[str, Slots], capacity: Slots | None) -> list[set[str]]:
    """Which nodes are under way after each start, when one ends only if no other can start."""
    under_way: dict[str, Done[str]] = {}
    seen: list[set[str]] = []

    def start(node: Node, _: Mapping[str, str], done: Done[str]) -> None:
        under_way[node.key] = done
        seen.append(set(under_way))

    nodes = [Node(key) for key in needs]
    schedule: Schedule[Node, str] = Schedule(
        nodes, {}, start, 10, lambda _: None, capacity, lambda node: needs[node.key]
    )

    class Ending:
        def get(self, timeout: float | None) -> object:
            under_way.pop(key := next(iter(under_way)))
            return key, "result"

    schedule._ended = Ending()  # type: ignore[assignment]
    assert schedule.run() is None
    assert schedule.finished.keys() == needs.keys()
    return seen


def test_units_run_at_once_only_while_there_are_slots() -> None:
    gpu, cpu = Slots(1, 1), Slots(1, 0)
    needs = {"a": gpu, "b": gpu, "c": cpu, "d": cpu}
    # the second one that wants the GPU waits for the first, and holds nobody else up
    assert _together(needs, Slots(3, 1)) == [{"a"}, {"a", "c"}, {"a", "c", "d"}, {"c", "d", "b"}]
    assert _together(needs, Slots(2, 2)) == [{"a"}, {"a", "b"}, {"b", "c"}, {"c", "d"}]
    assert _together(needs, None)[-1] == set(needs)


def test_a_unit_that_wants_more_than_there_is_gets_all_of_it() -> None:
    needs = {"a": Slots(8, 0), "b": Slots(1, 4), "c": Slots(0, 0)}
    assert _together(needs, Slots(4, 0)) == [{"a"}, {"a", "c"}, {"c", "b"}]
