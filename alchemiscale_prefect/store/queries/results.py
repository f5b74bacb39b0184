"""ProtocolDAGResults in the database: where their bytes are, and what they say in short."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.store.queries.objects import IN_SCOPE


@dataclass(frozen=True, slots=True)
class EstimateRow:
    """A Transformation with the estimates of its ok results, oldest first; keys are without the scope."""

    transformation: str
    name: str | None
    state_a: str
    state_b: str
    estimates: list[float | None]
    uncertainties: list[float | None]
    units: str | None


@dataclass(frozen=True, slots=True)
class StoredRow:
    """Where the bytes of a result are, and the version of gufe that wrote them, if it is known."""

    location: str
    gufe_version: str | None


def of_transformation(connection: Connection, transformation: ScopedKey, *, ok: bool) -> list[str]:
    """Keys of a Transformation's results, or failures, oldest first."""
    statement = text(
        f"select r.key from gufe_object o join result r on r.transformation_id = o.id and r.ok = :ok "  # noqa: S608
        f"where {IN_SCOPE} order by r.id"
    )
    return list(connection.execute(statement, {**transformation.to_dict(), "ok": ok}).scalars())


def of_task(connection: Connection, task: ScopedKey, *, ok: bool) -> list[str]:
    """Keys of a Task's results, or failures, oldest first."""
    statement = text(
        f"select r.key from task o join result r on r.task_id = o.id and r.ok = :ok "  # noqa: S608
        f"where {IN_SCOPE} order by r.id"
    )
    return list(connection.execute(statement, {**task.to_dict(), "ok": ok}).scalars())


def stored(connection: Connection, result: ScopedKey, transformation: str, *, ok: bool) -> StoredRow | None:
    """Where the bytes of a Transformation's result are; ``None`` if there is no such result."""
    statement = text(
        f"""
        select o.location, o.gufe_version from result o join gufe_object tf on tf.id = o.transformation_id
        where {IN_SCOPE} and tf.key = :transformation and o.ok = :ok
        """  # noqa: S608  the interpolated text is a constant
    )
    parameters = {**result.to_dict(), "transformation": transformation, "ok": ok}
    row = connection.execute(statement, parameters).one_or_none()
    return None if row is None else StoredRow(*row)


def latest_ok(connection: Connection, task_id: int) -> StoredRow | None:
    """Where the bytes of a Task's newest ok result are; ``None`` if it has none."""
    row = connection.execute(
        text("select location, gufe_version from result where task_id = :task and ok order by id desc limit 1"),
        {"task": task_id},
    ).one_or_none()
    return None if row is None else StoredRow(*row)


def estimates(connection: Connection, network_id: int) -> list[EstimateRow]:
    """Every Transformation of a network with the summaries of its ok results, in the order of the edges."""
    rows = connection.execute(
        text(
            """
            select edge.key as transformation, edge.name, a.key as state_a, b.key as state_b,
                   coalesce(summary.estimates, '{}') as estimates,
                   coalesce(summary.uncertainties, '{}') as uncertainties, summary.units
            from network_transformation link
            join transformation tf on tf.id = link.transformation_id
            join gufe_object edge on edge.id = tf.id
            join gufe_object a on a.id = tf.state_a_id
            join gufe_object b on b.id = tf.state_b_id
            left join lateral (
                select array_agg(r.estimate order by r.id) as estimates,
                       array_agg(r.uncertainty order by r.id) as uncertainties, max(r.units) as units
                from result r where r.transformation_id = tf.id and r.ok) summary on true
            where link.network_id = :network order by edge.id
            """
        ),
        {"network": network_id},
    )
    return [EstimateRow(*row) for row in rows]
