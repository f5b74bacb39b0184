"""Strategies made from names and settings, also those that are made of others."""

import json
from typing import Any

import pytest

from alchemiscale_prefect.chemistry.strategies import described, make
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


def test_what_a_strategy_is_described_by_makes_it_again() -> None:
    fading = {"kind": "fading", "half": 2.0}
    settings = {"votes": [1.0, 3.0], "confidences": [fading, None], "strategies": [INNER, INNER]}
    given = {"max_tasks": 7, "strategy": {"class": f"{ROOM}:StackedStrategy", "settings": settings}}
    budget = make(f"{ROOM}:BudgetStrategy", given)
    said = json.loads(json.dumps(described(budget)))
    assert (said["class"], said["settings"]["max_tasks"]) == (f"{ROOM}.budget:BudgetStrategy", 7)
    stack = said["settings"]["strategy"]["settings"]
    assert (stack["votes"], stack["confidences"]) == ([1.0, 3.0], [fading, None])
    assert stack["strategies"][1]["settings"]["target_error"].startswith("0.3 ")
    assert make(said["class"], said["settings"]) == budget


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
