"""One stack with two workers and two dispatchers, for all that is done to it."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from alchemiscale_prefect.local.processes import flow_runs, tail
from alchemiscale_prefect.local.stack import USER, LocalStack, StackOptions
from alchemiscale_prefect.sdk.client import AlchemiscaleClient
from tests.acceptance.conftest import ports_of_its_own
from tests.chaos.battered_stack import BatteredStack
from tests.debian_postgres import prefect_postgres

LEASE_SECONDS = 20.0
SEED = "ALCHEMISCALE_CHAOS_SEED"
TASKS = "ALCHEMISCALE_CHAOS_TASKS"
USUAL_SEED = 20261122


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help=f"of the chaos test, to have one again (or {SEED})")


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """What decides about everything that happens; printed, so that it can be had again."""
    given = pytestconfig.getoption("--seed", None) or os.environ.get(SEED)
    if given is not None:
        return int(given)
    # among the other tests the same always: what is found by chance should not refuse somebody else's change
    return int.from_bytes(os.urandom(4), "big") if os.environ.get(TASKS) else USUAL_SEED


@pytest.fixture(scope="session")
def battered(request: pytest.FixtureRequest) -> Iterator[BatteredStack]:
    monkeypatch = pytest.MonkeyPatch()
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ALCHEMISCALE_ALLOWED_MODULES", "tests")
    with contextlib.ExitStack() as stacked:
        stacked.callback(monkeypatch.undo)
        folder = Path(stacked.enter_context(tempfile.TemporaryDirectory(prefix="alch-")))
        prefect_folder = folder / "prefect-postgres"
        url = stacked.enter_context(prefect_postgres(prefect_folder))
        options = StackOptions(
            flow_runs=2,
            parallel_units=1,
            lease_seconds=LEASE_SECONDS,
            workers=2,
            # SQLite has no room for two
            dispatchers=2 if url else 1,
            prefect_database_url=url,
            environment={
                "ALCHEMISCALE_COMPUTE_RETRY_DELAY_SECONDS": "0.1",
                "ALCHEMISCALE_COMPUTE_HEARTBEAT_SECONDS": "2",
                "ALCHEMISCALE_COMPUTE_CPU_SLOTS": "1",
                # here losses are no sign of anything
                "ALCHEMISCALE_MAX_LOSSES": "1000",
                "ALCHEMISCALE_LOSS_DELAY_SECONDS": "0.5",
                "ALCHEMISCALE_LOSS_DELAY_MAX_SECONDS": "2",
                "ALCHEMISCALE_START_TIMEOUT_SECONDS": "60",
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
        )
        ports_of_its_own(folder / "stack")
        stack = LocalStack(folder / "stack", options)
        with stack:
            yield BatteredStack(stack, prefect_folder if url else None)
            if request.session.testsfailed:
                for log in sorted(stack.layout.logs.glob("*.log")):
                    print(f"\n--- the end of {log.name}\n{tail(log, 60)}")
        assert flow_runs(stack.layout.shared) == []


@pytest.fixture
def client(battered: BatteredStack) -> AlchemiscaleClient:
    """A user who does not give up."""
    config = battered.stack.config
    return AlchemiscaleClient(
        config.api_url, USER, config.user_key, use_local_cache=False, max_retries=20, retry_max_seconds=2.0
    )
