"""Restart patterns on the wire: alchemiscale's bodies, and what is none."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.restarts import MAX_PATTERN

Submit = Callable[..., ScopedKey]


@pytest.fixture
def path(submit: Submit) -> str:
    return f"/networks/{submit()}/restartpatterns"


def patterns_of(client: httpx.Client, *paths: str) -> dict[str, Any]:
    networks = [path.split("/")[2] for path in paths]
    found: dict[str, Any] = client.post("/bulk/networks/restartpatterns/get", json={"networks": networks}).json()
    return found


def test_bodies_and_answers_are_alchemiscale_s(client: httpx.Client, path: str) -> None:
    network = path.split("/")[2]
    added = client.post(f"{path}/add", json={"patterns": ["b", "a", "b"], "num_allowed_restarts": 3})
    assert (added.status_code, added.json()) == (200, None)
    assert patterns_of(client, path, path) == {network: [["b", 3], ["a", 3]]}
    changed = client.post(f"{path}/maxretries", json={"patterns": ["a"], "max_retries": 5})
    assert (changed.status_code, changed.json()) == (200, None)
    assert patterns_of(client, path) == {network: [["b", 3], ["a", 5]]}
    removed = client.post(f"{path}/remove", json={"patterns": ["b"]})
    assert (removed.status_code, removed.json()) == (200, None)
    assert patterns_of(client, path) == {network: [["a", 5]]}
    assert client.get(f"{path}/clear").json() == [network]
    assert patterns_of(client, path) == {network: []}


@pytest.mark.parametrize(
    ("route", "body", "status", "field"),
    [
        ("add", {"patterns": ["a", ""], "num_allowed_restarts": 1}, 400, "patterns"),
        ("add", {"patterns": ["("], "num_allowed_restarts": 1}, 400, "patterns"),
        ("add", {"patterns": ["a\0"], "num_allowed_restarts": 1}, 400, "patterns"),
        ("add", {"patterns": ["\ud800"], "num_allowed_restarts": 1}, 400, "patterns"),
        ("add", {"patterns": ["\U0001f4a5" * (MAX_PATTERN + 1)], "num_allowed_restarts": 1}, 400, "patterns"),
        ("add", {"patterns": ["a"], "num_allowed_restarts": 0}, 400, "num_allowed_restarts"),
        ("add", {"patterns": ["a"], "num_allowed_restarts": 2**31}, 400, "num_allowed_restarts"),
        ("add", {"patterns": ["a"], "num_allowed_restarts": "many"}, 422, "num_allowed_restarts"),
        ("add", {"patterns": "a", "num_allowed_restarts": 1}, 422, "patterns"),
        ("add", {"patterns": [1], "num_allowed_restarts": 1}, 422, "patterns"),
        ("add", {"num_allowed_restarts": 1}, 422, "patterns"),
        ("maxretries", {"patterns": ["kept"], "max_retries": 0}, 400, "max_retries"),
        ("maxretries", {"patterns": ["kept"]}, 422, "max_retries"),
        ("remove", {"patterns": "kept"}, 422, "patterns"),
    ],
)
def test_a_body_that_is_wrong_is_refused_by_field_and_changes_nothing(
    client: httpx.Client, path: str, route: str, body: dict[str, Any], status: int, field: str
) -> None:
    client.post(f"{path}/add", json={"patterns": ["kept"], "num_allowed_restarts": 3})
    # as ASCII: half a surrogate pair cannot be sent otherwise
    answer = client.post(f"{path}/{route}", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert list(patterns_of(client, path).values()) == [[["kept", 3]]]


def test_a_pattern_as_long_as_may_be(client: httpx.Client, path: str) -> None:
    long = "\U0001f4a5" * MAX_PATTERN
    assert client.post(f"{path}/add", json={"patterns": [long], "num_allowed_restarts": 1}).status_code == 200
    assert list(patterns_of(client, path).values()) == [[[long, 1]]]
