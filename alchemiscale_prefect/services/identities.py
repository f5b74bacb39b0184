"""Identities and their keys: for administrators, and for operators, who have the database's own credentials.

Whatever changes an identity makes its tokens stale (`services.logins.Stamps`) and is in the audit.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission, Principal
from alchemiscale_prefect.domain.errors import (
    Conflict,
    InvalidInput,
    NotAuthenticated,
    NotAuthorized,
    NotFound,
    PermissionDenied,
)
from alchemiscale_prefect.domain.identities import (
    FIRST_KEY,
    MAXIMUM_KEYS,
    ApiKey,
    Identity,
    check_expiry,
    check_identifier,
    check_key_name,
    check_number_of_grants,
    check_person,
    names_an_identity,
)
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import api_keys, audit
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.queries import grants as grant_rows
from alchemiscale_prefect.store.queries import identities


def create(
    database: Database,
    principal: Principal,
    kind: IdentityKind,
    identifier: str,
    key: str,
    grants: Iterable[Grant | Scope] = (),
    *,
    email: str | None = None,
    full_name: str | None = None,
    expires_at: datetime | None = None,
) -> None:
    """Make an identity.

    Parameters
    ----------
    key
        Its first key, 8 to 4096 printable characters. Kept as an Argon2id hash only.
    grants
        What it may do where; wildcards are allowed. A Scope alone stands for ``write`` in it.
    expires_at
        From then on it cannot log in; with a time zone.

    Raises
    ------
    InvalidInput
        The name or the key breaks a rule.
    Conflict
        There is an identity of this kind and name.
    """
    principal.require_administrator()
    check_identifier(identifier)
    check_person(email, full_name)
    check_expiry(expires_at)
    given = by_scope(kind, grants)
    key_hash = api_keys.hashed(key)
    with database.transaction() as connection:
        check_acting(connection, principal)
        identity_id = identities.create(
            connection, kind, identifier, email=email, full_name=full_name, expires_at=expires_at
        )
        if identity_id is None:
            raise Conflict(f"there is a {kind} identity {identifier!r} already", field="identifier")
        identities.add_key(connection, identity_id, FIRST_KEY, key_hash, None)
        grant_rows.give(connection, identity_id, given)
        details = {"grants": given, "expires_at": None if expires_at is None else expires_at.isoformat()}
        audit.record(connection, principal, "identity.create", target=name(kind, identifier), details=details)


def get(database: Database, principal: Principal, kind: IdentityKind, identifier: str) -> Identity:
    """An identity; `NotFound` if there is none of this name."""
    principal.require_administrator()
    with database.transaction() as connection:
        return _identity(known(connection, kind, identifier))


def every(database: Database, principal: Principal, kind: IdentityKind | None = None) -> tuple[Identity, ...]:
    """All identities, or those of a kind, by kind and name."""
    principal.require_administrator()
    with database.transaction() as connection:
        return tuple(_identity(row) for row in identities.every(connection, kind))


def remove(database: Database, principal: Principal, kind: IdentityKind, identifier: str) -> None:
    """Remove an identity with its keys and permissions. What it made stays; another may take its name."""
    with database.transaction() as connection:
        row = _to_change(connection, principal, kind, identifier, "remove")
        identities.remove(connection, row.id)
        audit.record(connection, principal, "identity.remove", target=name(kind, identifier))


def change(
    database: Database,
    principal: Principal,
    kind: IdentityKind,
    identifier: str,
    values: Mapping[str, str | datetime | None],
) -> None:
    """Change who an identity is said to be, and when it ends; its tokens count no more if the end is another.

    Parameters
    ----------
    values
        Of ``email``, ``full_name`` and ``expires_at`` those to change; ``None`` takes one away.

    Raises
    ------
    InvalidInput
        Nothing is to be changed, or something breaks a rule.
    PermissionDenied
        An administrator would set its own end.
    """
    if not values:
        raise InvalidInput("nothing to change was given; give `email`, `full_name` or `expires_at`", field="values")
    email, full_name, expires_at = (values.get(field) for field in ("email", "full_name", "expires_at"))
    check_person(None if email is None else str(email), None if full_name is None else str(full_name))
    check_expiry(expires_at if isinstance(expires_at, datetime) else None)
    ends = "expires_at" in values
    with database.transaction() as connection:
        row = _to_change(connection, principal, kind, identifier, "set an end to" if ends else None)
        identities.change(connection, row.id, values)
        if ends:
            identities.advance(connection, row.id)
        details = {
            field: value.isoformat() if isinstance(value, datetime) else value for field, value in values.items()
        }
        audit.record(connection, principal, "identity.set", target=name(kind, identifier), details=details)


def set_disabled(database: Database, principal: Principal, kind: IdentityKind, identifier: str, disabled: bool) -> None:
    """Bar an identity from logging in, or let it again; its tokens count no more."""
    with database.transaction() as connection:
        row = _to_change(connection, principal, kind, identifier, "disable")
        identities.set_disabled(connection, row.id, disabled)
        identities.advance(connection, row.id)
        action = "identity.disable" if disabled else "identity.enable"
        audit.record(connection, principal, action, target=name(kind, identifier))


def add_key(
    database: Database,
    principal: Principal,
    kind: IdentityKind,
    identifier: str,
    key_name: str,
    key: str,
    *,
    expires_at: datetime | None = None,
) -> None:
    """Give an identity one more key. Expired keys are removed, so that they do not count.

    Raises
    ------
    Conflict
        It has a key of this name, or as many keys as it may have.
    """
    _give_key(database, principal, kind, identifier, key_name, key, expires_at, replace=False)


def set_key(
    database: Database,
    principal: Principal,
    kind: IdentityKind,
    identifier: str,
    key: str,
    key_name: str = FIRST_KEY,
) -> None:
    """Give an identity a key in place of the one of this name; `Conflict` if it has as many others as it may have."""
    _give_key(database, principal, kind, identifier, key_name, key, None, replace=True)


def keys(database: Database, principal: Principal, kind: IdentityKind, identifier: str) -> tuple[ApiKey, ...]:
    """The keys of an identity, the newest first; what they are nobody knows but who was given them."""
    principal.require_administrator()
    with database.transaction() as connection:
        rows = identities.keys(connection, known(connection, kind, identifier).id)
    return tuple(ApiKey(row.name, row.expires_at, row.created_at) for row in rows)


def revoke_key(database: Database, principal: Principal, kind: IdentityKind, identifier: str, key_name: str) -> None:
    """Take a key from an identity; `NotFound` if it has none of this name. Its tokens count no more."""
    check_key_name(key_name)
    with database.transaction() as connection:
        row = _to_change(connection, principal, kind, identifier)
        if not identities.remove_key(connection, row.id, key_name):
            raise NotFound(f"{kind} identity {identifier!r} has no key {key_name!r}", field="name")
        identities.advance(connection, row.id)
        details = {"key": key_name}
        audit.record(connection, principal, "identity.key.revoke", target=name(kind, identifier), details=details)


def scopes(database: Database, principal: Principal, identifier: str) -> tuple[Scope, ...]:
    """The scopes an identity has now, sorted.

    Raises
    ------
    NotAuthorized
        It is another identity than the one that asks.
    """
    if identifier != principal.identifier:
        raise NotAuthorized("an identity sees its own scopes only", field="identity")
    with database.transaction() as connection:
        row = known(connection, principal.kind, identifier)
    return tuple(map(Scope.from_str, sorted(row.grants)))


def name(kind: str, identifier: str) -> str:
    """How the audit calls an identity."""
    return f"{kind}/{identifier}"


def known(connection: Connection, kind: IdentityKind, identifier: str) -> identities.IdentityRow:
    """An identity's row; `NotFound` if there is none."""
    row = identities.find(connection, kind, identifier) if names_an_identity(identifier) else None
    if row is None:
        raise NotFound(f"there is no {kind} identity {identifier!r}", field="identifier")
    return row


