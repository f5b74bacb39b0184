"""Strategies made from names and settings, also those that are made of others."""

from typing import Any

import pytest

from alchemiscale_prefect.chemistry.strategies import make
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.strategies import BudgetStrategy, StackedStrategy, UncertaintyStrategy

ROOM = "alchemiscale_prefect.strategies"
INNER = {"class": f"{ROOM}:UncertaintyStrategy", "settings": {"target_error": "0.3 kilocalorie_per_mole"}}


def test_a_strategy_is_made_around_others() -> None:
    budget = make(f"{ROOM}:BudgetStrategy", {"max_tasks": 7, "strategy": INNER})
    assert isinstance(budget, BudgetStrategy)
    assert budget.settings.max_tasks == 7
    assert isinstance(budget.strategy, UncertaintyStrategy)
    assert budget.strategy.settings.target_error.m_as("kilocalorie_per_mole") == pytest.approx(0.3)
    plain = {"class": f"{ROOM}.ConnectivityStrategy"}
    stack = make(f"{ROOM}:StackedStrategy", {"combine": "max", "votes": [1, 2], "strategies": [INNER, plain]})
    assert isinstance(stack, StackedStrategy)
    assert stack.strategies[0] == budget.strategy


@pytest.mark.parametrize(
    "given",
    [
        None,
        "UncertaintyStrategy",
        {},
        {"class": 3},
        {**INNER, "max_tasks": 3},
        {**INNER, "settings": [1]},
        {**INNER, "settings": None},
        [None],
    ],
)
def test_what_it_is_made_of_must_be_said(given: Any) -> None:
    with pytest.raises(InvalidInput, match="BudgetStrategy is made of other Strategies: give `strategy` as"):
        make(f"{ROOM}:BudgetStrategy", {"strategy": given})


def test_mistakes_inside_are_named() -> None:
    with pytest.raises(InvalidInput, match="UncertaintyStrategy has no settings runs"):
        make(f"{ROOM}:BudgetStrategy", {"strategy": {**INNER, "settings": {"runs": 1}}})
    with pytest.raises(InvalidInput, match="BudgetStrategy refuses these settings"):
        make(f"{ROOM}:BudgetStrategy", {"max_tasks": 0, "strategy": INNER})
