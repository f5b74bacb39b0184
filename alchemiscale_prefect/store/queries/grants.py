"""What identities may do in which scopes, in the database."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert as upsert

from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.store.tables import identity_scope


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant and whose it is."""

    kind: str
    identifier: str
    scope: str
    permission: str


def give(connection: Connection, identity_id: int, grants: Mapping[str, str]) -> None:
    """Give an identity permissions, by scope; they replace those it has there."""
    if grants:
        rows = [{"identity_id": identity_id, "scope": scope, "permission": held} for scope, held in grants.items()]
        statement = upsert(identity_scope)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["identity_id", "scope"], set_={"permission": statement.excluded.permission}
            ),
            rows,
        )


def take(connection: Connection, identity_id: int, scopes: Collection[str]) -> list[str]:
    """Take scopes from an identity; those of them that it had."""
    rows = connection.execute(
        text("delete from identity_scope where identity_id = :id and scope = any(:scopes) returning scope"),
        {"id": identity_id, "scopes": list(scopes)},
    )
    return list(rows.scalars())


def meeting(connection: Connection, scope: Scope) -> list[GrantRow]:
    """Every grant whose scope covers `scope`, or lies in it; by scope and name."""
    rows = connection.execute(
        text(
            """
            select i.kind, i.identifier, s.scope, s.permission
            from identity_scope s join identity i on i.id = s.identity_id
            cross join lateral (select string_to_array(s.scope, '-') as held) as parts
            where (held[1] in ('*', :org) or cast(:org as text) is null)
              and (held[2] in ('*', :campaign) or cast(:campaign as text) is null)
              and (held[3] in ('*', :project) or cast(:project as text) is null)
            order by s.scope collate "C", i.kind, i.identifier collate "C"
            """
        ),
        scope.to_dict(),
    )
    return [GrantRow(**row._mapping) for row in rows]
