"""What identities may do in which scopes. `domain.access.Principal.require_granting` decides who may change it."""

from collections.abc import Sequence

from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission, Principal
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.identities import Access, check_number_of_grants
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import audit
from alchemiscale_prefect.services.identities import as_grants, by_scope, check_acting, known, name
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import grants as rows
from alchemiscale_prefect.store.queries import identities


def grant(
    database: Database, principal: Principal, kind: IdentityKind, identifier: str, grants: Sequence[Grant | Scope]
) -> None:
    """Let an identity do something in scopes; it replaces what it may do in just these.

    Parameters
    ----------
    grants
        A Scope alone stands for ``write`` in it.

    Raises
    ------
    NotAuthorized, PermissionDenied
        The principal may not give this; nothing was changed.
    NotFound
        There is no such identity.
    InvalidInput
        It would have permissions in too many scopes, or `grants` are none or contradict each other.
    """
    if not grants:
        raise InvalidInput("no scopes were given; name one or more", field="grants")
    given = by_scope(kind, grants)
    with database.transaction() as connection:
        acting = check_acting(connection, principal, (kind, identifier))
        for scope in map(Scope.from_str, given):
            acting.require_granting(kind, identifier, scope)
        row = known(connection, kind, identifier)
        check_number_of_grants(len({**row.grants, **given}))
        rows.give(connection, row.id, given)
        identities.advance(connection, row.id)
        for held, permission in given.items():
            details = {"permission": permission, "before": row.grants.get(held)}
            audit.record(connection, principal, "identity.grant", Scope.from_str(held), name(kind, identifier), details)


def revoke(
    database: Database, principal: Principal, kind: IdentityKind, identifier: str, scopes: Sequence[Scope]
) -> None:
    """Take scopes from an identity, exactly as they were given; those it has not are no matter.

    Raises
    ------
    NotAuthorized, PermissionDenied
        The principal may not take this; nothing was changed.
    NotFound
        There is no such identity.
    InvalidInput
        `scopes` are none.
    """
    if not scopes:
        raise InvalidInput("no scopes were given; name one or more", field="scopes")
    with database.transaction() as connection:
        acting = check_acting(connection, principal, (kind, identifier))
        for scope in scopes:
            acting.require_granting(kind, identifier, scope)
        row = known(connection, kind, identifier)
        taken = rows.take(connection, row.id, [str(scope) for scope in scopes])
        if taken:
            identities.advance(connection, row.id)
        for scope in map(Scope.from_str, sorted(taken)):
            details = {"before": row.grants[str(scope)]}
            audit.record(connection, principal, "identity.revoke", scope, name(kind, identifier), details)


def of_identity(database: Database, principal: Principal, kind: IdentityKind, identifier: str) -> tuple[Grant, ...]:
    """What an identity may do where, by scope; for administrators, and for the identity itself."""
    if (kind, identifier) != (principal.kind, principal.identifier):
        principal.require_administrator()
    with database.transaction() as connection:
        return as_grants(known(connection, kind, identifier).grants)


def of_scope(database: Database, principal: Principal, scope: Scope) -> tuple[Access, ...]:
    """Who may do what in a scope, or in a part of it; for who has ``domain`` over it, and for administrators."""
    if principal.kind is not IdentityKind.admin:
        principal.require(scope, Permission.domain)
    with database.transaction() as connection:
        found = rows.meeting(connection, scope)
    return tuple(
        Access(IdentityKind(row.kind), row.identifier, Grant(Scope.from_str(row.scope), Permission(row.permission)))
        for row in found
    )
