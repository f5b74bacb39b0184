"""A Prefect server of our own, on SQLite."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.states import State

from alchemiscale_prefect.domain.attempts import AttemptId, Launch
from alchemiscale_prefect.orchestration.launcher import PrefectLauncher
from tests.ports import free_port
from tests.waiting import wait_for


@contextmanager
def prefect_server(folder: Path) -> Iterator[str]:
    """Its API's address; what it keeps is in `folder`."""
    port = free_port()
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            # without its background services, whose writes lock SQLite at any time
            [sys.executable, "-m", "prefect", "server", "start", "--no-services", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=_environment(folder),
        )
    url = f"http://127.0.0.1:{port}/api"
    try:
        wait_for(lambda: server.poll() is not None or _is_up(url), "the Prefect server", 120)
        assert server.poll() is None, log.read_text()
        yield url
    finally:
        server.terminate()
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _environment(folder: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {
        **inherited,
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder / 'prefect.db'}",
    }


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5, verify=False).is_success
    except httpx.HTTPError:
        return False


def move(client: SyncPrefectClient, flow_run: UUID, *states: State) -> None:
    """Set states of a flow run, one after the other."""
    for state in states:
        client.set_flow_run_state(flow_run, state)


def deploy_other(client: SyncPrefectClient, work_pool: str) -> str:
    """Another deployment on the work pool, as an operator may have there."""
    flow_id = client.create_flow_from_name("other")
    client.create_deployment(flow_id=flow_id, name="other", work_pool_name=work_pool, entrypoint="other.other")
    return "other/other"


def update_queue(client: SyncPrefectClient, queue: UUID, **changes: object) -> None:
    """Change a work queue."""
    client.request("PATCH", "/work_queues/{id}", path_params={"id": queue}, json=changes).raise_for_status()


def make_launches(count: int, n: int = 1) -> list[Launch]:
    """Of as many Tasks."""
    return [
        Launch(AttemptId(f"Task-{uuid4().hex}-org-campaign-project", n), ("alchemiscale", "scope:x"))
        for _ in range(count)
    ]


def launch_one(launcher: PrefectLauncher) -> UUID:
    """The flow run that it launches."""
    (launched,) = launcher.launch(make_launches(1))
    assert launched.flow_run_id is not None
    return launched.flow_run_id
