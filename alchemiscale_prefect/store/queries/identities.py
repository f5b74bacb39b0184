"""Identities in the database, and their keys."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.dialects.postgresql import insert as upsert

from alchemiscale_prefect.store.tables import identity, identity_key


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """An identity as it stands."""

    id: int
    version: int
    kind: str
    identifier: str
    email: str | None
    full_name: str | None
    disabled: bool
    expires_at: datetime | None
    expired: bool
    created_at: datetime
    grants: Mapping[str, str]
    """Scope → permission."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key of an identity."""

    name: str
    hash: str
    expires_at: datetime | None
    expired: bool
    created_at: datetime


_SELECT = """
    select i.id, i.version, i.kind, i.identifier, i.email, i.full_name, i.disabled, i.expires_at, i.created_at,
           coalesce(i.expires_at <= now(), false) as expired,
           coalesce((select jsonb_object_agg(s.scope, s.permission) from identity_scope s where s.identity_id = i.id),
                    '{}') as grants
    from identity i
"""


def find(connection: Connection, kind: str, identifier: str) -> IdentityRow | None:
    """The identity of this name, if there is one."""
    statement = text(f"{_SELECT} where i.kind = :kind and i.identifier = :identifier")
    row = connection.execute(statement, {"kind": kind, "identifier": identifier}).one_or_none()
    return None if row is None else _identity(row)


def every(connection: Connection, kind: str | None) -> list[IdentityRow]:
    """All identities, or those of a kind, by kind and name."""
    statement = text(
        f'{_SELECT} where cast(:kind as text) is null or i.kind = :kind order by i.kind, i.identifier collate "C"'
    )
    return [_identity(row) for row in connection.execute(statement, {"kind": kind})]


def version(connection: Connection, kind: str, identifier: str) -> tuple[int, int] | None:
    """Id and version of an identity that may log in now; ``None`` for any other."""
    row = connection.execute(
        text(
            """
            select id, version from identity
            where kind = :kind and identifier = :identifier and not disabled
              and (expires_at is null or expires_at > now())
            """
        ),
        {"kind": kind, "identifier": identifier},
    ).one_or_none()
    return None if row is None else (row.id, row.version)


def lock(connection: Connection, names: Collection[tuple[str, str]]) -> None:
    """Be the only one that changes these identities (kind, identifier), until the end of the transaction."""
    connection.execute(
        text(
            """
            select id from identity
            where (kind, identifier) in (select * from unnest(cast(:kinds as text[]), cast(:identifiers as text[])))
            order by id for update
            """
        ),
        {"kinds": [kind for kind, _ in names], "identifiers": [identifier for _, identifier in names]},
    )


def create(
    connection: Connection,
    kind: str,
    identifier: str,
    *,
    email: str | None = None,
    full_name: str | None = None,
    expires_at: datetime | None = None,
) -> int | None:
    """A new identity without keys and scopes; its id, or ``None`` if the name is taken."""
    statement = (
        upsert(identity)
        .values(kind=kind, identifier=identifier, email=email, full_name=full_name, expires_at=expires_at)
        .on_conflict_do_nothing()
        .returning(identity.c.id)
    )
    return connection.execute(statement).scalar_one_or_none()


def remove(connection: Connection, identity_id: int) -> None:
    """Remove an identity with its keys and scopes."""
    connection.execute(text("delete from identity where id = :id"), {"id": identity_id})


def change(connection: Connection, identity_id: int, values: Mapping[str, str | datetime | None]) -> None:
    """Set what is known of an identity: of ``email``, ``full_name`` and ``expires_at`` those that are given."""
    connection.execute(identity.update().where(identity.c.id == identity_id).values(dict(values)))


def set_disabled(connection: Connection, identity_id: int, disabled: bool) -> None:
    """Bar an identity from logging in, or let it again."""
    connection.execute(
        text("update identity set disabled = :disabled where id = :id"), {"id": identity_id, "disabled": disabled}
    )


def advance(connection: Connection, identity_id: int) -> None:
    """Make the tokens that an identity has out stale."""
    connection.execute(text("update identity set version = version + 1 where id = :id"), {"id": identity_id})


def keys(connection: Connection, identity_id: int) -> list[KeyRow]:
    """The keys of an identity, the newest first."""
    rows = connection.execute(
        text(
            """
            select name, hash, expires_at, created_at, coalesce(expires_at <= now(), false) as expired
            from identity_key where identity_id = :id order by created_at desc, name
            """
        ),
        {"id": identity_id},
    )
    return [KeyRow(**row._mapping) for row in rows]


def add_key(connection: Connection, identity_id: int, name: str, key_hash: str, expires_at: datetime | None) -> None:
    """Give an identity a key, of a name that none of its keys has."""
    connection.execute(
        identity_key.insert().values(identity_id=identity_id, name=name, hash=key_hash, expires_at=expires_at)
    )


def remove_key(connection: Connection, identity_id: int, name: str) -> bool:
    """Take a key from an identity; whether there was one of this name."""
    done = connection.execute(
        text("delete from identity_key where identity_id = :id and name = :name"), {"id": identity_id, "name": name}
    )
    return bool(done.rowcount)


def _identity(row: Row[Any]) -> IdentityRow:
    return IdentityRow(**row._mapping)
