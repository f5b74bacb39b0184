"""A request that makes something and is sent again, since its answer was lost, makes it once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from alchemiscale_prefect.domain.access import IdentityKind
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.store.queries import tasks
from alchemiscale_prefect.wire.headers import IDEMPOTENCY_KEY
from tests.api_server import SCOPE, refused
from tests.chains import keys_of, network_chain

CREATE = "/bulk/transformations/tasks/create"


@pytest.fixture
def transformations(submit: Callable[..., ScopedKey]) -> list[str]:
    chain = network_chain()
    submit(chain)
    return [f"{key}-{SCOPE}" for key in keys_of(chain, "Transformation", "NonTransformation")]


@pytest.fixture
def other(log_in: Callable[..., httpx.Client]) -> httpx.Client:
    """Of somebody else, in the same scope."""
    return log_in("somebody_else", [SCOPE], IdentityKind.user)


def create(client: httpx.Client, request: str | None, transformations: list[str], **body: object) -> httpx.Response:
    headers = {} if request is None else {IDEMPOTENCY_KEY: request}
    return client.post(CREATE, json={"transformations": transformations, **body}, headers=headers)


def tasks_of(client: httpx.Client) -> list[str]:
    found: list[str] = client.get("/tasks").json()
    return found


def test_the_same_request_makes_its_tasks_once(client: httpx.Client, transformations: list[str]) -> None:
    asked = [transformations[0], transformations[1], transformations[0]]
    first = create(client, "one", asked).json()
    assert len(set(first)) == 3
    assert [client.get(f"/tasks/{task}/transformation").json() for task in first] == asked
    assert create(client, "one", asked).json() == first
    assert set(tasks_of(client)) == set(first)
    second = create(client, "two", asked).json()
    assert set(tasks_of(client)) == {*first, *second}
    assert len(tasks_of(client)) == 6


def test_a_request_without_a_name_is_another_each_time(client: httpx.Client, transformations: list[str]) -> None:
    for _ in range(2):
        create(client, None, transformations[:1])
    assert len(tasks_of(client)) == 2


def test_it_goes_for_one_transformation_too(client: httpx.Client, transformations: list[str]) -> None:
    def make() -> list[str]:
        headers = {IDEMPOTENCY_KEY: "one"}
        path = f"/transformations/{transformations[0]}/tasks"
        made: list[str] = client.post(path, json={"count": 3, "extends": None}, headers=headers).json()
        return made

    assert make() == make()
    assert len(tasks_of(client)) == 3


def test_it_is_answered_as_before_whatever_became_of_the_tasks(
    client: httpx.Client, transformations: list[str]
) -> None:
    parent = create(client, "parent", transformations[:1]).json()
    children = create(client, "children", transformations[:1], extends=parent).json()
    for task in (*parent, *children):
        client.post(f"/tasks/{task}/status", json="deleted")
    # made anew, they could not extend a deleted Task
    assert create(client, "children", transformations[:1], extends=parent).json() == children


@pytest.mark.parametrize("change", ["fewer", "more", "others", "extending"])
def test_the_name_of_another_request_is_refused(client: httpx.Client, transformations: list[str], change: str) -> None:
    parent = create(client, None, transformations[:1]).json()
    create(client, "one", transformations[:1] * 2)
    asked = {"fewer": transformations[:1], "more": transformations[:1] * 3, "others": transformations[:2]}
    extends = parent * 2 if change == "extending" else None
    answer = create(client, "one", asked.get(change, transformations[:1] * 2), extends=extends)
    refused(answer, 409, "conflict", IDEMPOTENCY_KEY)
    assert len(tasks_of(client)) == 3


def test_names_are_each_identity_s_own(client: httpx.Client, other: httpx.Client, transformations: list[str]) -> None:
    assert create(client, "one", transformations).json() != create(other, "one", transformations).json()
    assert len(tasks_of(client)) == 2 * len(transformations)


def test_the_same_request_from_many_threads_makes_its_tasks_once(
    client: httpx.Client, transformations: list[str]
) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: create(client, "one", transformations * 20).json(), range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert set(tasks_of(client)) == set(answers[0])
    assert len(answers[0]) == 20 * len(transformations)


@pytest.mark.parametrize("already", [1, 3, 4])
def test_the_name_of_another_request_that_was_under_way_is_refused(
    client: httpx.Client, transformations: list[str], already: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(client, "one", transformations[:1] * already)
    # as if the first one were committed just after the second one has looked for it
    look, first = tasks.created, iter([True])
    monkeypatch.setattr(tasks, "created", lambda *arguments: [] if next(first, False) else look(*arguments))
    answer = create(client, "one", transformations[:1] * 2)
    refused(answer, 409, "conflict", IDEMPOTENCY_KEY)
    assert len(tasks_of(client)) == already


@pytest.mark.parametrize("name", ["", "n" * 201])
def test_a_name_of_unreasonable_length_is_refused(client: httpx.Client, transformations: list[str], name: str) -> None:
    assert create(client, name, transformations).status_code == 422
    assert tasks_of(client) == []
