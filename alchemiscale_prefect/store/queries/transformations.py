"""Transformations in the database."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.store.queries.objects import IN_SCOPE
from alchemiscale_prefect.store.queries.scopes import NAME


def query(connection: Connection, scope_ids: Sequence[int], name: str | None) -> list[str]:
    """ScopedKeys of Transformations in these scopes with exactly this name (``None``: any), by scope and key."""
    rows = connection.execute(
        text(
            f"""
            select o.key || '-' || {NAME}
            from transformation tf join gufe_object o on o.id = tf.id join scope s on s.id = tf.scope_id
            where tf.scope_id = any(:scopes) and (cast(:name as text) is null or o.name = :name)
            order by s.org collate "C", s.campaign collate "C", s.project collate "C", o.key collate "C"
            """  # noqa: S608  the interpolated text is a constant
        ),
        {"scopes": list(scope_ids), "name": name},
    )
    return list(rows.scalars())


def of_network(connection: Connection, network: ScopedKey) -> list[str]:
    """Keys of a network's Transformations and NonTransformations."""
    statement = text(
        f"""
        select edge.key from gufe_object o
        join network_transformation link on link.network_id = o.id
        join gufe_object edge on edge.id = link.transformation_id
        where {IN_SCOPE} order by edge.id
        """  # noqa: S608  the interpolated text is a constant
    )
    return list(connection.execute(statement, network.to_dict()).scalars())


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
