"""Checkpoints in the database: the ProtocolDAG of a Task under way, and its finished units."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """Where the result of one try of a ProtocolUnit is kept."""

    key: str
    unit_key: str
    ok: bool
    location: str


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
        text("select key, unit_key, ok, location from unit_result where task_id = :task order by created_at, key"),
        {"task": task_id},
    )
    return CheckpointRecord(*row), [UnitRecord(*unit) for unit in units]


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
            "insert into unit_result (task_id, key, unit_key, attempt, ok, location, size) "
            "values (:task, :key, :unit_key, :attempt, :ok, :location, :size) on conflict do nothing"
        ),
        {
            "task": task_id,
            "key": unit.key,
            "unit_key": unit.unit_key,
            "attempt": attempt,
            "ok": unit.ok,
            "location": unit.location,
            "size": size,
        },
    )


def drop(connection: Connection, task_id: int) -> list[str]:
    """Forget a Task's checkpoint; the locations that nothing refers to any more."""
    known = read(connection, task_id)
    if known is None:
        return []
    checkpoint, units = known
    connection.execute(text("delete from checkpoint where task_id = :task"), {"task": task_id})
    return [checkpoint.dag_location, *(unit.location for unit in units)]
