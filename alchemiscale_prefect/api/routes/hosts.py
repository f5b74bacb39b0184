"""Which hosts run Tasks, and how that goes: for administrators, who may ban and pardon them."""

from typing import Annotated

from fastapi import APIRouter, Depends

from alchemiscale_prefect.api.auth import AdminPrincipal
from alchemiscale_prefect.api.body import documented, json_body
from alchemiscale_prefect.api.dependencies import CurrentSystem
from alchemiscale_prefect.services import hosts
from alchemiscale_prefect.wire import hosts as wire
from alchemiscale_prefect.wire import paths

router = APIRouter(tags=["admin"])

_NO_CONTENT = 204


@router.get(paths.ADMIN_HOSTS)
def list_hosts(system: CurrentSystem, principal: AdminPrincipal) -> wire.Hosts:
    """Hosts, work pools and images: what failed on them, and which may run Tasks."""
    return wire.Hosts.of(hosts.overview(system.database, principal, system.api.host_policy))


@router.post(paths.ADMIN_HOST_BAN, status_code=_NO_CONTENT, openapi_extra=documented(wire.BanHost))
def ban_host(
    system: CurrentSystem, principal: AdminPrincipal, body: Annotated[wire.BanHost, Depends(json_body(wire.BanHost))]
) -> None:
    """Let nothing begin on a host; what runs there goes on."""
    hosts.ban(system.database, principal, body.host, body.reason, body.until)


@router.post(paths.ADMIN_HOST_PARDON, status_code=_NO_CONTENT, openapi_extra=documented(wire.PardonHost))
def pardon_host(
    system: CurrentSystem,
    principal: AdminPrincipal,
    body: Annotated[wire.PardonHost, Depends(json_body(wire.PardonHost))],
) -> None:
    """Let a host run everything again; what failed on it until now does not count any more."""
    hosts.pardon(system.database, principal, body.host)
