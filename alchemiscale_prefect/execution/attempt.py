"""One attempt from begin to finish: make or take up the ProtocolDAG, run its units, store what they give.

Prefect is not known here. The flow hands in how a unit is run (`RunUnit`, as a Prefect task) and what to tell
(`Report`), so that everything can be run without a Prefect server too.
"""

import logging
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from alchemiscale_prefect.chemistry import keyed_chains, protocol_dags, results
from alchemiscale_prefect.chemistry.base import (
    ProtocolDAG,
    ProtocolDAGResult,
    ProtocolUnitResult,
    Transformation,
)
from alchemiscale_prefect.chemistry.versions import GUFE_VERSION
from alchemiscale_prefect.domain.errors import AlchemiscaleError, AttemptVoid
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.execution import checkpoints, devices, disk
from alchemiscale_prefect.execution.compute_client import ComputeClient
from alchemiscale_prefect.execution.dag_run import DagRun, RunUnit
from alchemiscale_prefect.execution.gpus import HostUnfit
from alchemiscale_prefect.execution.lease import LeaseKeeper
from alchemiscale_prefect.execution.under_way import Progress
from alchemiscale_prefect.execution.walltime import CutShort, OutOfTime
from alchemiscale_prefect.execution.workspace import Workspace
from alchemiscale_prefect.settings import ComputeSettings
from alchemiscale_prefect.wire import compute as wire

log = logging.getLogger(__name__)


class Report(Protocol):
    """Who is told how a run goes."""

    def progress(self, units_done: int, units_total: int, fraction: float | None) -> None:
        """So many of the units are finished, and this part of the whole, where units under way say how far they are."""
        ...

    def outcome(self, outcome: "Outcome") -> None:
        """The run is over and its outcome recorded."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes
    ----------
    task, transformation
        ScopedKeys.
    name
        The Transformation's name, or its key where it has none.
    status
        The Task's status now: ``complete`` or ``error``.
    estimate
        Of this attempt's result alone, where its Protocol gives one.
    failures
        One line per failed try of a unit, the last one with its traceback in `reason`.
    """

    task: str
    transformation: str
    name: str
    status: str
    estimate: results.Estimate | None
    failures: tuple[str, ...]
    reason: str | None


