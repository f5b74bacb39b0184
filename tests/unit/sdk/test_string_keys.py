"""Wherever a method takes a ScopedKey its string will do too, as it was read from a file: white space and all."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, ScopedKey
from tests.strategies import EvenSettings, EvenStrategy
from tests.unit.sdk.conftest import Answer, ScriptedServer
from tests.unit.sdk.names import EDGE, NETWORK, SCOPE, SYSTEM, A, B

KEYS: dict[str, ScopedKey | Sequence[ScopedKey]] = {
    "chemicalsystem": SYSTEM,
    "extends": A,
    "network": NETWORK,
    "network_scoped_key": NETWORK,
    "networks": [NETWORK],
    "scoped_key": EDGE,
    "task": A,
    "tasks": [A, B],
    "transformation": EDGE,
    "transformations": [EDGE, EDGE],
}
"""Parameters that are ScopedKeys, by name."""

OTHERS: dict[str, Any] = {
    "max_retries": 3,
    "name": "a name",
    "num_allowed_restarts": 3,
    "patterns": ["RuntimeError"],
    "priority": 3,
    "scope": SCOPE,
    "state": "inactive",
    "states": ["inactive"],
    "status": "waiting",
    "strategy": None,
    "weight": 0.25,
    "weights": [0.25],
}

OBJECTS = frozenset({"create_network", "extend_network"})
"""Here `network`, or `transformations`, are gufe's objects."""


def with_keys() -> Iterator[str]:
    """The public methods that take ScopedKeys."""
    for name, method in inspect.getmembers(AlchemiscaleClient, callable):
        if not name.startswith("_") and name not in OBJECTS and set(inspect.signature(method).parameters) & set(KEYS):
            yield name


def text(value: Any) -> Any:
    """The keys as strings."""
    return [text(key) for key in value] if isinstance(value, list) else f"{value}\n"


def arguments(name: str, as_text: bool) -> dict[str, Any]:
    parameters = list(inspect.signature(getattr(AlchemiscaleClient, name)).parameters.values())[1:]
    keys = {p.name: KEYS[p.name] for p in parameters if p.name in KEYS}
    if name == "create_transformations_tasks":
        keys["extends"] = [A, B]
    rest = {p.name: OTHERS[p.name] for p in parameters if p.default is p.empty and p.name not in KEYS}
    if name == "simulate_network_strategy":
        rest["strategy"] = EvenStrategy(EvenSettings())
    return {**rest, **({key: text(value) for key, value in keys.items()} if as_text else keys)}


@pytest.mark.parametrize("name", list(with_keys()))
def test_a_string_is_as_good_as_a_scoped_key(client: AlchemiscaleClient, server: ScriptedServer, name: str) -> None:
    for as_text in (False, True):
        # the first request says all; what is made of its answer is tested elsewhere
        server.answers = [Answer(400, {"detail": "enough"})]
        with suppress(AlchemiscaleClientError):
            getattr(client, name)(**arguments(name, as_text))
    by_key, by_text = server.sent()
    assert by_key == by_text
    assert any(
        str(key) in f"{by_key[1]}{by_key[2]}" or key.gufe_key in str(by_key[2]) for key in (NETWORK, EDGE, SYSTEM, A)
    )


def test_there_are_as_many_methods_as_there_should_be() -> None:
    # of alchemiscale's 63, those without keys: scopes, queries, creation of a network
    assert len(list(with_keys())) >= 52
