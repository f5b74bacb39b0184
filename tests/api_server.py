"""The API in a thread, for tests; and what they assert of its refusals."""

import threading
import time

import httpx
import uvicorn
from fastapi import FastAPI

from alchemiscale_prefect.domain.scopes import Scope

SECRET = "a secret that only this test server knows"
KEY = "a key that only this test user knows"
SCOPE = Scope("test_org", "test_campaign", "test_project")
FOREIGN = Scope("foreign_org", "test_campaign", "test_project")
MAX_BODY = 2_000_000


class Server(uvicorn.Server):
    """uvicorn in a thread, on a free port."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        super().__init__(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", ws="none"))
        self._thread = threading.Thread(target=self.run)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"

    def __enter__(self) -> "Server":
        self._thread.start()
        while not self.started:
            assert self._thread.is_alive()
            time.sleep(0.002)
        return self

    def __exit__(self, *_: object) -> None:
        self.should_exit = True
        self._thread.join()


def refused(answer: httpx.Response, status: int, code: str, field: str | None = None) -> str:
    """Assert that an answer refuses, and how; gives its detail."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"detail", "code", "field"}
    assert (body["code"], body["field"]) == (code, field), body
    assert isinstance(body["detail"], str)
    return body["detail"]


def refused_as_missing(answer: httpx.Response, key: str | None = None) -> bool:
    """Whether an answer says that something is not there, with alchemiscale's text: quoted, as str(KeyError) is.

    `key` is named by answers to what has several keys.
    """
    body = answer.json()
    text = "'No such object in database'" if key is None else f"'No such object in database: {key}'"
    return (answer.status_code, body["detail"], body["code"]) == (400, text, "not_found")
