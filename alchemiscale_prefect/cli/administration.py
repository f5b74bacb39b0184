"""Who a command administers identities as: an admin identity over HTTP, or an operator on the database itself."""

import getpass
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission, Principal
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.identities import ApiKey, AuditEntry, Identity
from alchemiscale_prefect.domain.scopes import Scope

if TYPE_CHECKING:
    from alchemiscale_prefect.sdk.admin import AlchemiscaleAdminClient
    from alchemiscale_prefect.store.database import Database
    from alchemiscale_prefect.wire.hosts import Hosts

Kind = Annotated[IdentityKind, typer.Option("--type", "-t", help="user, compute for flow runs, or admin.")]
Identifier = Annotated[str, typer.Option("--identifier", "-i", help="Its name.")]
Expires = Annotated[
    str | None,
    typer.Option("--expires", help="When it ends: 2030-01-31, or 2030-01-31T12:00+01:00; UTC unless it says."),
]
KeyStdin = Annotated[bool, typer.Option("--key-stdin", help="Read the key from standard input.")]


class _HostAdministration:
    """What `sdk.hosts.HostAdministration` does, on the database itself."""

    def __init__(self, database: "Database", operator: Principal) -> None:
        self._database = database
        self._operator = operator

    def list_hosts(self) -> "Hosts":
        """Hosts, work pools and images, and which hosts may not run Tasks."""
        from alchemiscale_prefect.services import hosts
        from alchemiscale_prefect.settings import HostSettings, read
        from alchemiscale_prefect.wire.hosts import Hosts

        return Hosts.of(hosts.overview(self._database, self._operator, read(HostSettings).host_policy))

    def ban_host(self, host: str, reason: str, until: datetime | None = None) -> None:
        """Let nothing begin on a host."""
        from alchemiscale_prefect.services import hosts

        hosts.ban(self._database, self._operator, host, reason, until)

    def pardon_host(self, host: str) -> None:
        """Let a host run everything again."""
        from alchemiscale_prefect.services import hosts

        hosts.pardon(self._database, self._operator, host)


class DatabaseAdministration(_HostAdministration):
    """What `AlchemiscaleAdminClient` does, on the database itself; identities keep no log-in for it.

    Parameters
    ----------
    database
        Where the identities are.
    operator
        Who the audit is to name.
    """

    def list_identities(self, kind: IdentityKind | None = None) -> list[Identity]:
        """All identities, or those of a kind."""
        from alchemiscale_prefect.services import identities

        return list(identities.every(self._database, self._operator, kind))

    def get_identity(self, identifier: str, kind: IdentityKind) -> Identity:
        """An identity."""
        from alchemiscale_prefect.services import identities

        return identities.get(self._database, self._operator, kind, identifier)

    def create_identity(
        self,
        identifier: str,
        kind: IdentityKind,
        scopes: Sequence[Scope],
        permission: Permission,
        *,
        key: str | None = None,
        email: str | None = None,
        full_name: str | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        """Make an identity; its key."""
        from alchemiscale_prefect.sdk.admin import new_key
        from alchemiscale_prefect.services import identities

        key = new_key() if key is None else key
        identities.create(
            self._database,
            self._operator,
            kind,
            identifier,
            key,
            [Grant(scope, permission) for scope in scopes],
            email=email,
            full_name=full_name,
            expires_at=expires_at,
        )
        return key

    def set_identity(self, identifier: str, kind: IdentityKind, **values: "str | datetime | None") -> None:
        """Change who an identity is said to be, and when it ends."""
        from alchemiscale_prefect.services import identities

        identities.change(self._database, self._operator, kind, identifier, values)

    def disable_identity(self, identifier: str, kind: IdentityKind) -> None:
        """Bar an identity from logging in."""
        from alchemiscale_prefect.services import identities

        identities.set_disabled(self._database, self._operator, kind, identifier, True)

    def enable_identity(self, identifier: str, kind: IdentityKind) -> None:
        """Let an identity log in again."""
        from alchemiscale_prefect.services import identities

        identities.set_disabled(self._database, self._operator, kind, identifier, False)

    def remove_identity(self, identifier: str, kind: IdentityKind) -> None:
        """Remove an identity with its keys and permissions."""
        from alchemiscale_prefect.services import identities

        identities.remove(self._database, self._operator, kind, identifier)

    def list_keys(self, identifier: str, kind: IdentityKind) -> list[ApiKey]:
        """Names and dates of an identity's keys."""
        from alchemiscale_prefect.services import identities

        return list(identities.keys(self._database, self._operator, kind, identifier))

    def add_key(
        self,
        identifier: str,
        name: str,
        kind: IdentityKind,
        *,
        key: str | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        """Give an identity one more key; that key."""
        from alchemiscale_prefect.sdk.admin import new_key
        from alchemiscale_prefect.services import identities

        key = new_key() if key is None else key
        identities.add_key(self._database, self._operator, kind, identifier, name, key, expires_at=expires_at)
        return key

    def revoke_key(self, identifier: str, name: str, kind: IdentityKind) -> None:
        """Take a key from an identity."""
        from alchemiscale_prefect.services import identities

        identities.revoke_key(self._database, self._operator, kind, identifier, name)

    def grant(self, identifier: str, scopes: Sequence[Scope], permission: Permission, kind: IdentityKind) -> None:
        """Let an identity do something in scopes."""
        from alchemiscale_prefect.services import grants

        given = [Grant(scope, permission) for scope in scopes]
        grants.grant(self._database, self._operator, kind, identifier, given)

    def revoke(self, identifier: str, scopes: Sequence[Scope], kind: IdentityKind) -> None:
        """Take scopes from an identity."""
        from alchemiscale_prefect.services import grants

        grants.revoke(self._database, self._operator, kind, identifier, scopes)

    def get_audit(
        self, identifier: str | None = None, since: datetime | None = None, limit: int = 100
    ) -> list[AuditEntry]:
        """Who did what when, the newest first."""
        from alchemiscale_prefect.services import audit

        return list(audit.newest(self._database, self._operator, identifier=identifier, since=since, limit=limit))


@contextmanager
def administration() -> "Iterator[AlchemiscaleAdminClient | DatabaseAdministration]":
    """Over HTTP where the environment names an administrator, on the database where it does not."""
    from alchemiscale_prefect.cli.connection import MAX_RETRIES, RETRY_BASE_SECONDS
    from alchemiscale_prefect.sdk.credentials import ADMIN_ID, ADMIN_KEY

    if ADMIN_ID in os.environ or ADMIN_KEY in os.environ:
        from alchemiscale_prefect.sdk.admin import AlchemiscaleAdminClient

        with AlchemiscaleAdminClient(max_retries=MAX_RETRIES, retry_base_seconds=RETRY_BASE_SECONDS) as client:
            yield client
        return
    if "ALCHEMISCALE_DATABASE_URL" not in os.environ:
        raise InvalidInput(
            f"set ALCHEMISCALE_URL, {ADMIN_ID} and {ADMIN_KEY} to administer over HTTP, "
            "or ALCHEMISCALE_DATABASE_URL if you have the database's own credentials",
            field="database_url",
        )
    from alchemiscale_prefect.bootstrap import make_database

    database = make_database()
    try:
        yield DatabaseAdministration(database, Principal.operating(_operator()))
    finally:
        database.close()


def moment(text: str | None, field: str) -> datetime | None:
    """A date or time as it is typed; in UTC unless it says otherwise."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"`{field}` is {text!r}; write it as 2030-01-31 or 2030-01-31T12:00", field=field) from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _operator() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"  # a container may run as a user without a name
