"""One attempt from begin to finish, against an API in memory: what is stored, taken up, given back, and left alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from alchemiscale_prefect.chemistry import keyed_chains, protocol_dags
from alchemiscale_prefect.domain.errors import AttemptVoid, NotFound
from alchemiscale_prefect.domain.slots import Slots
from alchemiscale_prefect.sdk.errors import AlchemiscaleClientError
from alchemiscale_prefect.settings import ComputeSettings
from tests.protocols import FailingProtocol, FanOutProtocol, FanOutSampleUnit, transformation
from tests.unit.execution.api import Api, Report, Units
from tests.unit.execution.conftest import Run


def _left(settings: ComputeSettings) -> list[Path]:
    return [
        path
        for base in (settings.shared_basedir, settings.scratch_basedir)
        for path in base.rglob("*")
        if path.is_file() or not any(path.iterdir())
    ]


def test_every_unit_is_stored_and_the_result_finished(
    api: Api, run: Run, units: Units, settings: ComputeSettings
) -> None:
    report = Report()
    outcome = run(report=report)
    assert (outcome.status, outcome.failures) == ("complete", ())
    assert outcome.estimate is not None
    assert sorted(units.ran) == ["analysis", "sample 0", "sample 1", "sample 2", "setup"]
    assert len(api.units) == 5
    assert report.told[0] == (0, 5)
    assert report.told[-1] == (5, 5)
    assert report.outcomes == [outcome]
    assert api.finished is not None
    assert api.finished.ok
    ok, data = api.results[api.finished.result or ""]
    assert ok
    pdr = keyed_chains.decompress(data, expected_key=api.finished.result)
    assert protocol_dags.is_ok(pdr)
    assert api.released == []
    assert _left(settings) == []


def test_a_later_attempt_runs_only_what_is_left(api: Api, run: Run, units: Units) -> None:
    api.errors["store_result"] = AlchemiscaleClientError("the API has a defect", status_code=500)
    with pytest.raises(AlchemiscaleClientError):
        run(1)
    assert len(api.units) == 5
    api.errors.clear()
    some = {key: kept for key, kept in api.units.items() if "Setup" in keyed_chains.decompress(kept[1]).source_key}
    assert len(some) == 1
    api.units = some
    units.ran.clear()
    assert run(2).status == "complete"
    assert sorted(units.ran) == ["analysis", "sample 0", "sample 1", "sample 2"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda api: api.errors.update(fetch_dag=AlchemiscaleClientError("gone", status_code=404, code=NotFound.code)),
        lambda api: api.errors.update(fetch_unit=AlchemiscaleClientError("gone", status_code=404, code=NotFound.code)),
        lambda api: setattr(api, "dag", (api.dag[0], api.dag[1][:-20])),
        lambda api: api.units.update(
            {key: (unit, keyed_chains.compress(api.subject)) for key, (unit, _) in api.units.items()}
        ),
    ],
    ids=["no dag", "no unit", "truncated", "another object"],
)
def test_a_checkpoint_that_cannot_be_read_is_left(
    api: Api, run: Run, units: Units, damage: Callable[[Api], None]
) -> None:
    """The Task would be lost on every attempt, and end in error."""
    api.errors["store_result"] = AlchemiscaleClientError("the API has a defect", status_code=500)
    with pytest.raises(AlchemiscaleClientError):
        run(1)
    api.errors.clear()
    damage(api)
    units.ran.clear()
    assert run(2).status == "complete"
    assert len(units.ran) == 5
    assert len(api.released) == 1


@pytest.mark.parametrize("error", [ConnectionError("Prefect is out of reach"), RuntimeError("a defect of Prefect's")])
def test_a_report_that_fails_does_not_cost_the_run(api: Api, run: Run, error: Exception) -> None:
    assert run(report=Report(error)).status == "complete"
    assert api.finished is not None
    assert api.released == []


@pytest.mark.parametrize("where", ["store_dag", "store_unit", "store_result", "finish"])
def test_a_void_attempt_ends_quietly_wherever_it_learns_of_it(api: Api, run: Run, units: Units, where: str) -> None:
    api.errors[where] = AttemptVoid("superseded")
    with pytest.raises(AttemptVoid):
        run()
    assert api.finished is None
    # it says that it has stopped: who comes next need not wait for the end of the lease
    assert (api.released, api.causes) == (["its attempt is void"], ["stopped"])
    assert len(units.ran) == {"store_dag": 0, "store_unit": 1}.get(where, 5)


def test_an_attempt_that_may_not_begin_touches_nothing(api: Api, run: Run, settings: ComputeSettings) -> None:
    api.errors["begin"] = AttemptVoid("cancelled")
    with pytest.raises(AttemptVoid):
        run()
    assert not settings.shared_basedir.exists()


def test_a_full_disk_gives_the_task_back_with_its_reason(api: Api, run: Run, settings: ComputeSettings) -> None:
    settings.shared_basedir.write_text("no folder")
    with pytest.raises(NotADirectoryError):
        run()
    assert len(api.released) == 1
    assert "Error" in api.released[0]
    assert api.finished is None


def test_a_unit_that_fails_ends_in_error_with_every_try(api: Api, run: Run, units: Units) -> None:
    api.subject = transformation(FailingProtocol(FailingProtocol.default_settings()))
    units.retries = 2
    outcome = run()
    assert outcome.status == "error"
    assert units.ran == ["first", "failing", "failing", "failing"]
    assert api.finished is not None
    assert not api.finished.ok
    assert [item.exception for item in api.finished.tracebacks] == ["RuntimeError('Particle coordinate is NaN')"] * 3
    assert "NaN" in (api.finished.reason or "")
    ok, _ = api.results[api.finished.result or ""]
    assert not ok


def test_a_protocol_that_makes_no_dag_is_the_tasks_own_error(
    api: Api, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("no mapping")

    monkeypatch.setattr(FanOutProtocol, "_create", fail)
    outcome = run()
    assert outcome.status == "error"
    assert api.finished is not None
    assert api.finished.result is None
    assert "ValueError: no mapping" in (api.finished.reason or "")
    assert "Traceback" in (api.finished.reason or "")
    assert api.released == []


def test_what_a_unit_says_that_it_takes_counts(settings: ComputeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    dag = protocol_dags.create(transformation(), name="dag")
    assert {settings.need(node) for node in protocol_dags.units(dag)} == {Slots(1, 0)}
    monkeypatch.setattr(FanOutSampleUnit, "gpu_slots", property(lambda unit: unit.inputs["index"]), raising=False)
    nodes = protocol_dags.units(dag)
    assert {node.name: settings.need(node).gpus for node in nodes if "sample" in node.name} == {
        "sample 0": 0,
        "sample 1": 1,
        "sample 2": 2,
    }


def test_a_unit_that_takes_no_number_is_the_tasks_own_error(
    api: Api, run: Run, units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FanOutSampleUnit, "cpu_slots", "two", raising=False)
    assert run().status == "error"
    assert units.ran == []
    assert api.finished is not None
    assert "FanOutSampleUnit.cpu_slots is 'two'" in (api.finished.reason or "")
