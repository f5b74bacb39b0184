"""One attempt from begin to finish, against an API in memory: what is stored, taken up, given back, and left alone."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from alchemiscale_prefect.chemistry import keyed_chains, protocol_dags
from alchemiscale_prefect.chemistry.base import ProtocolUnitResult
from alchemiscale_prefect.chemistry.versions import GUFE_VERSION
from alchemiscale_prefect.domain.errors import AttemptVoid, NotFound
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.execution.attempt import Attempt, Outcome
from alchemiscale_prefect.execution.compute_client import Execution
from alchemiscale_prefect.execution.schedule import Done
from alchemiscale_prefect.execution.units import UnitFailed, UnitRun
from alchemiscale_prefect.sdk.errors import AlchemiscaleClientError
from alchemiscale_prefect.settings import ComputeSettings
from alchemiscale_prefect.wire import compute as wire
from tests.protocols import FailingProtocol, FanOutProtocol, transformation

SCOPE = Scope("org", "campaign", "project")


class Api:
    """What the API keeps of a Task, and what a run does to it; hooks say where it answers with an error."""

    def __init__(self) -> None:
        self.subject = transformation()
        self.dag: tuple[str, bytes] | None = None
        self.units: dict[str, tuple[wire.StoredUnit, bytes]] = {}
        self.results: dict[str, tuple[bool, bytes]] = {}
        self.finished: wire.Finish | None = None
        self.released: list[str] = []
        self.errors: dict[str, Exception] = {}

    def client(self, n: int = 1) -> "Client":
        return Client(self, Execution(f"Task-{'0' * 32}-{SCOPE}", n, uuid4(), 1, "host"))


class Client:
    """`ComputeClient`'s methods."""

    def __init__(self, api: Api, execution: Execution) -> None:
        self.api = api
        self.execution = execution

    def _check(self, name: str) -> None:
        if name in self.api.errors:
            raise self.api.errors[name]

    def begin(self) -> wire.Begun:
        self._check("begin")
        known = self.api.dag
        stored = [unit for unit, _ in self.api.units.values()]
        return wire.Begun(
            transformation=str(ScopedKey.of(str(self.api.subject.key), SCOPE)),
            transformation_chain=keyed_chains.to_json(self.api.subject).decode(),
            gufe_version=GUFE_VERSION,
            extends=False,
            checkpoint=None if known is None else wire.Checkpoint(shared_id=known[0], units=stored),
            lease_seconds=60.0,
        )

    def heartbeat(self, units_done: int, units_total: int) -> None:
        self._check("heartbeat")

    def store_dag(self, shared_id: str, data: bytes) -> None:
        self._check("store_dag")
        self.api.dag = (shared_id, data)
        self.api.units.clear()

    def fetch_dag(self) -> bytes:
        self._check("fetch_dag")
        assert self.api.dag is not None
        return self.api.dag[1]

    def store_unit(self, unit: wire.StoredUnit, data: bytes) -> None:
        self._check("store_unit")
        self.api.units[unit.key] = (unit, data)

    def fetch_unit(self, key: str) -> bytes:
        self._check("fetch_unit")
        return self.api.units[key][1]

    def store_result(self, key: str, ok: bool, data: bytes) -> None:
        self._check("store_result")
        self.api.results[key] = (ok, data)

    def finish(self, body: wire.Finish) -> wire.Finished:
        self._check("finish")
        self.api.finished = body
        return wire.Finished(status="complete" if body.ok else "error", result=body.result)

    def release(self, reason: str) -> None:
        self.api.released.append(reason)


class Report:
    """Remembers what it was told; or fails to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.told: list[tuple[int, int]] = []
        self.outcomes: list[Outcome] = []

    def progress(self, units_done: int, units_total: int) -> None:
        self.told.append((units_done, units_total))
        if self.error:
            raise self.error

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        if self.error:
            raise self.error


class Units:
    """Runs units in threads, with retries as the flow has them."""

    def __init__(self, retries: int = 0) -> None:
        self.retries = retries
        self.ran: list[str] = []
        self.pool = ThreadPoolExecutor(4)

    def __call__(self, unit: UnitRun, done: Done[ProtocolUnitResult]) -> None:
        self.pool.submit(self._run, unit, done)

    def _run(self, unit: UnitRun, done: Done[ProtocolUnitResult]) -> None:
        for left in range(self.retries, -1, -1):
            self.ran.append(unit.name)
            try:
                done(unit.attempt())
            except UnitFailed as failed:
                if left:
                    continue
                done(failed)
            except Exception as error:  # noqa: BLE001  as Prefect's future does
                done(error)
            return


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def units():
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
        return Attempt(api.client(n), settings, units, report or Report(), lost.set).run()  # type: ignore[arg-type]

    return ran


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


def test_a_checkpoint_of_another_machine_is_left(api: Api, run: Run, units: Units, settings: ComputeSettings) -> None:
    api.errors["finish"] = AlchemiscaleClientError("the API has a defect", status_code=500)
    with pytest.raises(AlchemiscaleClientError):
        run(1)
    api.errors.clear()
    (task,) = settings.shared_basedir.iterdir()
    task.rename(settings.shared_basedir / "elsewhere")
    units.ran.clear()
    assert run(2).status == "complete"
    assert len(units.ran) == 5


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
    assert api.released == []
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
