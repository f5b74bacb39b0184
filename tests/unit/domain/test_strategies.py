"""The state of a Strategy: what it takes, and that it comes back from JSON as it was."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.errors import InvalidInput, InvalidKeyedChain
from alchemiscale_prefect.domain.keyed_chains import parse
from alchemiscale_prefect.domain.strategies import (
    StrategyMode,
    StrategyState,
    StrategyStatus,
    StrategyTaskScaling,
    check_strategy,
)
from tests.chains import network_chain, pair

counts = st.integers(0, 2**31 - 1)
settings = st.integers(1, 2**31 - 1)
states = st.builds(
    StrategyState,
    mode=st.sampled_from(StrategyMode),
    status=st.sampled_from(StrategyStatus),
    iterations=counts,
    sleep_interval=settings,
    last_iteration=st.none() | st.datetimes(timezones=st.just(UTC)),
    last_iteration_result_count=counts,
    max_tasks_per_transformation=settings,
    task_scaling=st.sampled_from(StrategyTaskScaling),
    exception=st.none() | st.tuples(st.text(), st.text()),
    traceback=st.none() | st.text(),
)


def test_the_defaults_are_alchemiscale_s_but_for_the_weighting() -> None:
    assert StrategyState().to_dict() == {
        "mode": "partial",
        "status": "awake",
        "iterations": 0,
        "sleep_interval": 3600,
        "last_iteration": None,
        "last_iteration_result_count": 0,
        "max_tasks_per_transformation": 3,
        "task_scaling": "exponential",
        "weighting": "relative",
        "exception": None,
        "traceback": None,
    }


@given(states)
def test_a_state_comes_back_as_it_was(state: StrategyState) -> None:
    assert StrategyState.from_dict(state.to_dict()) == state
    text = json.dumps(state.to_dict(), default=datetime.isoformat)
    assert StrategyState.from_dict({**json.loads(text), "something": "newer"}) == state


def test_names_of_members_will_do() -> None:
    state = StrategyState(mode="full", status="dormant", task_scaling="linear")  # type: ignore[arg-type]
    assert state.mode is StrategyMode.full
    assert state.status is StrategyStatus.dormant
    assert state.task_scaling is StrategyTaskScaling.linear


@pytest.mark.parametrize(
    "given_values",
    [
        {"mode": "never"},
        {"status": "asleep"},
        {"task_scaling": None},
        {"iterations": -1},
        {"sleep_interval": 0},
        {"sleep_interval": 2**31},
        {"max_tasks_per_transformation": 0},
        {"max_tasks_per_transformation": True},
        {"max_tasks_per_transformation": 1.5},
        {"last_iteration_result_count": "3"},
    ],
)
def test_a_value_that_is_none_is_refused_by_name(given_values: dict[str, Any]) -> None:
    (name,) = given_values
    with pytest.raises(InvalidInput, match=f"`{name}` must be") as refused:
        StrategyState(**given_values)
    assert refused.value.field == name


def test_what_gufe_has_is_no_strategy() -> None:
    check_strategy(parse([pair("EvenStrategy", {"settings": {}}, module="tests.strategies")]))
    check_strategy(parse([pair("GufeStrategy", {"settings": {}}, module="gufe_strategies")]))
    for chain, name in (
        (network_chain(), "AlchemicalNetwork"),
        ([pair("SolventComponent", {}, module="gufe.components")], "SolventComponent"),
    ):
        with pytest.raises(InvalidKeyedChain, match=f"the chain of a {name}, which is no Strategy") as refused:
            check_strategy(parse(chain))
        assert refused.value.field == "strategy"
