"""What becomes of Tasks in error, against a model that follows one Task, network and pattern at a time."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.restarts import (
    MAX_PATTERN,
    MAX_RESTARTS,
    MAX_TRACEBACK,
    Enforced,
    Plan,
    check_allowed_restarts,
    check_patterns,
    resolve,
    searched_text,
)


def enforced(task: int, network: int, pattern: int, maximum: int, counted: int, matches: bool = True) -> Enforced:
    return Enforced(task, network, pattern, maximum, counted, matches)


# --- by hand ---


def test_a_task_that_matches_waits_again_and_the_pattern_counts() -> None:
    assert resolve([enforced(1, 10, 100, 2, 1)]) == Plan(((10, 1, 100),), (), (1,))


def test_a_task_whose_pattern_is_used_up_is_given_up() -> None:
    assert resolve([enforced(1, 10, 100, 2, 2)]) == Plan((), ((10, 1),), ())


def test_a_task_that_matches_nothing_is_given_up() -> None:
    assert resolve([enforced(1, 10, 100, 2, 0, False), enforced(1, 10, 101, 2, 0, False)]) == Plan((), ((10, 1),), ())


def test_every_pattern_that_matches_counts_and_no_other() -> None:
    plan = resolve([enforced(1, 10, 100, 2, 0), enforced(1, 10, 101, 2, 0, False), enforced(1, 10, 102, 1, 0)])
    assert plan == Plan(((10, 1, 100), (10, 1, 102)), (), (1,))


def test_one_used_up_pattern_outweighs_the_others() -> None:
    assert resolve([enforced(1, 10, 100, 9, 0), enforced(1, 10, 101, 1, 1)]) == Plan((), ((10, 1),), ())


def test_a_used_up_pattern_that_does_not_match_has_no_say() -> None:
    plan = resolve([enforced(1, 10, 100, 9, 0), enforced(1, 10, 101, 1, 1, False)])
    assert plan == Plan(((10, 1, 100),), (), (1,))


def test_one_network_restarts_what_another_gives_up() -> None:
    plan = resolve([enforced(1, 10, 100, 1, 0), enforced(1, 20, 200, 1, 0, False)])
    assert plan == Plan(((10, 1, 100),), ((20, 1),), (1,))


def test_networks_and_tasks_count_for_themselves() -> None:
    plan = resolve([enforced(1, 10, 100, 1, 1), enforced(2, 10, 100, 1, 0), enforced(1, 20, 200, 1, 0)])
    assert plan == Plan(((10, 2, 100), (20, 1, 200)), ((10, 1),), (2, 1))


def test_nothing_is_decided_where_no_network_has_patterns() -> None:
    assert resolve([]) == Plan((), (), ())


# --- against a model ---


@dataclass
class Model:
    """Tasks on networks with patterns, each of which is found in tracebacks that hold its number."""

    patterns: dict[int, dict[int, int]]  # network → pattern → maximum
    counts: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def fail(self, task: int, networks: set[int], traceback: frozenset[int]) -> bool:
        """One failure, followed as the rule is told; whether the Task waits again. Takes it off `networks`."""
        restarts = False
        for network in sorted(networks):
            if not self.patterns[network]:
                continue
            found = [pattern for pattern in self.patterns[network] if pattern in traceback]
            spent = any(
                self.counts.get((network, task, pattern), 0) + 1 > self.patterns[network][pattern] for pattern in found
            )
            if not found or spent:
                networks.discard(network)
                self.counts = {key: n for key, n in self.counts.items() if key[:2] != (network, task)}
                continue
            restarts = True
            for pattern in found:
                self.counts[network, task, pattern] = self.counts.get((network, task, pattern), 0) + 1
        return restarts


@given(
    patterns=st.dictionaries(
        st.integers(0, 3), st.dictionaries(st.integers(0, 4), st.integers(1, 3), max_size=3), min_size=1
    ),
    failures=st.lists(st.tuples(st.integers(0, 2), st.frozensets(st.integers(0, 4), max_size=3)), max_size=25),
)
def test_any_series_of_failures_ends_as_the_model_says(
    patterns: dict[int, dict[int, int]], failures: list[tuple[int, frozenset[int]]]
) -> None:
    model = Model(patterns)
    counts: dict[tuple[int, int, int], int] = {}
    actioned = {task: set(patterns) for task in range(3)}
    expected = {task: set(patterns) for task in range(3)}
    for task, traceback in failures:
        given_patterns = [
            Enforced(task, network, pattern, maximum, counts.get((network, task, pattern), 0), pattern in traceback)
            for network in sorted(actioned[task])
            for pattern, maximum in patterns[network].items()
        ]
        plan = resolve(given_patterns)
        for key in plan.counted:
            counts[key] = counts.get(key, 0) + 1
        for network, given_up in plan.given_up:
            actioned[given_up].discard(network)
            counts = {key: n for key, n in counts.items() if key[:2] != (network, given_up)}
        restarts = model.fail(task, expected[task], traceback)
        assert plan.restarted == ((task,) if restarts else ())
        assert actioned == expected
        assert counts == model.counts
        assert all(count <= patterns[network][pattern] for (network, _, pattern), count in counts.items())


@given(st.integers(1, 20), st.integers(1, 5))
def test_a_pattern_allows_exactly_its_number_of_restarts(maximum: int, more: int) -> None:
    restarts = 0
    for _ in range(maximum + more):
        plan = resolve([enforced(1, 10, 100, maximum, restarts)])
        restarts += len(plan.restarted)
    assert restarts == maximum


# --- what may be asked for ---


def test_patterns_are_taken_once_each_in_their_order() -> None:
    assert check_patterns(["b", "a", "b"]) == ["b", "a"]
    assert check_patterns([]) == []
    assert check_patterns(["x" * MAX_PATTERN]) == ["x" * MAX_PATTERN]


@pytest.mark.parametrize(
    "patterns",
    [
        pytest.param("abc", id="a string"),
        pytest.param(None, id="nothing"),
        pytest.param({"a": 1}, id="a mapping"),
        pytest.param([1], id="a number"),
        pytest.param([None], id="none"),
        pytest.param([b"a"], id="bytes"),
        pytest.param(["a", ""], id="empty"),
        pytest.param(["x" * (MAX_PATTERN + 1)], id="too long"),
        pytest.param(["a\0b"], id="NUL"),
        pytest.param(["\ud800"], id="half a surrogate pair"),
    ],
)
def test_what_are_no_patterns_is_refused_by_name(patterns: list[str]) -> None:
    with pytest.raises(InvalidInput, match="`patterns`") as refused:
        check_patterns(patterns)
    assert refused.value.field == "patterns"


@pytest.mark.parametrize("count", [0, -1, True, 1.5, "3", None, MAX_RESTARTS + 1])
def test_what_is_no_number_of_restarts_is_refused_by_name(count: int) -> None:
    with pytest.raises(InvalidInput, match="`max_retries` must be an integer between 1") as refused:
        check_allowed_restarts(count, "max_retries")
    assert refused.value.field == "max_retries"


def test_numbers_of_restarts() -> None:
    for count in (1, 3, MAX_RESTARTS):
        check_allowed_restarts(count)


def test_the_end_of_a_long_traceback_is_looked_at() -> None:
    assert searched_text("x" * MAX_TRACEBACK + "RuntimeError: no", "") == (
        "x" * (MAX_TRACEBACK - 16) + "RuntimeError: no"
    )
    assert searched_text("Traceback\nValueError: 1\n", "ValueError(1)") == "Traceback\nValueError: 1\n"
    assert searched_text("", "ValueError(1)") == "ValueError(1)"
