"""An attempt with all that it needs, in memory and in a folder."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alchemiscale_prefect.execution.attempt import Attempt, Outcome
from alchemiscale_prefect.settings import ComputeSettings
from tests.unit.execution.api import Api, Report, Units


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def units() -> Iterator[Units]:
    made = Units()
    yield made
    made.pool.shutdown()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ComputeSettings:
    monkeypatch.setenv("ALCHEMISCALE_ALLOWED_MODULES", "tests")
    return ComputeSettings(
        api_url="http://nowhere",
        identifier="compute",
        key="key",
        shared_basedir=tmp_path / "shared",
        scratch_basedir=tmp_path / "scratch",
    )


Run = Callable[..., Outcome]


@pytest.fixture
def run(api: Api, settings: ComputeSettings, units: Units) -> Run:
    def ran(n: int = 1, report: Report | None = None) -> Outcome:
        lost = threading.Event()
        return Attempt(api.client(n), settings, units, report or Report(), lambda _: lost.set()).run()  # type: ignore[arg-type]

    return ran
