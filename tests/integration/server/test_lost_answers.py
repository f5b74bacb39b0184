"""Answers that are lost on their way, often: what was asked for is there, once."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from alchemiscale_prefect import ScopedKey
from alchemiscale_prefect.api.app import create_app
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.sdk.retries import RetryPolicy
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.wire import paths
from tests.api_server import Server
from tests.integration.server.load import User, make_users, noted, stored

LOST = 50


class Lossy:
    """Every third time it does what a POST asks for, and closes the connection instead of saying so.

    Parameters
    ----------
    lost
        The paths of these are added to it.
    """

    def __init__(self, app: Any, lost: list[str]) -> None:
        self._app = app
        self._posts = itertools.count(1)
        self._lost = lost

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_post = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] != paths.TOKEN
        if not is_post or next(self._posts) % 3:
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, _unheard)
            self._lost.append(scope["path"])
            # uvicorn closes the connection of an answer that ends too early
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})


async def _unheard(message: Any) -> None:
    pass


@pytest.fixture
def lost() -> list[str]:
    """The paths of the requests whose answers were lost."""
    return []


@pytest.fixture
def users(
    system: System, lost: list[str], database: Database, submit: Callable[..., ScopedKey]
) -> Iterator[list[User]]:
    app = create_app(system)
    app.add_middleware(Lossy, lost=lost)
    with Server(app) as server:
        policy = RetryPolicy(max_retries=20, base_seconds=1.01, max_seconds=0.01)
        made = make_users(server.url, database, submit, 4, policy)
        yield made
        for user in made:
            user.client.close()


def test_nothing_is_lost_and_nothing_is_doubled(lost: list[str], users: list[User], database: Database) -> None:
    def work(user: User) -> None:
        # how many requests a call makes depends on what there is to do: what counts is what was lost
        user.work(lambda: len(lost) >= LOST)

    with ThreadPoolExecutor(len(users)) as pool:
        list(pool.map(work, users))
    assert [fault for user in users for fault in user.faults] == []
    assert sum(user.retried for user in users) >= len(lost) >= LOST
    assert stored(database) == noted(users)
