"""Who may do what in a scope: for users who have ``domain`` there."""

from typing import Annotated

from fastapi import APIRouter, Depends

from alchemiscale_prefect.api.auth import UserPrincipal
from alchemiscale_prefect.api.body import documented, json_body
from alchemiscale_prefect.api.dependencies import CurrentSystem
from alchemiscale_prefect.domain.access import Grant, IdentityKind
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import grants
from alchemiscale_prefect.wire import identities as wire
from alchemiscale_prefect.wire import paths

# the database as it is: nobody who is restricted to scopes sees who there is, and what these routes show and change
# the services decide by the rights that the database has at that moment
router = APIRouter(tags=["identities"])

_NO_CONTENT = 204


@router.get(paths.SCOPE_GRANTS)
def get_scope_grants(system: CurrentSystem, principal: UserPrincipal, scope: str) -> list[wire.Access]:
    """Who may do what in a scope, or in a part of it."""
    found = grants.of_scope(system.database, principal, Scope.from_str(scope))
    return [wire.Access.model_validate(access) for access in found]


@router.post(paths.SCOPE_GRANTS, status_code=_NO_CONTENT, openapi_extra=documented(wire.GiveGrant))
def grant_scope(
    system: CurrentSystem,
    principal: UserPrincipal,
    scope: str,
    body: Annotated[wire.GiveGrant, Depends(json_body(wire.GiveGrant))],
) -> None:
    """Let a user do something in a scope, instead of what it may do there now."""
    grant = Grant(Scope.from_str(scope), body.permission)
    grants.grant(system.database, principal, IdentityKind.user, body.identifier, [grant])


@router.delete(paths.SCOPE_GRANT, status_code=_NO_CONTENT)
def revoke_scope(system: CurrentSystem, principal: UserPrincipal, scope: str, identity: str) -> None:
    """Take a scope from a user, exactly as it was given."""
    grants.revoke(system.database, principal, IdentityKind.user, identity, [Scope.from_str(scope)])
