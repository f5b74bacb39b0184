"""The units of a ProtocolDAG on their way, in one attempt."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from alchemiscale_prefect.chemistry import keyed_chains, protocol_dags
from alchemiscale_prefect.chemistry.base import ProtocolDAG, ProtocolDAGResult, ProtocolUnitResult
from alchemiscale_prefect.chemistry.protocol_dags import UnitNode
from alchemiscale_prefect.execution import checkpoints, quota
from alchemiscale_prefect.execution.compute_client import ComputeClient
from alchemiscale_prefect.execution.schedule import Done, Schedule
from alchemiscale_prefect.execution.under_way import Progress, UnderWay
from alchemiscale_prefect.execution.units import UnitRun
from alchemiscale_prefect.execution.walltime import CutShort, Walltime, known_end
from alchemiscale_prefect.execution.workspace import UnitDirectories, Workspace
from alchemiscale_prefect.settings import ComputeSettings
from alchemiscale_prefect.wire import compute as wire

RunUnit = Callable[[UnitRun, Done[ProtocolUnitResult]], None]
"""Runs a unit in the background, with its retries, and says once how that ended."""

TICK_SECONDS = 5.0
_REPORT_EVERY = 12  # ticks
_REPORT_STEP = 0.01  # of the whole; less is not worth a request


class DagRun:
    """The units that an attempt runs.

    Parameters
    ----------
    client
        The API, for this attempt.
    settings
        What may be taken of the host.
    run_unit
        How a unit is run.
    report
        Told of progress, in the thread of `run`.
    dag, workspace, earlier
        The ProtocolDAG, where its units write, and results of an earlier attempt.

    Attributes
    ----------
    progress
        How far it is; other threads may read it.
    """

    def __init__(
        self,
        client: ComputeClient,
        settings: ComputeSettings,
        run_unit: RunUnit,
        report: Callable[[Progress], None],
        dag: ProtocolDAG,
        workspace: Workspace,
        earlier: Sequence[ProtocolUnitResult],
    ) -> None:
        self._client = client
        self._settings = settings
        self._run_unit = run_unit
        self._report = report
        self._dag = dag
        self._workspace = workspace
        self._nodes = {node.key: node for node in protocol_dags.units(dag)}
        self._needed = {key for node in self._nodes.values() for key in node.dependencies}
        self._tries = list(earlier)
        self._before = {protocol_dags.source_key(result): result for result in earlier if protocol_dags.is_ok(result)}
        self._done = len(self._before)
        self._under_way = UnderWay()
        self._walltime = Walltime(known_end(settings), settings.walltime_margin_seconds, settings.unit_seconds)
        self._ticks = 0
        self._reported = Progress()
        # as of the last tick; for the heartbeats, which must not wait for a file system
        self.progress = Progress(self._done, len(self._nodes))

    def run(self) -> ProtocolDAGResult:
        """Run what is not finished.

        Raises
        ------
        OutOfTime
            The time on the host is nearly over, and no unit fits what is left.
        CutShort
            It is over while units compute.
        Exception
            What a unit ended with that is not its own failure: a full disk, say.
        """
        for result in self._before.values():
            self._learn(result)
        self._finished(self._done)
        settings = self._settings
        schedule = Schedule(
            self._nodes.values(),
            self._before,
            self._start,
            settings.max_parallel_units,
            self._finished,
            settings.capacity,
            settings.need,
            admission=self._walltime,
            on_tick=self._tick,
            tick_seconds=TICK_SECONDS,
        )
        try:
            failure = schedule.run()
        except CutShort:
            raise  # units still write there
        except Exception:
            self.remove_scratch()
            raise
        self.remove_scratch()
        if failure is not None and not UnitRun.is_failure_of_unit(failure):
            raise failure
        return protocol_dags.assemble(self._dag, self._tries)

    def remove_scratch(self) -> None:
        """Remove what nobody needs after the attempt."""
        self._workspace.remove_scratch()

    def _start(self, node: UnitNode, results: Mapping[str, ProtocolUnitResult], done: Done[ProtocolUnitResult]) -> None:
        unit = UnitRun(node, results, self._workspace, self._keep, self._settings.min_free_mb, around=self._watched)
        self._run_unit(unit, done)

    @contextmanager
    def _watched(self, name: str, directories: UnitDirectories) -> Iterator[None]:
        """While a unit executes."""
        limit_mb = self._settings.unit_scratch_mb
        with self._under_way.unit(name, directories), quota.limited(directories.scratch, limit_mb):
            yield

    def _keep(self, result: ProtocolUnitResult, directory: Path) -> None:
        """Store the result of a try, and what it left in its shared directory."""
        unit = wire.StoredUnit(
            key=protocol_dags.result_key(result),
            unit_key=protocol_dags.source_key(result),
            ok=protocol_dags.is_ok(result),
            directory=str(directory),
        )
        self._client.store_unit(unit, keyed_chains.compress(result))
        self._tries.append(result)
        self._learn(result)
        limit_mb = self._settings.checkpoint_files_mb
        if unit.ok and unit.unit_key in self._needed and limit_mb:
            checkpoints.keep_files(self._client, self._workspace, result, directory, limit_mb)

    def _learn(self, result: ProtocolUnitResult) -> None:
        start, end = protocol_dags.times(result)
        if protocol_dags.is_ok(result) and start is not None and end is not None:
            node = self._nodes[protocol_dags.source_key(result)]
            self._walltime.learn(node.qualname, (end - start).total_seconds())

    def _finished(self, done: int) -> None:
        self._done = done
        self._look()
        self._tell(self.progress)

    def _tick(self) -> None:
        if self._walltime.is_over():
            raise self._cut_short()
        self._look()
        self._ticks += 1
        more = (self.progress.fraction or 0.0) - (self._reported.fraction or 0.0)
        if self._ticks % _REPORT_EVERY == 0 and abs(more) >= _REPORT_STEP:
            self._tell(self.progress)

    def _look(self) -> None:
        self.progress = self._under_way.progress(self._done, len(self._nodes))

    def _tell(self, progress: Progress) -> None:
        self._reported = progress
        self._report(progress)

    def _cut_short(self) -> CutShort:
        running = ", ".join(f"{unit.name} (for {unit.seconds:.0f} s)" for unit in self._under_way.units())
        return CutShort(
            f"its time on the host was over while these ran: {running or 'units that were just starting'}",
            useful=self._done > len(self._before),
        )
