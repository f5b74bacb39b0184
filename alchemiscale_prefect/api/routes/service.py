"""Logging in, and whether the server is there and well."""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from structlog.contextvars import bound_contextvars

from alchemiscale_prefect.api import auth
from alchemiscale_prefect.api.auth import UserPrincipal
from alchemiscale_prefect.api.body import spooled
from alchemiscale_prefect.api.dependencies import CurrentSystem
from alchemiscale_prefect.api.login_limit import LoginLimit
from alchemiscale_prefect.domain.access import IdentityKind
from alchemiscale_prefect.domain.errors import InvalidBody, NotAuthenticated
from alchemiscale_prefect.services import health, logins
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.service import Token

router = APIRouter(tags=["service"])

MAX_FORM_BYTES = 64 * 1024
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "properties": {"username": {"type": "string"}, "password": {"type": "string"}},
                    "required": ["username", "password"],
                }
            }
        },
    }
}


async def _credentials(request: Request) -> tuple[str, str]:
    """Identifier and key from an OAuth2 password form."""
    async with spooled(request, MAX_FORM_BYTES) as (file, _):
        form = file.read().decode(errors="replace")
    try:
        fields = parse_qs(form, keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise InvalidBody("the form has too many fields") from error
    for name in ("username", "password"):
        if name not in fields:
            raise InvalidBody(f"`{name}` is missing; send an x-www-form-urlencoded form", field=name)
    return fields["username"][0], fields["password"][0]


Credentials = Annotated[tuple[str, str], Depends(_credentials)]


@router.post(paths.TOKEN, openapi_extra=_FORM)
def log_in(system: CurrentSystem, request: Request, credentials: Credentials) -> Token:
    """A token for a user, from its identifier (``username``) and key (``password``)."""
    return _token(system, request, credentials, IdentityKind.user)


@router.post(paths.COMPUTE_TOKEN, openapi_extra=_FORM)
def log_in_compute(system: CurrentSystem, request: Request, credentials: Credentials) -> Token:
    """A token for a compute identity, which flow runs log in with."""
    return _token(system, request, credentials, IdentityKind.compute)


@router.post(paths.ADMIN_TOKEN, openapi_extra=_FORM)
def log_in_admin(system: CurrentSystem, request: Request, credentials: Credentials) -> Token:
    """A token for an administrator."""
    return _token(system, request, credentials, IdentityKind.admin)


@router.get(paths.PING)
def ping() -> dict[str, str]:
    """Whether this is the API; needs no token."""
    return {"api": "AlchemiscaleAPI"}


@router.get(paths.INFO)
def info(_principal: UserPrincipal) -> dict[str, str]:
    """About the server."""
    return {"message": "nothing yet"}


@router.get(paths.CHECK)
def check(system: CurrentSystem, _principal: UserPrincipal) -> None:
    """Whether database and object store can be reached; 503 if not."""
    health.check(system.database, system.objects)


def _token(system: CurrentSystem, request: Request, credentials: tuple[str, str], kind: IdentityKind) -> Token:
    identifier, key = credentials
    limit: LoginLimit = request.app.state.login_limit
    caller = (kind.value, identifier, request.client.host if request.client else "")
    with bound_contextvars(address=caller[-1]):
        limit.check(caller)
        try:
            login = logins.authenticate(system.database, kind, identifier, key)
        except NotAuthenticated:
            limit.refused(caller)
            raise
    limit.succeeded(caller)
    request.app.state.stamps.learn(kind, login.principal.identifier, login.stamp)
    return Token(access_token=auth.issue(system.api, login), token_type="bearer")  # noqa: S106  its kind
