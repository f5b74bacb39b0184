"""Transformations in the database. What they have in common with ChemicalSystems is in `members`."""

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.store.queries.objects import IN_SCOPE


def of_chemical_system(connection: Connection, chemical_system: ScopedKey) -> list[str]:
    """Keys of the Transformations that start or end at a ChemicalSystem."""
    statement = text(
        f"""
        select edge.key from gufe_object o
        join transformation tf on tf.state_a_id = o.id or tf.state_b_id = o.id
        join gufe_object edge on edge.id = tf.id
        where {IN_SCOPE} order by edge.id
        """  # noqa: S608  the interpolated text is a constant
    )
    return list(connection.execute(statement, chemical_system.to_dict()).scalars())


def of_task(connection: Connection, task: ScopedKey) -> str | None:
    """The key of the Transformation a Task performs; ``None`` if there is no such Task."""
    statement = text(
        f"select tf.key from task o join gufe_object tf on tf.id = o.transformation_id where {IN_SCOPE}"  # noqa: S608
    )
    return connection.execute(statement, task.to_dict()).scalar_one_or_none()
