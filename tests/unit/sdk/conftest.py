"""A real HTTP server on this machine that answers as a test scripts it."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from alchemiscale_prefect.sdk.client import AlchemiscaleClient
from alchemiscale_prefect.sdk.retries import RetryPolicy
from alchemiscale_prefect.sdk.transport import Transport


@dataclass(frozen=True)
class Answer:
    """What the server does with one request: wait, then drop the connection or answer."""

    status: int = 200
    body: Any = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    drop: bool = False


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def document(self) -> Any:
        """The JSON body, decompressed; ``None`` if there is none."""
        body = gzip.decompress(self.body) if self.headers.get("Content-Encoding") == "gzip" else self.body
        return json.loads(body) if body else None


class ScriptedServer:
    """Gives `answers` in turn, then success; logins are counted apart, and `valid_token` is what it accepts."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.login_answers: list[Answer] = []
        self.received: list[Received] = []
        self.logins = 0
        self.valid_token: str | None = None
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def expire_token(self) -> None:
        """From now on only a token from a later login is good."""
        self.valid_token = f"token-{self.logins + 1}"

    def sent(self) -> list[tuple[str, str, Any]]:
        """Method, path and decoded body of each request so far."""
        return [(request.method, request.path, request.document()) for request in self.received]

    def next_answer(self, request: Received) -> Answer:
        with self._lock:
            if request.path.endswith("/token"):
                self.logins += 1
                scripted = self.login_answers.pop(0) if self.login_answers else None
                return scripted or Answer(body={"access_token": f"token-{self.logins}", "token_type": "bearer"})
            self.received.append(request)
            if self.valid_token and request.headers.get("Authorization") != f"Bearer {self.valid_token}":
                return Answer(401, {"detail": "Could not validate credentials", "code": "not_authenticated"})
            return self.answers.pop(0) if self.answers else Answer()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = server.next_answer(Received(self.command, self.path, dict(self.headers), body))
                time.sleep(answer.delay_seconds)
                if answer.drop:
                    self.close_connection = True
                    return
                content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                try:
                    self.send_response(answer.status)
                    for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

            def log_message(self, *args: object) -> None:
                pass

        return Handler


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.stop()


QUICK = RetryPolicy(max_retries=3, base_seconds=1.01, max_seconds=0.02)
"""Retries that do not make a test wait."""


@pytest.fixture
def transport(server: ScriptedServer) -> Iterator[Transport]:
    transport = Transport(server.url, "me", "secret", retry=QUICK)
    yield transport
    transport.close()


@pytest.fixture
def client(server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AlchemiscaleClient]:
    for variable in ("ALCHEMISCALE_URL", "ALCHEMISCALE_ID", "ALCHEMISCALE_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ALCHEMISCALE_ALLOWED_MODULES", "tests")
    with AlchemiscaleClient(server.url, "me", "secret", cache_directory=tmp_path, max_retries=0) as client:
        yield client
