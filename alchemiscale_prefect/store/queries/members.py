"""What networks consist of, ChemicalSystems and Transformations: found by name, or by a network that has them."""

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.store.queries.objects import IN_SCOPE
from alchemiscale_prefect.store.queries.scopes import NAME

Member = Literal["chemical_system", "transformation"]
"""Its table; Transformations include NonTransformations."""


def query(connection: Connection, member: Member, scope_ids: Sequence[int], name: str | None) -> list[str]:
    """ScopedKeys of members in these scopes with exactly this name (``None``: any), by scope and key."""
    rows = connection.execute(
        text(
            f"""
            select o.key || '-' || {NAME}
            from {member} member
            join gufe_object o on o.id = member.id join scope s on s.id = member.scope_id
            where member.scope_id = any(:scopes) and (cast(:name as text) is null or o.name = :name)
            order by s.org collate "C", s.campaign collate "C", s.project collate "C", o.key collate "C"
            """  # noqa: S608  the interpolated text is of a few constants
        ),
        {"scopes": list(scope_ids), "name": name},
    )
    return list(rows.scalars())


def of_network(connection: Connection, member: Member, network: ScopedKey) -> list[str]:
    """Keys of a network's members."""
    statement = text(
        f"""
        select found.key from gufe_object o
        join network_{member} link on link.network_id = o.id
        join gufe_object found on found.id = link.{member}_id
        where {IN_SCOPE} order by found.id
        """  # noqa: S608  the interpolated text is of a few constants
    )
    return list(connection.execute(statement, network.to_dict()).scalars())
