"""The API in memory, as one Task's runs see it, and a stand-in for Prefect that runs units in threads."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.chemistry.base import ProtocolUnitResult
from alchemiscale_prefect.chemistry.versions import GUFE_VERSION
from alchemiscale_prefect.domain.errors import AttemptVoid
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.execution.attempt import Outcome
from alchemiscale_prefect.execution.compute_client import Execution
from alchemiscale_prefect.execution.schedule import Done
from alchemiscale_prefect.execution.units import UnitFailed, UnitRun
from alchemiscale_prefect.wire import compute as wire
from tests.protocols import transformation

SCOPE = Scope("org", "campaign", "project")


class Api:
    """What the API keeps of a Task, and what a run does to it; hooks say where it answers with an error."""

    def __init__(self) -> None:
        self.subject = transformation()
        self.dag: tuple[str, bytes] | None = None
        self.units: dict[str, tuple[wire.StoredUnit, bytes]] = {}
        self.files: dict[str, list[bytes]] = {}
        self.results: dict[str, tuple[bool, bytes]] = {}
        self.finished: wire.Finish | None = None
        self.released: list[str] = []
        self.causes: list[str] = []
        self.heartbeats: list[tuple[int, int, float | None]] = []
        self.errors: dict[str, Exception] = {}
        self.stop_after: int | None = None

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

    def heartbeat(self, units_done: int, units_total: int, fraction: float | None) -> None:
        self._check("heartbeat")
        self.api.heartbeats.append((units_done, units_total, fraction))

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
        if len(self.api.units) == self.api.stop_after:
            raise AttemptVoid("its host is gone")
        self.api.units[unit.key] = (unit, data)

    def fetch_unit(self, key: str) -> bytes:
        self._check("fetch_unit")
        return self.api.units[key][1]

    def store_files(self, key: str, part: int, data: bytes, query: wire.StoreFiles) -> None:
        self._check("store_files")
        parts = self.api.files.setdefault(key, [])
        assert part == len(parts)
        parts.append(data)
        if query.last:
            unit, result = self.api.units[key]
            files = wire.StoredFiles(parts=len(parts), relocatable=query.relocatable)
            self.api.units[key] = unit.model_copy(update={"files": files}), result

    def fetch_files(self, key: str, part: int) -> bytes:
        self._check("fetch_files")
        return self.api.files[key][part]

    def store_result(self, key: str, ok: bool, data: bytes) -> None:
        self._check("store_result")
        self.api.results[key] = (ok, data)

    def finish(self, body: wire.Finish) -> wire.Finished:
        self._check("finish")
        self.api.finished = body
        return wire.Finished(status="complete" if body.ok else "error", result=body.result)

    def release(self, reason: str, cause: str = "failed") -> None:
        self.api.released.append(reason)
        self.api.causes.append(cause)


class Report:
    """Remembers what it was told; or fails to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.told: list[tuple[int, int]] = []
        self.fractions: list[float | None] = []
        self.outcomes: list[Outcome] = []

    def progress(self, units_done: int, units_total: int, fraction: float | None) -> None:
        self.told.append((units_done, units_total))
        self.fractions.append(fraction)
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
                if left and failed.again:
                    continue
                done(failed)
            except Exception as error:  # noqa: BLE001  as Prefect's future does
                done(error)
            return
