"""Identities: who may log in, with which keys, and what they did."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alchemiscale_prefect.domain.access import Grant, IdentityKind
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.scopes import Scope

MINIMUM_KEY = 8
MAXIMUM_KEY = 4096
"""Characters of a key."""

MAXIMUM_KEYS = 2
"""Keys of one identity: one in use, and one to replace it. A refused login costs this many hashes, however many keys
there are."""

MAXIMUM_GRANTS = 100
"""Scopes in which one identity may have a permission. Its tokens name them all, and every request carries a token:
servers take headers of 64 KiB at most."""

FIRST_KEY = "first"
"""Name of the key that an identity is made with."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity as an administrator sees it; `grants` are sorted by Scope."""

    kind: IdentityKind
    identifier: str
    grants: tuple[Grant, ...]
    email: str | None
    full_name: str | None
    disabled: bool
    expires_at: datetime | None
    created_at: datetime

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The Scopes it may read."""
        return tuple(grant.scope for grant in self.grants)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One of an identity's keys, without its secret."""

    name: str
    expires_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Access:
    """An identity's grant, as those see it who may change it."""

    kind: IdentityKind
    identifier: str
    grant: Grant


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that somebody did.

    Attributes
    ----------
    kind, identifier
        Who; the kind is ``operator`` for one who has the database itself.
    action
        What, for example ``network.create``.
    target
        The ScopedKey or the identity acted on, if it was one.
    """

    id: int
    at: datetime
    kind: str
    identifier: str
    action: str
    scope: str | None
    target: str | None
    details: dict[str, Any] | None


def names_an_identity(identifier: str) -> bool:
    """Whether an identity may be called this."""
    return 1 <= len(identifier) <= 255 and identifier.isprintable() and not set(" /") & set(identifier)


def check_identifier(identifier: str) -> None:
    """Raise `InvalidInput` unless an identity may be called this."""
    if not names_an_identity(identifier):
        raise InvalidInput(
            f"{identifier!r} cannot name an identity; use 1 to 255 printable characters, no space, no slash",
            field="identifier",
        )


def check_key_name(name: str) -> None:
    """Raise `InvalidInput` unless a key may be called this."""
    if not names_an_identity(name):
        raise InvalidInput(
            f"{name!r} cannot name a key; use 1 to 255 printable characters, no space, no slash", field="name"
        )


def check_key(key: str) -> None:
    """Raise `InvalidInput` unless this may be a key."""
    if not (MINIMUM_KEY <= len(key) <= MAXIMUM_KEY and key.isprintable()):
        raise InvalidInput(f"a key has {MINIMUM_KEY} to {MAXIMUM_KEY} characters, all of them printable", field="key")


def check_person(email: str | None, full_name: str | None) -> None:
    """Raise `InvalidInput` unless these are text of one line."""
    for field, value in (("email", email), ("full_name", full_name)):
        if value is not None and not (value.isprintable() and 1 <= len(value) <= 255):
            raise InvalidInput(f"`{field}` must be 1 to 255 printable characters", field=field)


def check_number_of_grants(number: int) -> None:
    """Raise `InvalidInput` if an identity would have permissions in too many scopes."""
    if number > MAXIMUM_GRANTS:
        raise InvalidInput(
            f"an identity has permissions in at most {MAXIMUM_GRANTS} scopes; give one in a scope with wildcards, or "
            "revoke some first",
            field="grants",
        )


def check_expiry(expires_at: datetime | None) -> None:
    """Raise `InvalidInput` for an expiry without a time zone, or in no year that calendars here know."""
    if expires_at is None:
        return
    if expires_at.tzinfo is None:
        raise InvalidInput("`expires_at` must have a time zone", field="expires_at")
    if not 1970 <= expires_at.year <= 9000:
        raise InvalidInput("`expires_at` must lie between the years 1970 and 9000", field="expires_at")