def check_acting(connection: Connection, principal: Principal, *others: tuple[str, str]) -> Principal:
    """Lock who acts and whom it acts on, and give the principal with the rights it has at this moment.

    A token may be some seconds behind: two who take each other's rights at once must not both succeed.
    """
    named = [(kind, identifier) for kind, identifier in others if names_an_identity(identifier)]
    if principal.operator:
        identities.lock(connection, named)
        return principal
    identities.lock(connection, [(principal.kind, principal.identifier), *named])
    row = identities.find(connection, principal.kind, principal.identifier)
    if row is None or row.disabled or row.expired:
        raise NotAuthenticated("Could not validate credentials: the identity may not log in any more")
    return Principal(row.identifier, principal.kind, as_grants(row.grants))


def as_grants(held: Mapping[str, str]) -> tuple[Grant, ...]:
    """Grants by scope, as they are kept, as values; sorted."""
    return tuple(Grant(Scope.from_str(scope), Permission(held[scope])) for scope in sorted(held))


def by_scope(kind: IdentityKind, grants: Iterable[Grant | Scope]) -> dict[str, str]:
    """Grants as they are kept.

    Raises
    ------
    InvalidInput
        Two speak of one scope, they are too many, or an identity of `kind` has none.
    """
    wanted = [grant if isinstance(grant, Grant) else Grant(grant) for grant in grants]
    if wanted and kind is IdentityKind.admin:
        raise InvalidInput("an admin identity has no scopes; it administers, and sees no network", field="grants")
    kept: dict[str, str] = {}
    for grant in wanted:
        if kept.setdefault(str(grant.scope), grant.permission.value) != grant.permission.value:
            raise InvalidInput(f"scope {grant.scope} is given twice, with two permissions", field="grants")
    check_number_of_grants(len(kept))
    return kept


