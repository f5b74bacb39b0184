"""Who did what when, in the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, null, text

from alchemiscale_prefect.store.tables import audit


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An entry."""

    id: int
    created_at: datetime
    kind: str
    identifier: str
    action: str
    scope: str | None
    target: str | None
    details: dict[str, Any] | None


def add(
    connection: Connection,
    kind: str,
    identifier: str,
    action: str,
    scope: str | None,
    target: str | None,
    details: Mapping[str, Any] | None,
) -> None:
    """Write an entry."""
    values = {
        "kind": kind,
        "identifier": identifier,
        "action": action,
        "scope": scope,
        "target": target,
        "details": null() if details is None else dict(details),
    }
    # inline: its id is not asked for, since who may write an entry may not read one
    connection.execute(audit.insert().inline().values(**values))


def newest(
    connection: Connection, *, identifier: str | None, since: datetime | None, before: int | None, limit: int
) -> list[AuditRow]:
    """Entries, the newest first; those of one who acted, from a time on, older than an entry's id."""
    conditions = {
        "identifier = :identifier": identifier,
        "created_at >= :since": since,
        "id < :before": before,
    }
    chosen = " and ".join(condition for condition, value in conditions.items() if value is not None) or "true"
    rows = connection.execute(
        text(
            "select id, created_at, kind, identifier, action, scope, target, details "  # noqa: S608  constants
            f"from audit where {chosen} order by id desc limit :limit"
        ),
        {"identifier": identifier, "since": since, "before": before, "limit": limit},
    )
    return [AuditRow(**row._mapping) for row in rows]
