"""Networks made of others."""

from typing import Annotated

from fastapi import APIRouter, Depends

from alchemiscale_prefect.api.auth import UserDatabase, UserPrincipal
from alchemiscale_prefect.api.body import documented, json_body
from alchemiscale_prefect.services import copies
from alchemiscale_prefect.wire import copies as wire
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.fields import ScopedKeyField, ScopedKeyText

router = APIRouter(tags=["networks"])


@router.post(paths.NETWORKS_COPY, openapi_extra=documented(wire.CopyNetworks))
def copy_networks(
    database: UserDatabase,
    principal: UserPrincipal,
    body: Annotated[wire.CopyNetworks, Depends(json_body(wire.CopyNetworks))],
) -> list[ScopedKeyText]:
    """Copy networks into a scope, with complete Tasks and results; their keys there, in this order."""
    return copies.copy(database, principal, body.networks, body.scope, body.state)


@router.post(paths.NETWORKS_MERGE, openapi_extra=documented(wire.MergeNetworks))
def merge_networks(
    database: UserDatabase,
    principal: UserPrincipal,
    body: Annotated[wire.MergeNetworks, Depends(json_body(wire.MergeNetworks))],
) -> ScopedKeyField:
    """Make one network of several, in a scope, with complete Tasks and results."""
    return copies.merge(database, principal, body.networks, body.network, body.scope, body.state, body.gufe_version)
