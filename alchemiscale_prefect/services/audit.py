"""Who did what when. An entry is written in the transaction of what it tells, so that neither is without the other."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.identities import AuditEntry, names_an_identity
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.queries import audit

MAXIMUM = 10_000
"""Entries in one listing."""

_OPERATOR = "operator"


def record(
    connection: Connection,
    principal: Principal,
    action: str,
    scope: Scope | None = None,
    target: object = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write down that `principal` did something. Services call it once per call that changed anything.

    Parameters
    ----------
    action
        What: the area and the verb, for example ``network.create``.
    scope, target
        Where, and the ScopedKey or the identity it was done to; left out where there are several.
    details
        What else there is to say, as JSON; counts, not lists. Never a secret.
    """
    kind = _OPERATOR if principal.operator else principal.kind.value
    audit.add(
        connection,
        kind,
        principal.identifier,
        action,
        None if scope is None else str(scope),
        None if target is None else str(target),
        details,
    )


def record_keys(
    connection: Connection, principal: Principal, action: str, keys: Sequence[ScopedKey], details: Mapping[str, Any]
) -> None:
    """`record` what was done to objects: how many, their scope if all are of one, and the object if it is one."""
    scopes = {key.scope for key in keys}
    scope = scopes.pop() if len(scopes) == 1 else None
    target = keys[0] if len(keys) == 1 else None
    if keys:
        record(connection, principal, action, scope, target, {"count": len(keys), **details})


def newest(
    database: Database,
    principal: Principal,
    *,
    identifier: str | None = None,
    since: datetime | None = None,
    before: int | None = None,
    limit: int = 100,
) -> tuple[AuditEntry, ...]:
    """Entries, the newest first.

    Parameters
    ----------
    identifier
        Only what identities of this name did.
    since
        Only from then on; with a time zone.
    before
        Only entries older than the one with this id, for the next page.
    limit
        At most so many, 1 to 10,000.
    """
    principal.require_administrator()
    if not 1 <= limit <= MAXIMUM:
        raise InvalidInput(f"`limit` must be between 1 and {MAXIMUM}", field="limit")
    if before is not None and not 0 <= before < 2**63:
        raise InvalidInput("`before` must be the id of an entry", field="before")
    if identifier is not None and not names_an_identity(identifier):
        return ()
    if since is not None and since.tzinfo is None:
        raise InvalidInput("`since` must have a time zone", field="since")
    with database.transaction() as connection:
        rows = audit.newest(connection, identifier=identifier, since=since, before=before, limit=limit)
    return tuple(
        AuditEntry(row.id, row.created_at, row.kind, row.identifier, row.action, row.scope, row.target, row.details)
        for row in rows
    )
