"""What is in a scope."""

from fastapi import APIRouter

from alchemiscale_prefect.api.auth import UserDatabase, UserPrincipal
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import objects, status_counts
from alchemiscale_prefect.wire import paths

router = APIRouter(tags=["scopes"])


@router.get(paths.SCOPE_STATUS)
def get_scope_status(
    database: UserDatabase, principal: UserPrincipal, scope: str, network_state: str | None = None
) -> dict[str, int]:
    """Tasks by status, of what the identity sees of a scope."""
    return status_counts.of_scope(database, principal, Scope.from_str(scope), network_state)


@router.get(paths.EXISTS)
def check_exists(database: UserDatabase, principal: UserPrincipal, key: str) -> bool:
    """Whether there is an object, a Task or a result of this name."""
    return objects.exists(database, principal, ScopedKey.from_str(key))
