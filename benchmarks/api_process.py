"""A real API server in a process of its own, on an embedded Postgres, for as long as a benchmark needs it."""

import os
import pickle
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import identities
from alchemiscale_prefect.store import schema
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.embedded import EmbeddedPostgres
from alchemiscale_prefect.wire import paths
from benchmarks.bare_api import EMPTY

START_SECONDS = 60.0


@dataclass(frozen=True)
class ApiProcess:
    """Where the server is, who may use it, and where its database is."""

    url: str
    identifier: str
    key: str
    database_url: str


@contextmanager
def api_process() -> Iterator[ApiProcess]:
    """Start the server; it and its Postgres are gone afterwards."""
    # short: a Unix socket lies in it
    with tempfile.TemporaryDirectory(prefix="alch-bench-") as name:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder / "postgres")
        try:
            database_url = postgres.start()
            server = ApiProcess(f"http://127.0.0.1:{_free_port()}", "benchmark", secrets.token_hex(16), database_url)
            _prepare(server)
            with _running(server, folder):
                yield server
        finally:
            postgres.stop()


def _prepare(server: ApiProcess) -> None:
    database = Database(server.database_url)
    schema.upgrade(database)
    identities.create(database, Principal.operating(), IdentityKind.user, server.identifier, server.key, [Scope()])
    database.close()


@contextmanager
def bare_process(server: ApiProcess, recorded: dict[str, Any]) -> Iterator[httpx.Client]:
    """`benchmarks.bare_api` on the same Postgres, and a client of it."""
    with tempfile.TemporaryDirectory(prefix="alch-bench-") as folder:
        file = Path(folder) / "recorded"
        file.write_bytes(pickle.dumps(recorded))
        url = f"http://127.0.0.1:{_free_port()}"
        database_url = server.database_url.replace("+psycopg", "")
        command = [sys.executable, "-m", "benchmarks.bare_api", url.rpartition(":")[2], database_url, str(file)]
        process = subprocess.Popen(command)
        try:
            _wait_until_up(url + EMPTY, process)
            with httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client:
                yield client
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def _running(server: ApiProcess, folder: Path) -> Iterator[None]:
    port = server.url.rpartition(":")[2]
    command = [sys.executable, "-c", "from alchemiscale_prefect.cli import main; main()"]
    environment = {
        **os.environ,
        "ALCHEMISCALE_DATABASE_URL": server.database_url,
        "ALCHEMISCALE_OBJECT_STORE": str(folder / "objects"),
        "ALCHEMISCALE_JWT_SECRET": secrets.token_hex(32),
    }
    process = subprocess.Popen([*command, "api", "--port", port, "--log-level", "warning"], env=environment)
    try:
        _wait_until_up(server.url + paths.PING, process)
        yield
    finally:
        process.terminate()
        process.wait(20)


def _wait_until_up(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        if process.poll() is not None:
            raise RuntimeError(f"the API server ended with {process.returncode}")
        try:
            httpx.get(url, timeout=5.0).raise_for_status()
        except httpx.TransportError as error:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the API server did not come up within {START_SECONDS:.0f} s") from error
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
