"""What is known of networks, apart from their content."""

from typing import Annotated

from fastapi import APIRouter, Depends

from alchemiscale_prefect.api.auth import UserDatabase, UserPrincipal
from alchemiscale_prefect.api.body import documented, json_body
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.services import network_details
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.network_details import NetworkDetails
from alchemiscale_prefect.wire.networks import Networks

router = APIRouter(tags=["networks"])


@router.post(paths.NETWORKS_DETAILS, openapi_extra=documented(Networks))
def get_networks_details(
    database: UserDatabase, principal: UserPrincipal, body: Annotated[Networks, Depends(json_body(Networks))]
) -> list[NetworkDetails | None]:
    """Name, state, weight, creator, ancestor and Tasks by status, of each network."""
    return network_details.of_networks(database, principal, [ScopedKey.from_str(name) for name in body.networks])
