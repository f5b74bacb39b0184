"""A host without room gives its Task back, with the reason, and nothing is held against the Task."""

import errno
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from alchemiscale_prefect.execution.disk import DiskFull, check_room, tells_of_full_disk
from alchemiscale_prefect.execution.units import UnitRun
from alchemiscale_prefect.settings import ComputeSettings
from tests.protocols import FanOutSampleUnit
from tests.unit.execution.api import Api, Units
from tests.unit.execution.conftest import Run

Usage = namedtuple("Usage", "total used free")


def _write(to: str) -> None:
    with Path(to).open("w") as file:
        file.write("x")


def _write_by_library(_: str) -> None:
    raise RuntimeError(
        "Unable to synchronously write data (file write failed: error message = 'No space left on device')"
    )


def _exceed_quota(to: str) -> None:
    raise OSError(errno.EDQUOT, "Disk quota exceeded", to)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file that is always full is Linux's")
@pytest.mark.parametrize("write", [_write, _write_by_library, _exceed_quota])
def test_a_unit_that_fills_the_disk_is_not_to_blame(
    api: Api, run: Run, units: Units, settings: ComputeSettings, monkeypatch: pytest.MonkeyPatch, write: Any
) -> None:
    def fill(ctx: Any, **_: Any) -> None:
        (ctx.shared / "half").write_text("written")
        write("/dev/full")

    units.retries = 3
    with monkeypatch.context() as filling:
        filling.setattr(FanOutSampleUnit, "_execute", staticmethod(fill))
        with pytest.raises(DiskFull):
            run()
    # those that were started at once, and none again
    assert 1 <= sum("sample" in name for name in units.ran) <= settings.max_parallel_units
    (reason,) = api.released
    assert reason.startswith("no room left on host: sample ")
    assert api.finished is None
    assert [unit.ok for unit, _ in api.units.values()] == [True]
    assert not list(settings.shared_basedir.rglob("half"))
    assert not [path for path in settings.scratch_basedir.rglob("*") if path.is_file()]

    assert run(2).status == "complete"
    assert units.ran.count("setup") == 1


def test_a_unit_does_not_start_without_room(
    api: Api, run: Run, units: Units, settings: ComputeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = UnitRun.attempt

    def with_little_room(unit: UnitRun) -> Any:
        if unit.name == "analysis":
            monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12 - 10**8, 10**8))
        return attempt(unit)

    monkeypatch.setattr(UnitRun, "attempt", with_little_room)
    with pytest.raises(DiskFull):
        run()
    (reason,) = api.released
    assert "100 MB are free in" in reason
    assert "MIN_FREE_MB=500" in reason
    assert len(api.units) == 4


def test_a_full_disk_where_directories_are_made(api: Api, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(OSError, match="No space left"):
        run()
    assert api.released[0].startswith("no room left on host: [Errno 28]")


def test_room_is_looked_for_where_the_folder_will_be(tmp_path: Path) -> None:
    check_room([tmp_path / "not" / "yet"], 0)
    with pytest.raises(DiskFull):
        check_room([tmp_path / "not" / "yet"], 10**12)


def test_other_failures_are_the_units() -> None:
    assert not tells_of_full_disk("OSError: [Errno 2] No such file or directory: 'space'")
    assert tells_of_full_disk("OSError: [Errno 28] Auf dem Gerät ist kein Speicherplatz mehr verfügbar")
