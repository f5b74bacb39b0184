"""One ProtocolUnit on its way: what a Prefect task run does."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from pathlib import Path

from alchemiscale_prefect.chemistry import protocol_dags
from alchemiscale_prefect.chemistry.base import ProtocolUnitResult
from alchemiscale_prefect.chemistry.protocol_dags import UnitNode
from alchemiscale_prefect.execution.capture import captured
from alchemiscale_prefect.execution.disk import DiskFull, check_room, tells_of_full_disk
from alchemiscale_prefect.execution.quota import ScratchQuotaExceeded
from alchemiscale_prefect.execution.workspace import UnitDirectories, Workspace


class UnitFailed(Exception):
    """A try of a ProtocolUnit failed; its ProtocolUnitFailure is stored.

    Parameters
    ----------
    again
        Whether another try may do better.
    """

    def __init__(self, reason: str, *, again: bool = True) -> None:
        super().__init__(reason)
        self.again = again


class UnitRun:
    """A ProtocolUnit with what it needs. Each `attempt` is one try; every try's result is kept.

    A plain class on purpose: Prefect looks into dataclasses and mappings given to a task, and these are large.

    Parameters
    ----------
    node
        The unit.
    finished
        Results of the units it depends on.
    workspace
        Where it writes.
    keep
        Stores the result of a try, and what it left in its shared directory.
    min_free_mb
        Room that there must be for it to start.
    around
        Entered, with its name and directories, while it executes.
    """

    def __init__(
        self,
        node: UnitNode,
        finished: Mapping[str, ProtocolUnitResult],
        workspace: Workspace,
        keep: Callable[[ProtocolUnitResult, Path], None],
        min_free_mb: int = 0,
        *,
        around: Callable[[str, UnitDirectories], AbstractContextManager[object]] = lambda *_: nullcontext(),
    ) -> None:
        self._node = node
        self._finished = finished
        self._workspace = workspace
        self._keep = keep
        self._min_free_mb = min_free_mb
        self._around = around
        self._tries = count(1)

    @property
    def name(self) -> str:
        """The unit's name, or its class where it has none."""
        return self._node.name or self._node.qualname

    def attempt(self) -> ProtocolUnitResult:
        """Run the unit once and store the result.

        Raises
        ------
        UnitFailed
            The unit raised; the ProtocolUnitFailure is stored.
        DiskFull
            There is no room here, before the unit starts or while it runs. Nothing is stored: the unit is not to blame.
        """
        check_room((self._workspace.shared, self._workspace.scratch), self._min_free_mb)
        directories = self._workspace.unit(self._node.key, next(self._tries))
        try:
            with captured(directories.stdout, directories.stderr), self._around(self.name, directories):
                result = protocol_dags.execute_unit(
                    self._node,
                    self._finished,
                    shared=directories.shared,
                    scratch=directories.scratch,
                    stdout=directories.stdout,
                    stderr=directories.stderr,
                )
        finally:
            directories.remove_scratch()
        if protocol_dags.is_ok(result):
            self._keep(result, directories.shared)
            return result
        failure = protocol_dags.unit_traceback(result)
        if tells_of_full_disk(failure.traceback):
            directories.remove_shared()
            raise DiskFull(f"{self.name}: {failure.exception}")
        self._keep(result, directories.shared)
        raise UnitFailed(failure.exception, again=not failure.exception.startswith(ScratchQuotaExceeded.__name__))

    @staticmethod
    def is_failure_of_unit(error: BaseException) -> bool:
        """Whether `error` is the unit's own failure, which belongs into the result, or something around it."""
        return isinstance(error, UnitFailed)
