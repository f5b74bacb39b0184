"""A run stops at a unit boundary before its time on the host is over, and the next one goes on from there."""

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from operator import sub
from pathlib import Path
from typing import Any

import psutil
import pytest

from alchemiscale_prefect.execution import dag_run
from alchemiscale_prefect.execution.schedule import Done, Schedule
from alchemiscale_prefect.execution.walltime import CutShort, OutOfTime, Walltime, known_end, seconds_left
from alchemiscale_prefect.settings import ComputeSettings
from tests.protocols import FanOutSampleUnit
from tests.unit.execution.api import Api, Units
from tests.unit.execution.conftest import Run


def _set(settings: ComputeSettings, **values: object) -> None:
    """As if the environment had said so; the fixture `run` has these very settings."""
    for name, value in values.items():
        object.__setattr__(settings, name, value)


def _ends_in(seconds: float) -> datetime:
    return datetime.fromtimestamp(time.time() + seconds, UTC)


# --- what is known ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "seconds"),
    [
        ("1-02:03:04\n", 93784.0),
        ("2:03:04", 7384.0),
        ("59:01", 3541.0),
        ("0:07", 7.0),
        ("UNLIMITED", None),
        ("NOT_SET", None),
        ("INVALID", None),
        ("", None),
    ],
)
def test_time_left_is_read_as_slurm_prints_it(printed: str, seconds: float | None) -> None:
    assert seconds_left(printed) == seconds


def test_the_earliest_end_counts(settings: ComputeSettings) -> None:
    assert known_end(settings, {}) is None
    assert known_end(settings, {"SLURM_JOB_END_TIME": "2000000000", "SLURM_JOB_ID": "1"}) == 2e9
    _set(settings, walltime_seconds=3600.0)
    assert known_end(settings, {}) == pytest.approx(psutil.Process().create_time() + 3600.0)
    _set(settings, end_time=datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC))
    assert known_end(settings, {"SLURM_JOB_END_TIME": "2000000000"}) == 1e9


@pytest.mark.parametrize("text", ["1000000000", "2001-09-09T01:46:40Z", "2001-09-09T03:46:40+02:00"])
def test_an_end_is_given_as_a_date_or_as_seconds(monkeypatch: pytest.MonkeyPatch, text: str, tmp_path: Path) -> None:
    monkeypatch.setenv("ALCHEMISCALE_COMPUTE_END_TIME", text)
    given: dict[str, Any] = {"shared_basedir": tmp_path, "scratch_basedir": tmp_path}
    assert known_end(ComputeSettings(api_url="", identifier="", key="", **given), {}) == 1e9  # type: ignore[arg-type]


def test_an_older_slurm_is_asked(settings: ComputeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    squeue = tmp_path / "squeue"
    squeue.write_text('#!/bin/sh\ntest "$*" = "--noheader --format=%L --jobs=17" && echo 10:00\n')
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert known_end(settings, {"SLURM_JOB_ID": "17"}) == pytest.approx(time.time() + 600.0, abs=30.0)
    assert known_end(settings, {"SLURM_JOB_ID": "18"}) is None


# --- what still starts -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Node:
    key: str
    qualname: str
    dependencies: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.key


def _run(walltime: Walltime, nodes: list[Node], max_parallel: int = 1) -> tuple[list[str], BaseException | None]:
    started: list[str] = []

    def start(node: Node, _: Mapping[str, str], done: Done[str]) -> None:
        started.append(node.key)
        done("result")

    return started, Schedule(nodes, {}, start, max_parallel, lambda _: None, admission=walltime).run()


def test_units_that_do_not_fit_are_not_started() -> None:
    walltime = Walltime(end=100.0, margin=10.0, clock=lambda: 0.0)
    walltime.learn("Long", 80.0)
    walltime.learn("Long", 91.0)
    walltime.learn("Short", 90.0)
    started, over = _run(walltime, [Node("a", "Short"), Node("b", "Long"), Node("c", "Short"), Node("d", "New")])
    assert started == ["d", "a", "c"]  # of the first all are tried, the shortest first
    assert isinstance(over, OutOfTime)
    assert str(over) == "its time on the host was nearly over: 100 s were left, and b takes about 91 s"


def test_one_unit_is_tried_whatever_it_takes() -> None:
    """Else a unit that is longer than the walltime would be put off for ever."""
    walltime = Walltime(end=100.0, margin=10.0, clock=lambda: 0.0)
    walltime.learn("Long", 1000.0)
    started, over = _run(walltime, [Node("a", "Long"), Node("b", "Long")], max_parallel=2)
    assert started == ["a"]
    assert isinstance(over, OutOfTime)


def test_where_no_end_is_known_everything_fits() -> None:
    walltime = Walltime(None, margin=10.0, default=1e9)
    assert _run(walltime, [Node("a", "A"), Node("b", "B", ("a",))]) == (["a", "b"], None)
    assert not walltime.is_over()


@pytest.mark.parametrize(("margin", "last"), [(60.0, 15.0), (5.0, 5.0), (0.0, 0.0)])
def test_what_computes_is_given_up_shortly_before_the_end(margin: float, last: float) -> None:
    for left, over in ((last + 0.1, False), (last, True), (-1.0, True)):
        assert Walltime(end=100.0, margin=margin, clock=partial(sub, 100.0, left)).is_over() is over


# --- what becomes of the attempt -------------------------------------------------------------------------------------


def test_an_attempt_stops_between_units_and_the_next_one_goes_on(
    api: Api, run: Run, units: Units, settings: ComputeSettings
) -> None:
    _set(settings, end_time=_ends_in(1000.0), unit_seconds=2000.0)
    with pytest.raises(OutOfTime):
        run(1)
    assert units.ran == ["setup"]
    (reason,) = api.released
    assert reason.startswith("its time on the host was nearly over: ")
    assert re.search(r"sample \d takes about 2000 s", reason)
    assert api.causes == ["stopped"]
    assert api.heartbeats[-1][:2] == (1, 5)
    assert not list(settings.scratch_basedir.iterdir())

    # one of the samples is tried; by that one the others are short
    with pytest.raises(OutOfTime, match="analysis takes about 2000 s"):
        run(2)
    assert run(3).status == "complete"
    assert sorted(units.ran) == ["analysis", "sample 0", "sample 1", "sample 2", "setup"]


def test_a_unit_that_outlasts_the_time_is_named(
    api: Api, run: Run, settings: ComputeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, over, ended = threading.Event(), threading.Event(), threading.Event()

    def long() -> dict[str, Any]:
        began.set()
        over.wait(60)
        ended.set()
        return {}

    monkeypatch.setattr(dag_run, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(FanOutSampleUnit, "_execute", staticmethod(lambda ctx, **_: long()))
    monkeypatch.setattr(Walltime, "is_over", lambda _: began.is_set())
    try:
        with pytest.raises(CutShort, match=r"its time on the host was over while these ran: sample \d \(for") as cut:
            run(1)
        assert cut.value.useful
        assert api.released == [], "whoever ends the process gives it back"
        assert list(settings.scratch_basedir.iterdir()), "units still write there"
    finally:
        over.set()
        assert ended.wait(60)