def _identity(row: identities.IdentityRow) -> Identity:
    return Identity(
        kind=IdentityKind(row.kind),
        identifier=row.identifier,
        grants=as_grants(row.grants),
        email=row.email,
        full_name=row.full_name,
        disabled=row.disabled,
        expires_at=row.expires_at,
        created_at=row.created_at,
    )


def _to_change(
    connection: Connection, principal: Principal, kind: IdentityKind, identifier: str, verb: str | None = None
) -> identities.IdentityRow:
    """The row of an identity, locked, for an administrator; who may not `verb` themselves, so that one is left."""
    principal.require_administrator()
    if verb is not None and not principal.operator and (kind, identifier) == (principal.kind, principal.identifier):
        raise PermissionDenied(
            f"an administrator does not {verb} itself; another one does, or who has the database", field="identifier"
        )
    check_acting(connection, principal, (kind, identifier))
    return known(connection, kind, identifier)


def _give_key(
    database: Database,
    principal: Principal,
    kind: IdentityKind,
    identifier: str,
    key_name: str,
    key: str,
    expires_at: datetime | None,
    *,
    replace: bool,
) -> None:
    principal.require_administrator()
    check_key_name(key_name)
    check_expiry(expires_at)
    key_hash = api_keys.hashed(key)
    with database.transaction() as connection:
        row = _to_change(connection, principal, kind, identifier)
        names = []
        for held in identities.keys(connection, row.id):
            if held.expired or (replace and held.name == key_name):
                identities.remove_key(connection, row.id, held.name)
            else:
                names.append(held.name)
        if key_name in names:
            raise Conflict(
                f"{kind} identity {identifier!r} has a key {key_name!r}; revoke it, or use another name", field="name"
            )
        if len(names) >= MAXIMUM_KEYS:
            raise Conflict(
                f"{kind} identity {identifier!r} has {MAXIMUM_KEYS} keys ({', '.join(names)}); revoke one first",
                field="name",
            )
        identities.add_key(connection, row.id, key_name, key_hash, expires_at)
        identities.advance(connection, row.id)
        details = {"key": key_name, "expires_at": None if expires_at is None else expires_at.isoformat()}
        audit.record(connection, principal, "identity.key.add", target=name(kind, identifier), details=details)
