"""The client's methods take what alchemiscale's take, by the same names, in the same order.

The reference is the released client's list of signatures. It does not come with this project: it is read from the
folder that ALCHEMISCALE_TEST_REFERENCE names, by default ``../shared/reference`` beside the checkout.
"""

import ast
import inspect
import json
import os
from pathlib import Path
from typing import Any

import pytest

from alchemiscale_prefect import AlchemiscaleClient, NetworkStateEnum, ResultFormat

NOT_YET: frozenset[str] = frozenset()
"""Methods of alchemiscale's client that this one does not have yet. Whoever adds one takes it off this list."""

OURS = frozenset(
    {
        "close",
        "copy_network",
        "explain_task",
        "extend_network",
        "get_network_ancestors",
        "get_network_estimates",
        "get_network_progress",
        "get_network_strategy_proposal",
        "get_networks_details",
        "get_networks_task_restart_patterns",
        "get_scope_compute_share",
        "get_scope_grants",
        "get_task_history",
        "get_task_status_history",
        "get_task_tracebacks",
        "get_tasks_details",
        "get_tasks_progress",
        "grant_scope",
        "merge_networks",
        "merge_scopes",
        "revoke_scope",
        "set_tasks",
        "simulate_network_strategy",
        "watch",
    }
)
"""Methods of this client that alchemiscale's does not have."""

_DEFAULTS = {
    "NetworkStateEnum.active": NetworkStateEnum.active,
    "ResultFormat.PROTOCOL_RESULT": ResultFormat.PROTOCOL_RESULT,
}

FOLDER = Path(os.environ.get("ALCHEMISCALE_TEST_REFERENCE", Path(__file__).parents[2].parent / "shared" / "reference"))
FILE = FOLDER / "alchemiscale_client_signatures.json"


@pytest.fixture(scope="module")
def reference() -> dict[str, list[str]]:
    if not FILE.is_file():
        pytest.skip(f"{FILE} is not there; set ALCHEMISCALE_TEST_REFERENCE to the folder that has it")
    signatures: dict[str, list[str]] = json.loads(FILE.read_text())
    return signatures


def public_methods() -> set[str]:
    return {name for name, _ in inspect.getmembers(AlchemiscaleClient, callable) if not name.startswith("_")}


def parameters(method: Any) -> list[inspect.Parameter]:
    """Without ``self``, and without what can only be given by name, which this client may add."""
    found = list(inspect.signature(method).parameters.values())[1:]
    return [parameter for parameter in found if parameter.kind is not parameter.KEYWORD_ONLY]


def described(text: str) -> tuple[str, Any]:
    """``"count=1"`` as ``("count", 1)``; a parameter without default has `inspect.Parameter.empty`."""
    name, equals, default = text.partition("=")
    if not equals:
        return name, inspect.Parameter.empty
    return name, _DEFAULTS[default] if default in _DEFAULTS else ast.literal_eval(default)


def test_every_method_is_there_or_listed_as_missing(reference: dict[str, list[str]]) -> None:
    expected = set(reference) - {"__init__"}
    assert expected - public_methods() == NOT_YET


def test_a_method_that_is_there_is_not_listed_as_missing() -> None:
    assert public_methods() & NOT_YET == set()


def test_every_further_method_is_listed_as_ours(reference: dict[str, list[str]]) -> None:
    assert public_methods() - set(reference) == OURS


def test_signatures_are_alchemiscale_s(reference: dict[str, list[str]]) -> None:
    ours = {name: getattr(AlchemiscaleClient, name) for name in set(reference) - NOT_YET}
    assert {
        name: [(parameter.name, parameter.default) for parameter in parameters(method)] for name, method in ours.items()
    } == {name: [described(text) for text in reference[name]] for name in ours}


def test_what_is_only_ours_has_a_default() -> None:
    for name in public_methods() | {"__init__"}:
        for parameter in inspect.signature(getattr(AlchemiscaleClient, name)).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY:
                assert parameter.default is not parameter.empty, f"{name}({parameter})"


def test_every_parameter_can_be_given_by_its_name(reference: dict[str, list[str]]) -> None:
    for name in set(reference) - NOT_YET:
        for parameter in parameters(getattr(AlchemiscaleClient, name)):
            assert parameter.kind is parameter.POSITIONAL_OR_KEYWORD, f"{name}({parameter})"
