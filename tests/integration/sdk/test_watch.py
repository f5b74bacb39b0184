"""`watch`, on networks that get on, that fail, and over an API that goes away."""

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, AlchemiscaleConnectionError, ScopedKey
from alchemiscale_prefect.api.app import create_app
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.settings import ApiSettings
from alchemiscale_prefect.store.database import Database
from tests.api_server import Server
from tests.integration.sdk.conftest import KEY, USER
from tests.ports import free_port
from tests.waiting import wait_for

QUICK = 0.02
Meanwhile = Callable[[Callable[[], object]], None]


@pytest.fixture
def actioned(client: AlchemiscaleClient, network_key: ScopedKey) -> list[ScopedKey]:
    tasks = client.create_tasks(client.get_network_transformations(network_key)[0], count=3)
    client.action_tasks(tasks[:2], network_key)
    return tasks


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Has something done the first time that a watch sleeps."""

    def arranged(action: Callable[[], object]) -> None:
        todo = [action]
        sleep = time.sleep

        def slept(seconds: float) -> None:
            if todo:
                todo.pop()()
            sleep(min(seconds, QUICK))

        monkeypatch.setattr("alchemiscale_prefect.sdk.watch.time", SimpleNamespace(sleep=slept))

    return arranged


def ctrl_c() -> None:
    """What Python does with it; whoever runs the tests in the background may have the signal itself ignored."""
    raise KeyboardInterrupt


def messages(output: str) -> list[str]:
    """What the lines of a log say."""
    return [line.split(": ", 1)[1] for line in output.splitlines()]


def test_watch_returns_when_nothing_is_left(
    client: AlchemiscaleClient,
    network_key: ScopedKey,
    actioned: list[ScopedKey],
    work: Callable[[], int],
    meanwhile: Meanwhile,
    capsys: pytest.CaptureFixture[str],
) -> None:
    meanwhile(work)
    # the third Task waits, and nobody wants it run
    assert client.watch(network_key, interval_seconds=QUICK) == {"complete": 2, "waiting": 1}
    said = messages(capsys.readouterr().out)
    assert said[0] == "3 waiting; nothing runs: waiting for a worker"
    assert said[-1].startswith("2 complete, 1 waiting; ")
    assert said[-1].endswith("nothing left to run")
    assert client.watch(str(network_key)) == {"complete": 2, "waiting": 1}


def test_ctrl_c_leaves_a_watch_with_what_it_saw_last(
    client: AlchemiscaleClient, network_key: ScopedKey, actioned: list[ScopedKey], meanwhile: Meanwhile
) -> None:
    meanwhile(ctrl_c)
    assert client.watch(network_key, interval_seconds=30) == {"waiting": 3}


def test_a_watch_can_go_on_when_all_is_done(
    client: AlchemiscaleClient, network_key: ScopedKey, meanwhile: Meanwhile
) -> None:
    meanwhile(ctrl_c)
    assert client.watch(network_key, interval_seconds=QUICK, until_done=False) == {}


def test_what_is_asked_wrongly_is_said_at_once(
    client: AlchemiscaleClient, network_key: ScopedKey, transformation_key: ScopedKey
) -> None:
    with pytest.raises(AlchemiscaleClientError, match="'No such object in database'"):
        client.watch(str(network_key).replace("-", "-0", 1))
    for seconds in (0, -1, float("nan")):
        with pytest.raises(InvalidInput, match="`interval_seconds`"):
            client.watch(network_key, interval_seconds=seconds)
    with (
        AlchemiscaleClient("http://127.0.0.1:9", "user", "key", use_local_cache=False, max_retries=0) as nowhere,
        pytest.raises(AlchemiscaleConnectionError),
    ):
        nowhere.watch(network_key)


def test_a_watch_outlives_the_api(system: System, network_key: ScopedKey, capsys: pytest.CaptureFixture[str]) -> None:
    """The API goes away and comes back at the same address; meanwhile a Task is taken off."""
    first = Server(create_app(_own(system)))
    # not one that an outgoing connection may take while nobody listens there
    first.config.port = free_port()
    with first:
        url = first.url
        client = AlchemiscaleClient(url, USER, KEY, use_local_cache=False, max_retries=0)
        (task,) = client.create_tasks(client.get_network_transformations(network_key)[0])
        client.action_tasks([task], network_key)
        seen: list[dict[str, int]] = []
        watching = threading.Thread(
            target=lambda: seen.append(client.watch(network_key, interval_seconds=QUICK)), daemon=True
        )
        watching.start()
        wait_for(lambda: "waiting for a worker" in capsys.readouterr().out, "a first line", every=0.05)
    wait_for(lambda: "No answer from" in capsys.readouterr().out, "a line about the API", every=0.05)
    assert watching.is_alive()
    second = Server(create_app(_own(system)))
    second.config.port = first.config.port
    with second:
        client.cancel_tasks([task], network_key)
        watching.join(timeout=120)
        assert seen == [{"waiting": 1}]
    client.close()


def _own(system: System) -> System:
    # an app closes its system when it shuts down
    url = system.database.engine.url.render_as_string(hide_password=False)
    return System(Database(url), system.objects, ApiSettings(jwt_secret=system.api.jwt_secret))
