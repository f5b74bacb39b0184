"""How far an attempt is, while its units run."""

import threading
from typing import Any

import pytest

from alchemiscale_prefect.chemistry.progress import write
from alchemiscale_prefect.execution import dag_run
from alchemiscale_prefect.execution.under_way import Progress, UnderWay
from alchemiscale_prefect.execution.workspace import Workspace
from alchemiscale_prefect.settings import ComputeSettings
from tests.protocols import FanOutSampleUnit
from tests.unit.execution.api import Api, Report
from tests.unit.execution.conftest import Run
from tests.waiting import wait_for


def test_parts_of_units_that_run_count_where_they_are_told(settings: ComputeSettings) -> None:
    workspace = Workspace.new(settings.shared_basedir, settings.scratch_basedir, "Task-1", 1)
    under_way = UnderWay()
    with under_way.unit("a", workspace.unit("a", 1)) as first, under_way.unit("b", workspace.unit("b", 1)) as second:
        assert under_way.progress(1, 4) == Progress(1, 4)
        (first.directories.scratch / "progress").write_text("0.5")
        assert under_way.progress(1, 4) == Progress(1, 4, 0.375)
        (second.directories.shared / "progress").write_text("0.25")
        assert under_way.progress(1, 4) == Progress(1, 4, 0.4375)
        assert [unit.name for unit in under_way.units()] == ["a", "b"]
    assert under_way.progress(2, 4) == Progress(2, 4)


def test_what_units_tell_goes_with_the_heartbeats_and_to_prefect(
    api: Api, run: Run, settings: ComputeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()
    execute = FanOutSampleUnit._execute

    def telling(ctx: Any, **inputs: Any) -> Any:
        write(ctx, 0.5)
        assert told.wait(60)
        return execute(ctx, **inputs)

    monkeypatch.setattr(FanOutSampleUnit, "_execute", staticmethod(telling))
    monkeypatch.setattr(dag_run, "TICK_SECONDS", 0.01)
    object.__setattr__(settings, "heartbeat_seconds", 0.01)
    report = Report()
    thread = threading.Thread(target=run, kwargs={"report": report})
    thread.start()
    try:
        # set-up is done, and two of the samples are half done
        wait_for(lambda: (1, 5, 0.4) in api.heartbeats and 0.4 in report.fractions, "both samples to tell", every=0.01)
    finally:
        told.set()
        thread.join()
    assert report.fractions[-1] is None
    assert report.told[-1] == (5, 5)
