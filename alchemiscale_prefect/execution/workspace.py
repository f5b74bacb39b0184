"""Directories of a run: what its units share, and each try's scratch."""

import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class UnitDirectories:
    """Directories of one try of a ProtocolUnit; `shared` outlives it, the others do not."""

    shared: Path
    scratch: Path
    stdout: Path
    stderr: Path

    def remove_scratch(self) -> None:
        """Remove what nobody needs after the try."""
        shutil.rmtree(self.scratch.parent, ignore_errors=True)

    def remove_shared(self) -> None:
        """Remove what nobody will read, since the try does not count."""
        shutil.rmtree(self.shared, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where a Task's units write.

    Units of one ProtocolDAG read each other's files by absolute path, and an attempt that takes up the results of an
    earlier one reads that one's files. So `shared` is named after the Task and a random id kept in the checkpoint,
    and nobody else's text has that id: where it stands, a path into the directory is meant.

    Attributes
    ----------
    task_shared
        ``<shared_basedir>/<task key>``; removed with the last thing in it.
    shared_id
        Names the directory in it.
    scratch
        ``<scratch_basedir>/<task key>-<run>``; removed when the run ends.
    run
        ``<attempt>-<random>``: two processes at work on one attempt, the one about to learn that it is not its any
        more, never meet in a directory.
    """

    task_shared: Path
    shared_id: str
    scratch: Path
    run: str

    @classmethod
    def new(cls, shared_basedir: Path, scratch_basedir: Path, task_key: str, n: int) -> "Workspace":
        """A workspace that nobody has used."""
        return cls.at(shared_basedir, scratch_basedir, task_key, n, uuid.uuid4().hex)

    @classmethod
    def at(cls, shared_basedir: Path, scratch_basedir: Path, task_key: str, n: int, shared_id: str) -> "Workspace":
        """The workspace of a checkpoint; whether its files are here, `exists` tells."""
        run = f"{n}-{uuid.uuid4().hex[:12]}"
        scratch = (scratch_basedir / f"{task_key}-{run}").absolute()
        # without links, so that a path that a unit has resolved begins as the others do
        return cls((shared_basedir / task_key).resolve(), shared_id, scratch, run)

    @property
    def shared(self) -> Path:
        """The shared directory of the ProtocolDAG."""
        return self.task_shared / self.shared_id

    def exists(self) -> bool:
        """Whether the shared directory is on this machine."""
        return self.shared.is_dir()

    def create(self) -> None:
        """Make the shared directory; leftovers of this Task's former ProtocolDAGs go."""
        shutil.rmtree(self.task_shared, ignore_errors=True)
        self.shared.mkdir(parents=True)

    def unit(self, unit_key: str, try_number: int) -> UnitDirectories:
        """Fresh directories for one try: an interrupted one's half-written files are never met again."""
        name = f"{unit_key}-{self.run}-{try_number}"
        directories = UnitDirectories(
            self.shared / name,
            self.scratch / name / "scratch",
            self.scratch / name / "stdout",
            self.scratch / name / "stderr",
        )
        for path in (directories.shared, directories.scratch, directories.stdout, directories.stderr):
            path.mkdir(parents=True)
        return directories

    def remove_scratch(self) -> None:
        """Remove the run's scratch."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    def remove(self) -> None:
        """Remove everything of the ProtocolDAG: it has finished.

        Not what else the Task has there: a restart pattern may have its next attempt at work already.
        """
        self.remove_scratch()
        shutil.rmtree(self.shared, ignore_errors=True)
        with suppress(OSError):
            self.task_shared.rmdir()
