"""A unit that writes more scratch than it may fails, with the limit's name, and is not tried again."""

import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from alchemiscale_prefect.execution import quota
from alchemiscale_prefect.execution.quota import ScratchQuotaExceeded, limited, size
from alchemiscale_prefect.settings import ComputeSettings
from tests.protocols import FanOutSampleUnit
from tests.unit.execution.api import Api, Units
from tests.unit.execution.conftest import Run
from tests.waiting import wait_for

MB = 1000**2


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "EVERY_SECONDS", 0.01)


def _write(folder: Path, megabytes: int) -> None:
    (folder / "trajectory").write_bytes(b"x" * megabytes * MB)


def _compute() -> None:
    for _ in range(6000):
        time.sleep(0.01)
    raise AssertionError("nobody stopped it")


def test_what_a_folder_takes_of_the_disk_is_measured(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    _write(tmp_path / "a" / "b", 2)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(100 * MB)
    assert 2 * MB <= size(tmp_path) < 3 * MB
    assert size(tmp_path / "none") == 0


def test_a_unit_over_its_quota_fails_and_is_not_tried_again(
    api: Api, run: Run, units: Units, settings: ComputeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(ctx: Any, **_: Any) -> None:
        _write(ctx.scratch, 2)
        _compute()

    units.retries = 3
    monkeypatch.setattr(FanOutSampleUnit, "_execute", staticmethod(greedy))
    object.__setattr__(settings, "unit_scratch_mb", 1)
    outcome = run()
    assert outcome.status == "error"
    assert "ScratchQuotaExceeded('2 MB in its scratch directory are more than" in outcome.failures[0]
    assert "ALCHEMISCALE_COMPUTE_UNIT_SCRATCH_MB=1" in outcome.failures[0]
    # where it was: mostly in what it computes, now and then still in what it writes
    assert "in greedy" in (outcome.reason or "")
    assert len(units.ran) == len(set(units.ran))
    assert api.released == []


def test_a_process_that_writes_there_is_killed(tmp_path: Path) -> None:
    def simulate() -> None:
        subprocess.run(["sleep", "60"], cwd=tmp_path, check=False)
        _compute()

    _write(tmp_path, 2)
    elsewhere = subprocess.Popen(["sleep", "60"], cwd="/")
    try:
        with pytest.raises(ScratchQuotaExceeded), limited(tmp_path, 1):
            simulate()
        assert elsewhere.poll() is None
    finally:
        elsewhere.kill()
        elsewhere.wait()


def test_one_that_does_not_heed_it_is_told_again(tmp_path: Path) -> None:
    def stubborn() -> None:
        with suppress(ScratchQuotaExceeded):
            _compute()
        _compute()

    _write(tmp_path, 2)
    with pytest.raises(ScratchQuotaExceeded), limited(tmp_path, 1):
        stubborn()
    time.sleep(0.1)  # nothing comes after the block


def test_one_that_comes_as_the_block_is_left_is_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = quota._Watch.stop

    def late(_: object) -> None:
        monkeypatch.setattr(quota._Watch, "stop", stop)
        raise ScratchQuotaExceeded

    monkeypatch.setattr(quota._Watch, "stop", late)
    with pytest.raises(ScratchQuotaExceeded), limited(tmp_path, 1):
        pass
    wait_for(lambda: not any(thread.name == "scratch-watch" for thread in threading.enumerate()), "the watch's end")


@pytest.mark.parametrize("limit", [0, 3])
def test_within_its_quota_nothing_happens(tmp_path: Path, limit: int) -> None:
    _write(tmp_path, 2)
    with limited(tmp_path, limit):
        assert any(thread.name == "scratch-watch" for thread in threading.enumerate()) is bool(limit)
        time.sleep(0.2)
