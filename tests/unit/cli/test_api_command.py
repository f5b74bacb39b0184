"""``alchemiscale-prefect api``: whose word it takes for a client's address, and what it says of its database."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from structlog.testing import capture_logs
from typer.testing import CliRunner
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from alchemiscale_prefect import cli

CLIENT, PROXY, STRANGER = "203.0.113.7", "192.0.2.1", "198.51.100.2"


@pytest.fixture
def address_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The client's address as the server sees it, for a request that somebody passes on."""
    monkeypatch.setenv("ALCHEMISCALE_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    monkeypatch.setenv("ALCHEMISCALE_OBJECT_STORE", str(tmp_path))
    monkeypatch.setenv("ALCHEMISCALE_JWT_SECRET", "x" * 32)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # uvicorn's own; ours alone counts
    monkeypatch.setattr("alchemiscale_prefect.bootstrap.configure_logs", lambda: None)
    given: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda app, **named: given.update(named))

    def seen(sender: str, forwarded: str) -> str:
        done = CliRunner().invoke(cli.build(), ["api"])
        assert done.exit_code == 0, done.output
        scopes: list[Any] = []

        async def app(scope: Any, _receive: Any, _send: Any) -> None:
            scopes.append(scope)

        wrapped: Any = ProxyHeadersMiddleware(app, given["forwarded_allow_ips"]) if given["proxy_headers"] else app
        headers = [(b"x-forwarded-for", forwarded.encode())]
        asyncio.run(wrapped({"type": "http", "client": (sender, 1), "headers": headers, "scheme": "http"}, None, None))
        return str(scopes[0]["client"][0])

    return seen


def test_without_a_trusted_proxy_nobody_is_believed(address_seen: Any) -> None:
    assert address_seen(STRANGER, CLIENT) == STRANGER
    assert address_seen("127.0.0.1", CLIENT) == "127.0.0.1"


def test_a_trusted_proxy_is_believed_and_nobody_else(address_seen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALCHEMISCALE_TRUSTED_PROXIES", f"{PROXY}, 10.0.0.0/8")
    assert address_seen(PROXY, CLIENT) == CLIENT
    assert address_seen("10.1.2.3", CLIENT) == CLIENT
    assert address_seen(STRANGER, CLIENT) == STRANGER
    # what a client says of itself stands before what the proxy adds
    assert address_seen(PROXY, f"192.0.2.99, {CLIENT}") == CLIENT


def test_a_database_that_cannot_be_used_is_told_of_at_once(address_seen: Any) -> None:
    with capture_logs() as told:
        address_seen(STRANGER, CLIENT)
    (line,) = [line for line in told if line["event"] == "database_unfit"]
    assert (line["log_level"], line["what"]) == ("warning", "database")
    assert "onnection refused" in line["why"]
    assert "ALCHEMISCALE_DATABASE_URL" in line["fix"]
