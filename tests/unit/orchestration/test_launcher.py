"""What the launcher remembers, and a Prefect that is away; the rest of it is tested on a real Prefect server."""

import json
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from alchemiscale_prefect.domain.attempts import AttemptId, Capacity, Fate, Launch, RunState
from alchemiscale_prefect.domain.errors import Unavailable
from alchemiscale_prefect.orchestration import launcher as launcher_module
from alchemiscale_prefect.orchestration.launcher import PrefectLauncher
from alchemiscale_prefect.orchestration.reach import impatient

NOBODY = "http://127.0.0.1:1/api"


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> PrefectLauncher:
    """A launcher whose Prefect server gives these answers."""

    def asked(request: httpx.Request) -> httpx.Response:
        # so a server says that it wants no CSRF token
        unwanted = httpx.Response(422, text="CSRF protection is disabled.")
        return unwanted if "csrf-token" in request.url.path else answer(request)

    settings: dict[str, Any] = {"transport": httpx.MockTransport(asked)}
    return PrefectLauncher("run-task/pool", SyncPrefectClient(NOBODY, httpx_settings=settings))


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
    settings = {PREFECT_API_URL: NOBODY, PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(settings), pytest.raises(Unavailable, match=f"Prefect at {NOBODY}"):
        PrefectLauncher("run-task/pool", SyncPrefectClient(NOBODY)).cancel([uuid.uuid4()])


def test_a_dispatcher_does_not_wait_long_for_a_prefect_that_is_away() -> None:
    asked: list[float] = []

    def away(request: httpx.Request) -> httpx.Response:
        asked.append(request.extensions["timeout"]["read"])
        return httpx.Response(503, headers={"Retry-After": "0"})

    with impatient(), pytest.raises(Unavailable, match="503"):
        answering(away).states([uuid.uuid4()])
    assert asked == [30.0] * 2
    # whoever set it otherwise has it so
    asked.clear()
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 2}), impatient(), pytest.raises(Unavailable):
        answering(away).states([uuid.uuid4()])
    assert len(asked) == 3


def test_what_was_made_before_prefect_went_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher_module, "CREATE_SIZE", 2)
    calls: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(len(json.loads(request.content)))
        made = [{"status": "CREATED", "flow_run_id": str(uuid.uuid4()), "error": None}] * 2
        return httpx.Response(200, json={"results": made}) if len(calls) == 1 else httpx.Response(500)

    launcher = answering(answer)
    found = SimpleNamespace(id=uuid.uuid4())
    monkeypatch.setattr(launcher.client, "read_deployment_by_name", lambda _: found)
    launches = [Launch(AttemptId(f"Task-{n}-org-campaign-project", 1), ()) for n in range(6)]
    answers = launcher.launch(launches)
    assert [item.attempt for item in answers] == [launch.attempt for launch in launches]
    assert [item.flow_run_id is None for item in answers] == [False, False, True, True, True, True]
    assert answers[-1].error is not None
    assert calls == [2, 2]
    with pytest.raises(Unavailable):
        launcher.launch(launches)


def test_an_answer_that_is_none_is_as_good_as_no_answer() -> None:
    # a proxy's page in place of the server's answer
    maintenance = answering(lambda _: httpx.Response(200, text="<html>we are back soon</html>"))
    with pytest.raises(Unavailable):
        maintenance.states([uuid.uuid4()])
    with pytest.raises(Unavailable):
        maintenance.capacity()


def test_that_a_run_ended_is_known_though_its_logs_are_not() -> None:
    run = uuid.uuid4()
    gone = {
        "id": str(run),
        "state_type": "CRASHED",
        "state": {"message": "No active or succeeded pods found for any job"},
    }

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500) if "logs" in request.url.path else httpx.Response(200, json=[gone])

    (end,) = answering(answer).ends([run]).values()
    assert end.fate is Fate.lost
    assert end.reason.startswith("its host or its pod failed")


def test_a_client_that_failed_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    # what stood before a server that was just starting said 404 for all; Prefect's client never asks for a token again
    tokens = iter([httpx.Response(404)])
    token = {"token": "secret", "client": "me", "expiration": "2999-01-01T00:00:00Z"}

    def answer(request: httpx.Request) -> httpx.Response:
        if "csrf-token" in request.url.path:
            return next(tokens, httpx.Response(200, json=token))
        return httpx.Response(200, json=[]) if "Prefect-Csrf-Token" in request.headers else httpx.Response(403)

    def get_client(*, sync_client: bool) -> SyncPrefectClient:
        assert sync_client
        return SyncPrefectClient(NOBODY, httpx_settings={"transport": httpx.MockTransport(answer)})

    monkeypatch.setattr(launcher_module, "get_client", get_client)
    launcher = PrefectLauncher("run-task/pool")
    with pytest.raises(Unavailable, match="403"):
        launcher.states([uuid.uuid4()])
    assert list(launcher.states([uuid.uuid4()]).values()) == [RunState.missing]
    launcher.close()
