"""Identities: who they are, and which scopes they have.

`authenticate` and `scopes` serve users. The others are for operators, who have the database's own credentials; they
take no principal.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from threading import BoundedSemaphore

from pwdlib import PasswordHash

from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.errors import Conflict, InvalidInput, NotAuthenticated, NotAuthorized, NotFound
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.queries import identities

MINIMUM_KEY = 8
MAXIMUM_KEY = 4096

# Argon2 takes 64 MiB for each key it looks at
_HASHING = BoundedSemaphore(4)


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity as an operator sees it."""

    kind: IdentityKind
    identifier: str
    scopes: tuple[Scope, ...]
    disabled: bool
    expires_at: datetime | None


def create(
    database: Database,
    kind: IdentityKind,
    identifier: str,
    key: str,
    scopes: Iterable[Scope] = (),
    *,
    expires_at: datetime | None = None,
) -> None:
    """Make an identity.

    Parameters
    ----------
    key
        Its secret, 8 to 4096 characters. Kept as an Argon2id hash only.
    scopes
        What it may see; wildcards are allowed.
    expires_at
        From then on it cannot log in; with a time zone.

    Raises
    ------
    InvalidInput
        The name or the key breaks a rule.
    Conflict
        There is an identity of this kind and name.
    """
    _check_identifier(identifier)
    if expires_at is not None and expires_at.tzinfo is None:
        raise InvalidInput("`expires_at` must have a time zone", field="expires_at")
    key_hash = _hash(key)
    with database.transaction() as connection:
        identity_id = identities.create(connection, kind, identifier, key_hash, expires_at)
        if identity_id is None:
            raise Conflict(f"there is a {kind} identity {identifier!r} already", field="identifier")
        identities.add_scopes(connection, identity_id, [str(scope) for scope in scopes])


def authenticate(database: Database, kind: IdentityKind, identifier: str, key: str) -> Principal:
    """The principal behind a name and a key.

    Raises
    ------
    NotAuthenticated
        No such identity, a wrong key, disabled or expired: all with one text and at one cost, so that nobody learns
        which names there are.
    """
    known = None
    if _names_an_identity(identifier):
        with database.transaction() as connection:
            known = identities.find(connection, kind, identifier)
    key_is_right = _verify(key, _unusable_hash() if known is None else known.key_hash)
    if known is None or not key_is_right or known.disabled or known.expired:
        raise NotAuthenticated("Incorrect identity or key")
    return Principal.writing(known.identifier, kind, tuple(Scope.from_str(scope) for scope in known.scopes))


def scopes(database: Database, principal: Principal, identifier: str) -> tuple[Scope, ...]:
    """The scopes an identity has now, sorted; they come into its tokens at its next login.

    Raises
    ------
    NotAuthorized
        It is another identity than the one that asks.
    """
    if identifier != principal.identifier:
        raise NotAuthorized("an identity sees its own scopes only", field="identity")
    with database.transaction() as connection:
        return tuple(Scope.from_str(scope) for scope in _known(connection, principal.kind, identifier).scopes)


def every(database: Database, kind: IdentityKind) -> tuple[Identity, ...]:
    """All identities of a kind, by name."""
    with database.transaction() as connection:
        rows = identities.every(connection, kind)
    return tuple(
        Identity(kind, row.identifier, tuple(map(Scope.from_str, row.scopes)), row.disabled, row.expires_at)
        for row in rows
    )


def add_scopes(database: Database, kind: IdentityKind, identifier: str, scopes: Iterable[Scope]) -> None:
    """Give an identity more scopes; `NotFound` if there is none of this name."""
    with database.transaction() as connection:
        known = _known(connection, kind, identifier)
        identities.add_scopes(connection, known.id, [str(scope) for scope in scopes])


def remove_scopes(database: Database, kind: IdentityKind, identifier: str, scopes: Iterable[Scope]) -> None:
    """Take scopes from an identity, exactly as they were given; `NotFound` if there is none of this name."""
    with database.transaction() as connection:
        known = _known(connection, kind, identifier)
        identities.remove_scopes(connection, known.id, [str(scope) for scope in scopes])


def set_key(database: Database, kind: IdentityKind, identifier: str, key: str) -> None:
    """Give an identity a new key; `NotFound` if there is none of this name."""
    key_hash = _hash(key)
    with database.transaction() as connection:
        identities.set_key(connection, _known(connection, kind, identifier).id, key_hash)


def set_disabled(database: Database, kind: IdentityKind, identifier: str, disabled: bool) -> None:
    """Bar an identity from logging in, or let it again; `NotFound` if there is none of this name."""
    with database.transaction() as connection:
        identities.set_disabled(connection, _known(connection, kind, identifier).id, disabled)


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()


@cache
def _unusable_hash() -> str:
    return _hasher().hash("no identity has this key, for it is longer than a key can be".ljust(MAXIMUM_KEY + 1))


def _hash(key: str) -> str:
    if not MINIMUM_KEY <= len(key) <= MAXIMUM_KEY:
        raise InvalidInput(f"a key has {MINIMUM_KEY} to {MAXIMUM_KEY} characters", field="key")
    with _HASHING:
        return _hasher().hash(key)


def _verify(key: str, key_hash: str) -> bool:
    # both hashes exist before the clock of either case runs
    _unusable_hash()
    with _HASHING:
        return _hasher().verify(key[: MAXIMUM_KEY + 1], key_hash) and len(key) <= MAXIMUM_KEY


def _names_an_identity(identifier: str) -> bool:
    return 1 <= len(identifier) <= 255 and identifier.isprintable() and not set(" /") & set(identifier)


def _check_identifier(identifier: str) -> None:
    if not _names_an_identity(identifier):
        raise InvalidInput(
            f"{identifier!r} cannot name an identity; use 1 to 255 printable characters, no space, no slash",
            field="identifier",
        )


def _known(connection: Connection, kind: IdentityKind, identifier: str) -> identities.IdentityRow:
    known = identities.find(connection, kind, identifier)
    if known is None:
        raise NotFound(f"there is no {kind} identity {identifier!r}", field="identifier")
    return known
