"""What the launcher remembers, and a Prefect that is away; the rest of it is tested on a real Prefect server."""

import uuid

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from alchemiscale_prefect.domain.attempts import Capacity
from alchemiscale_prefect.domain.errors import Unavailable
from alchemiscale_prefect.orchestration import launcher as launcher_module
from alchemiscale_prefect.orchestration.launcher import PrefectLauncher


def test_prefect_is_asked_for_its_capacity_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def read(_client: SyncPrefectClient, deployment: str) -> Capacity:
        asked.append(deployment)
        return Capacity(slots=len(asked))

    monkeypatch.setattr(launcher_module, "read_capacity", read)
    launcher = PrefectLauncher("run-task/pool", SyncPrefectClient("http://127.0.0.1:1/api"))
    assert [launcher.capacity() for _ in range(3)] == [Capacity(slots=1)] * 3
    monkeypatch.setattr(launcher_module, "CAPACITY_SECONDS", -1.0)
    assert launcher.capacity() == Capacity(slots=2)
    assert asked == ["run-task/pool"] * 2


def test_a_prefect_that_is_away_is_unavailable() -> None:
    nobody = "http://127.0.0.1:1/api"
    settings = {PREFECT_API_URL: nobody, PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(settings), pytest.raises(Unavailable, match=f"Prefect at {nobody}"):
        PrefectLauncher("run-task/pool", SyncPrefectClient(nobody)).cancel([uuid.uuid4()])
