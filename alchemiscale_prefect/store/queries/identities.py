"""Identities in the database."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.dialects.postgresql import insert as upsert

from alchemiscale_prefect.store.tables import identity, identity_key, identity_scope


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """An identity as it stands; `scopes` are sorted."""

    id: int
    identifier: str
    key_hash: str
    disabled: bool
    expires_at: datetime | None
    expired: bool
    scopes: tuple[str, ...]


_SELECT = """
    select i.id, i.identifier, i.disabled,
           (select k.hash from identity_key k where k.identity_id = i.id
            order by k.created_at desc limit 1) as key_hash,
           i.expires_at,
           coalesce(i.expires_at <= now(), false) as expired,
           array(select s.scope from identity_scope s where s.identity_id = i.id order by s.scope) as scopes
    from identity i where i.kind = :kind
"""


def find(connection: Connection, kind: str, identifier: str) -> IdentityRow | None:
    """The identity of this name, if there is one."""
    statement = text(f"{_SELECT} and i.identifier = :identifier")
    row = connection.execute(statement, {"kind": kind, "identifier": identifier}).one_or_none()
    return None if row is None else _identity(row)


def every(connection: Connection, kind: str) -> list[IdentityRow]:
    """All identities of a kind, by name."""
    statement = text(f'{_SELECT} order by i.identifier collate "C"')
    return [_identity(row) for row in connection.execute(statement, {"kind": kind})]


def create(
    connection: Connection, kind: str, identifier: str, key_hash: str, expires_at: datetime | None
) -> int | None:
    """A new identity without scopes; its id, or ``None`` if the name is taken."""
    statement = (
        upsert(identity)
        .values(kind=kind, identifier=identifier, expires_at=expires_at)
        .on_conflict_do_nothing()
        .returning(identity.c.id)
    )
    identity_id = connection.execute(statement).scalar_one_or_none()
    if identity_id is not None:
        connection.execute(identity_key.insert().values(identity_id=identity_id, name="first", hash=key_hash))
    return identity_id


def add_scopes(connection: Connection, identity_id: int, scopes: Collection[str]) -> None:
    """Give an identity scopes; those it has stay."""
    if scopes:
        rows = [{"identity_id": identity_id, "scope": scope} for scope in scopes]
        connection.execute(upsert(identity_scope).on_conflict_do_nothing(), rows)


def remove_scopes(connection: Connection, identity_id: int, scopes: Collection[str]) -> None:
    """Take scopes from an identity; those it has not are no matter."""
    connection.execute(
        text("delete from identity_scope where identity_id = :id and scope = any(:scopes)"),
        {"id": identity_id, "scopes": list(scopes)},
    )


def set_key(connection: Connection, identity_id: int, key_hash: str) -> None:
    """Give an identity a new key."""
    connection.execute(
        text("update identity_key set hash = :hash where identity_id = :id"), {"id": identity_id, "hash": key_hash}
    )


def set_disabled(connection: Connection, identity_id: int, disabled: bool) -> None:
    """Bar an identity from logging in, or let it again."""
    connection.execute(
        text("update identity set disabled = :disabled where id = :id"), {"id": identity_id, "disabled": disabled}
    )


def _identity(row: Row[Any]) -> IdentityRow:
    values = dict(row._mapping)
    return IdentityRow(**{**values, "scopes": tuple(values["scopes"])})
