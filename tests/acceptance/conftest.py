"""The whole system, as `up` starts it: real Postgres, Prefect server, API, dispatchers and worker."""

import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from alchemiscale_prefect.local.layout import Layout, StackConfig
from alchemiscale_prefect.local.processes import tail
from alchemiscale_prefect.local.stack import USER, LocalStack, StackOptions
from alchemiscale_prefect.sdk.client import AlchemiscaleClient
from tests.debian_postgres import prefect_postgres
from tests.ports import free_port
from tests.waiting import wait_for

# longer than the API takes to restart on a very busy machine; a killed run is noticed before, by what Prefect says
LEASE_SECONDS = 60.0


@pytest.fixture(scope="session")
def short_tmp() -> Iterator[Path]:
    """A folder with a short name: Unix sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="alch-") as name:
        yield Path(name)


def ports_of_its_own(folder: Path) -> None:
    """Keep a stack away from the usual ports, which another process of these tests takes for its own stack."""
    config = StackConfig(*(secrets.token_urlsafe(48) for _ in range(3)), free_port(), free_port())
    layout = Layout(folder)
    layout.secrets.parent.mkdir(parents=True)
    layout.secrets.write_text(json.dumps(asdict(config)))


@pytest.fixture(scope="session")
def stack(short_tmp: Path, request: pytest.FixtureRequest) -> Iterator[LocalStack]:
    with prefect_postgres(short_tmp / "prefect-postgres") as prefect_database_url:
        print(f"\nPrefect's server runs on {'Postgres' if prefect_database_url else 'SQLite'}")
        options = StackOptions(
            flow_runs=3,
            parallel_units=2,
            lease_seconds=LEASE_SECONDS,
            dispatchers=2,
            prefect_database_url=prefect_database_url,
            environment={
                "ALCHEMISCALE_ALLOWED_MODULES": "tests",
                "ALCHEMISCALE_COMPUTE_RETRY_DELAY_SECONDS": "0.1",
                "ALCHEMISCALE_COMPUTE_HEARTBEAT_SECONDS": "1",
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
        )
        ports_of_its_own(short_tmp / "stack")
        with LocalStack(short_tmp / "stack", options) as running:
            yield running
            if request.session.testsfailed:
                for log in sorted(running.layout.logs.glob("*.log")):
                    print(f"\n--- the end of {log.name}\n{tail(log, 60)}")


@pytest.fixture(autouse=True)
def _tests_may_be_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALCHEMISCALE_ALLOWED_MODULES", "tests")


@pytest.fixture
def client(stack: LocalStack) -> Iterator[AlchemiscaleClient]:
    made = AlchemiscaleClient(stack.config.api_url, USER, stack.config.user_key, use_local_cache=False)
    yield made
    stack.check()


@pytest.fixture
def wait(stack: LocalStack) -> Callable[..., None]:
    """Wait until something is true; a part of the stack that ends meanwhile is an error at once."""

    def until(true: Callable[[], object], what: str, seconds: float = 240.0) -> None:
        def checked() -> object:
            stack.check()
            return true()

        wait_for(checked, what, seconds)

    return until


@pytest.fixture(scope="session", autouse=True)
def _no_prefect_of_the_caller() -> None:
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