class Attempt:
    """The work of one compute flow run.

    Parameters
    ----------
    client
        The API, for this attempt.
    settings
        Directories, parallelism, heartbeat.
    run_unit
        How a unit is run.
    report
        Who is told.
    on_lost
        What to do when the lease is lost under way: end the process, within so many seconds.
    """

    def __init__(
        self,
        client: ComputeClient,
        settings: ComputeSettings,
        run_unit: RunUnit,
        report: Report,
        on_lost: Callable[[float], None],
    ) -> None:
        self._client = client
        self._settings = settings
        self._run_unit = run_unit
        self._report = report
        self._on_lost = on_lost
        self._dag_run: DagRun | None = None

    def run(self) -> Outcome:
        """Do the work of the attempt.

        Raises
        ------
        AttemptVoid
            There is nothing to do: the attempt is not this run's (any more).
        OutOfTime
            The time on the host is nearly over; the attempt is given back.
        CutShort
            It is over while units compute; the caller gives the attempt back and ends the process.
        """
        asked_at = time.monotonic()
        begun = self._client.begin()
        keeper = LeaseKeeper(
            self._heartbeat,
            begun.lease_seconds,
            self._settings.heartbeat_seconds,
            self._on_lost,
            asked_at,
        )
        with keeper:
            try:
                outcome = self._run(begun)
            except CutShort:
                raise
            except AttemptVoid:
                # nothing computes here any more: who comes next need not wait for the end of the lease
                with suppress(AlchemiscaleError, OSError):
                    self._client.release("its attempt is void", "stopped")
                raise
            except OutOfTime as error:
                with suppress(AlchemiscaleError, OSError):
                    self._heartbeat()  # what is finished is told before the attempt is over
                self._client.release(str(error), "stopped")
                raise
            except Exception as error:
                # neither the Protocol's fault nor a lost lease: a full disk, a defect. Another host may do better.
                self._client.release(self._reason(error))
                raise
        self._tell(lambda: self._report.outcome(outcome))
        return outcome

    def _run(self, begun: wire.Begun) -> Outcome:
        with devices.held(self._settings):
            try:
                transformation = _decode(begun)
                dag, workspace, tries = self._take_up(begun) or self._new_dag(begun, transformation)
            except _Unstartable as error:
                # the Task's own fault: no other worker would do better
                return self._finish_without_result(begun, error)
            pdr = self._run_units(dag, workspace, tries)
        outcome = self._finish(begun, transformation, pdr)
        workspace.remove()
        return outcome

    def _reason(self, error: Exception) -> str:
        full = disk.cause(error)
        if full is not None:
            return f"no room left on {self._client.execution.host}: {full}"
        if isinstance(error, HostUnfit):
            return f"no GPU on {self._client.execution.host}: {error}"
        return f"{type(error).__name__}: {error}"

    # --- the ProtocolDAG ---------------------------------------------------------------------------------------------

    def _take_up(self, begun: wire.Begun) -> "tuple[ProtocolDAG, Workspace, list[ProtocolUnitResult]] | None":
        """What an earlier attempt left, as far as it can be used on this machine."""
        if begun.checkpoint is None:
            return None
        workspace = self._workspace(begun.checkpoint.shared_id)
        taken = checkpoints.take_up(self._client, begun.checkpoint, workspace)
        return None if taken is None else (taken.dag, workspace, taken.tries)

    def _new_dag(
        self, begun: wire.Begun, transformation: Transformation
    ) -> "tuple[ProtocolDAG, Workspace, list[ProtocolUnitResult]]":
        extends = self._extended() if begun.extends else None
        try:
            dag = protocol_dags.create(transformation, extends=extends, name=self._client.execution.task)
            protocol_dags.units(dag)  # what is wrong with them is the Protocol's fault too
        except Exception as error:  # whatever a Protocol raises is its answer to this Transformation
            raise _Unstartable("Protocol.create failed", error) from error
        workspace = self._workspace(None)
        workspace.create()
        # stored before its first unit runs: unit keys are random, and a later attempt needs these very ones
        self._client.store_dag(workspace.shared_id, keyed_chains.compress(dag))
        return dag, workspace, []

    def _extended(self) -> ProtocolDAGResult:
        data, gufe_version = self._client.fetch_extends()
        extended: ProtocolDAGResult = keyed_chains.decompress(data, gufe_version=gufe_version)
        return extended

    def _workspace(self, shared_id: str | None) -> Workspace:
        execution = self._client.execution
        arguments = (self._settings.shared_basedir, self._settings.scratch_basedir, execution.task, execution.n)
        return Workspace.new(*arguments) if shared_id is None else Workspace.at(*arguments, shared_id)

    # --- its units ---------------------------------------------------------------------------------------------------

    def _run_units(
        self, dag: ProtocolDAG, workspace: Workspace, earlier: list[ProtocolUnitResult]
    ) -> ProtocolDAGResult:
        self._dag_run = DagRun(
            self._client, self._settings, self._run_unit, self._tell_progress, dag, workspace, earlier
        )
        return self._dag_run.run()

    def _heartbeat(self) -> None:
        progress = self._progress
        self._client.heartbeat(progress.done, progress.total, progress.fraction)

    @property
    def _progress(self) -> Progress:
        return Progress() if self._dag_run is None else self._dag_run.progress

    def _tell_progress(self, progress: Progress) -> None:
        self._tell(lambda: self._report.progress(progress.done, progress.total, progress.fraction))

    def abandon(self) -> None:
        """Remove what the attempt has in the scratch folder: it was stopped, given back, and its process ends."""
        if self._dag_run is not None:
            self._dag_run.remove_scratch()

    def _tell(self, report: Callable[[], None]) -> None:
        try:
            report()
        except Exception:  # an orchestrator out of reach is no reason to lose hours of computing
            log.warning("the run goes on without a report", exc_info=True)

    # --- its outcome -------------------------------------------------------------------------------------------------

    def _finish(self, begun: wire.Begun, transformation: Transformation, pdr: ProtocolDAGResult) -> Outcome:
        ok = protocol_dags.is_ok(pdr)
        key = str(pdr.key)
        self._client.store_result(key, ok, keyed_chains.compress(pdr))
        estimate = _estimate(transformation, pdr) if ok else None
        failures = protocol_dags.failures(pdr)
        reason = None if ok else f"{failures[-1].unit_name or failures[-1].source_key}: {failures[-1].exception}"
        finished = self._client.finish(
            wire.Finish(
                ok=ok,
                result=key,
                estimate=estimate and estimate.value,
                uncertainty=estimate and estimate.uncertainty,
                units=estimate and estimate.units,
                gufe_version=GUFE_VERSION,
                tracebacks=[
                    wire.UnitTraceback(
                        failure_key=failure.failure_key,
                        source_key=failure.source_key,
                        name=failure.unit_name,
                        exception=failure.exception,
                        traceback=failure.traceback,
                    )
                    for failure in failures
                ],
                reason=reason,
                units_done=self._progress.done,
                units_total=self._progress.total,
            )
        )
        lines = tuple(f"{failure.unit_name or failure.source_key}: {failure.exception}" for failure in failures)
        detail = None if ok else failures[-1].traceback
        return self._outcome(begun, transformation.name, finished.status, estimate, lines, detail)

    def _finish_without_result(self, begun: wire.Begun, error: "_Unstartable") -> Outcome:
        finished = self._client.finish(wire.Finish(ok=False, result=None, reason=error.reason))
        return self._outcome(begun, None, finished.status, None, (error.summary,), error.reason)

    def _outcome(self, begun: wire.Begun, name: str | None, status: str, *rest: Any) -> Outcome:
        return Outcome(self._client.execution.task, begun.transformation, name or begun.transformation, status, *rest)


class _Unstartable(Exception):
    """No ProtocolDAG can be made of the Transformation, here or anywhere."""

    def __init__(self, what: str, error: Exception) -> None:
        super().__init__(str(error))
        self.summary = f"{what}: {type(error).__name__}: {error}"
        self.reason = f"{what}\n" + "".join(traceback.format_exception(error))


def _decode(begun: wire.Begun) -> Transformation:
    key = ScopedKey.from_str(begun.transformation).gufe_key
    try:
        decoded: Transformation = keyed_chains.from_json(
            begun.transformation_chain, expected_key=key, gufe_version=begun.gufe_version
        )
    except AlchemiscaleError as error:
        raise _Unstartable("the Transformation cannot be built by this worker", error) from error
    return decoded


def _estimate(transformation: Transformation, pdr: ProtocolDAGResult) -> results.Estimate | None:
    try:
        gathered = results.gather(transformation, [pdr])
    except Exception:  # the result is what counts; its summary is a convenience
        log.warning("the Protocol could not gather the result", exc_info=True)
        return None
    return None if gathered is None else results.estimate(gathered)
