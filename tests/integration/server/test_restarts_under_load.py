"""Many clients at once, and an API that is stopped and killed meanwhile: nothing told is lost, nothing made twice.

``ALCHEMISCALE_TEST_SOAK_SECONDS=60`` gives the long form, with fifty clients.
"""

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from alchemiscale_prefect import ScopedKey
from alchemiscale_prefect.sdk.retries import RetryPolicy
from alchemiscale_prefect.store.database import Database
from tests.integration.server.load import User, make_users, noted, stored
from tests.ports import free_port
from tests.waiting import wait_for

SOAK_SECONDS = float(os.environ.get("ALCHEMISCALE_TEST_SOAK_SECONDS", "0"))
CLIENTS = 50 if SOAK_SECONDS else 8
CALLS = 5 * CLIENTS  # at least so many between two restarts, however slow the machine
DOWN_SECONDS = 0.5


class ApiProcess:
    """The API as an operator runs it, always at the same address."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment, self._log = environment, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "alchemiscale_prefect", "api", "--port", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--log-level", "warning"], env={**os.environ, **self._environment}, stdout=log, stderr=log
            )
        wait_for(self._answers, "the API to answer", every=0.05)

    def stop(self, with_signal: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(with_signal)
        self._process.wait(timeout=120)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        try:
            return httpx.get(f"{self.url}/ping", trust_env=False, verify=False).is_success
        except httpx.TransportError:
            return False


@pytest.fixture
def api(database_url: str, tmp_path: Path) -> Iterator[ApiProcess]:
    environment = {
        "ALCHEMISCALE_DATABASE_URL": database_url,
        "ALCHEMISCALE_OBJECT_STORE": str(tmp_path / "objects"),
        "ALCHEMISCALE_JWT_SECRET": secrets.token_hex(32),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    process = ApiProcess(environment, tmp_path / "api.log")
    process.start()
    yield process
    process.stop(signal.SIGTERM)


@pytest.fixture
def users(api: ApiProcess, database: Database, submit: Callable[..., ScopedKey]) -> Iterator[list[User]]:
    made = make_users(
        api.url, database, submit, CLIENTS, RetryPolicy(max_retries=100, base_seconds=1.2, max_seconds=1.0)
    )
    yield made
    for user in made:
        user.client.close()


def test_nothing_is_lost_nothing_is_doubled_and_retries_heal_every_error(
    api: ApiProcess, users: list[User], database: Database
) -> None:
    begin = time.monotonic()
    enough = threading.Event()
    threads = [threading.Thread(target=user.work, args=(enough.is_set,), daemon=True) for user in users]
    for thread in threads:
        thread.start()
    for with_signal in (signal.SIGTERM, signal.SIGKILL):
        _let_them_work(users)
        api.stop(with_signal)
        time.sleep(DOWN_SECONDS)
        api.start()
    _let_them_work(users)
    enough.set()
    for thread in threads:
        thread.join()

    seconds = time.monotonic() - begin
    calls, retried, tasks = (
        sum(numbers) for numbers in zip(*((u.calls, u.retried, len(u.tasks)) for u in users), strict=True)
    )
    print(f"\n{CLIENTS} clients, {seconds:.0f} s: {calls} calls, {retried} retries, {tasks} Tasks")
    assert [fault for user in users for fault in user.faults] == []
    assert retried > 0
    assert stored(database) == noted(users)


def _let_them_work(users: list[User]) -> None:
    until = sum(user.calls for user in users) + CALLS
    time.sleep(SOAK_SECONDS / 3)
    wait_for(
        lambda: sum(user.calls for user in users) >= until or any(user.faults for user in users), "calls", every=0.02
    )
