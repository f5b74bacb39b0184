"""ChemicalSystems in the database."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.store.queries.objects import IN_SCOPE
from alchemiscale_prefect.store.queries.scopes import NAME


def query(connection: Connection, scope_ids: Sequence[int], name: str | None) -> list[str]:
    """ScopedKeys of ChemicalSystems in these scopes with exactly this name (``None``: any), by scope and key."""
    rows = connection.execute(
        text(
            f"""
            select o.key || '-' || {NAME}
            from chemical_system c join gufe_object o on o.id = c.id join scope s on s.id = c.scope_id
            where c.scope_id = any(:scopes) and (cast(:name as text) is null or o.name = :name)
            order by s.org collate "C", s.campaign collate "C", s.project collate "C", o.key collate "C"
            """  # noqa: S608  the interpolated text is a constant
        ),
        {"scopes": list(scope_ids), "name": name},
    )
    return list(rows.scalars())


def of_network(connection: Connection, network: ScopedKey) -> list[str]:
    """Keys of a network's ChemicalSystems."""
    statement = text(
        f"""
        select node.key from gufe_object o
        join network_chemical_system link on link.network_id = o.id
        join gufe_object node on node.id = link.chemical_system_id
        where {IN_SCOPE} order by node.id
        """  # noqa: S608  the interpolated text is a constant
    )
    return list(connection.execute(statement, network.to_dict()).scalars())


def of_transformation(connection: Connection, transformation: ScopedKey) -> list[str]:
    """Keys of stateA and stateB, in this order; one for a NonTransformation."""
    statement = text(
        f"""
        select a.key as state_a, b.key as state_b, tf.non_transformation
        from gufe_object o
        join transformation tf on tf.id = o.id
        join gufe_object a on a.id = tf.state_a_id
        join gufe_object b on b.id = tf.state_b_id
        where {IN_SCOPE}
        """  # noqa: S608  the interpolated text is a constant
    )
    row = connection.execute(statement, transformation.to_dict()).one_or_none()
    if row is None:
        return []
    return [row.state_a] if row.non_transformation else [row.state_a, row.state_b]
