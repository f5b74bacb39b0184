"""Checkpoints in the database: the ProtocolDAG of a Task under way, and its finished units."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

# as `UnitRecord` has them
_UNIT = "key, unit_key, ok, location, directory, file_parts, files_complete, files_relocatable"


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """Where the result of one try of a ProtocolUnit is kept, and the files it left in the shared directory.

    Attributes
    ----------
    directory
        Where these files were, on the host of the try.
    file_parts
        So many parts of them are stored, each at its `part_location`.
    files_complete, files_relocatable
        Whether these are all; whether the files may lie elsewhere.
    """

    key: str
    unit_key: str
    ok: bool
    location: str
    directory: str | None = None
    file_parts: int = 0
    files_complete: bool = False
    files_relocatable: bool = False

    def part_location(self, part: int) -> str:
        """Where a part of the files is kept."""
        return f"{self.location}.files-{part}"

    @property
    def locations(self) -> list[str]:
        """Of the result and the parts."""
        return [self.location, *map(self.part_location, range(self.file_parts))]


@dataclass(frozen=True, slots=True)
class CheckpointRecord:
    """Where the ProtocolDAG is kept, and the shared directory its unit results point into."""

    dag_location: str
    shared_id: str


def read(connection: Connection, task_id: int) -> tuple[CheckpointRecord, Sequence[UnitRecord]] | None:
    """A Task's checkpoint with its unit results in the order they came, or ``None``."""
    row = connection.execute(
        text("select dag_location, shared_id from checkpoint where task_id = :task"), {"task": task_id}
    ).one_or_none()
    if row is None:
        return None
    units = connection.execute(
        text(f"select {_UNIT} from unit_result where task_id = :task order by created_at, key"),  # noqa: S608  a constant
        {"task": task_id},
    )
    return CheckpointRecord(*row), [UnitRecord(*unit) for unit in units]


def read_unit(connection: Connection, task_id: int, key: str) -> UnitRecord | None:
    """A unit result of a Task's checkpoint, or ``None``."""
    row = connection.execute(
        text(f"select {_UNIT} from unit_result where task_id = :task and key = :key"),  # noqa: S608  a constant
        {"task": task_id, "key": key},
    ).one_or_none()
    return None if row is None else UnitRecord(*row)


def start(connection: Connection, task_id: int, dag_location: str, shared_id: str) -> list[str]:
    """Begin a checkpoint with a new ProtocolDAG; the locations of what it replaces.

    Said again (a request that was sent twice, or arrives late), it changes nothing: the unit results stay.
    """
    known = read(connection, task_id)
    if known is not None and known[0] == CheckpointRecord(dag_location, shared_id):
        return []
    replaced = drop(connection, task_id)
    connection.execute(
        text("insert into checkpoint (task_id, dag_location, shared_id) values (:task, :location, :shared)"),
        {"task": task_id, "location": dag_location, "shared": shared_id},
    )
    return replaced


def add_unit(connection: Connection, task_id: int, attempt: int, unit: UnitRecord, size: int) -> None:
    """Add a unit result; storing the same one again changes nothing."""
    connection.execute(
        text(
            "insert into unit_result (task_id, key, unit_key, attempt, ok, location, size, directory) "
            "values (:task, :key, :unit_key, :attempt, :ok, :location, :size, :directory) on conflict do nothing"
        ),
        {
            "task": task_id,
            "key": unit.key,
            "unit_key": unit.unit_key,
            "attempt": attempt,
            "ok": unit.ok,
            "location": unit.location,
            "size": size,
            "directory": unit.directory,
        },
    )


def add_part(connection: Connection, task_id: int, key: str, part: int, *, last: bool, relocatable: bool) -> None:
    """Write down that a part of a unit's files is stored; saying it again changes nothing."""
    connection.execute(
        text(
            """
            update unit_result
            set file_parts = greatest(file_parts, :part + 1), files_complete = files_complete or :last,
                files_relocatable = files_relocatable or (:last and :relocatable)
            where task_id = :task and key = :key
            """
        ),
        {"task": task_id, "key": key, "part": part, "last": last, "relocatable": relocatable},
    )


def drop(connection: Connection, task_id: int) -> list[str]:
    """Forget a Task's checkpoint; the locations that nothing refers to any more."""
    known = read(connection, task_id)
    if known is None:
        return []
    checkpoint, units = known
    connection.execute(text("delete from checkpoint where task_id = :task"), {"task": task_id})
    return [checkpoint.dag_location, *(location for unit in units for location in unit.locations)]
