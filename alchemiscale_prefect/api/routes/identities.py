"""Identities, as they see themselves."""

from fastapi import APIRouter

from alchemiscale_prefect.api.auth import UserPrincipal
from alchemiscale_prefect.api.dependencies import CurrentSystem
from alchemiscale_prefect.services import identities
from alchemiscale_prefect.wire import paths

router = APIRouter(tags=["identities"])


@router.get(paths.IDENTITY_SCOPES)
def get_scopes(system: CurrentSystem, principal: UserPrincipal, identity: str) -> list[str]:
    """The scopes of an identity: one's own."""
    return [str(scope) for scope in identities.scopes(system.database, principal, identity)]
