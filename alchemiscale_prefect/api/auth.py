"""Logging in, and who a request comes from.

A login gives a JWT that names the identity, what it may do where, and the identity's stamp; requests carry it. A change
of the identity makes its stamp another one, and tokens with the old one are refused soon after (`logins.Stamps`), so
that the client logs in again. Apart from that, no replica asks the database who somebody is.
"""

import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import OAuth2PasswordBearer

from alchemiscale_prefect.api.login_limit import LoginLimit
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission, Principal
from alchemiscale_prefect.domain.errors import InvalidInput, InvalidScope, NotAuthenticated
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services.logins import Login, Stamp, Stamps
from alchemiscale_prefect.settings import ApiSettings
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.wire import paths

ALGORITHM = "HS256"
MINIMUM_SECRET = 32

# verified tokens that are remembered
_TOKENS = 4096
_EXPIRED = "Could not validate credentials: the token has expired; log in again"

_user_token = OAuth2PasswordBearer(tokenUrl=paths.TOKEN.lstrip("/"), scheme_name="user", auto_error=False)
_compute_token = OAuth2PasswordBearer(tokenUrl=paths.COMPUTE_TOKEN.lstrip("/"), scheme_name="compute", auto_error=False)
_admin_token = OAuth2PasswordBearer(tokenUrl=paths.ADMIN_TOKEN.lstrip("/"), scheme_name="admin", auto_error=False)


def install(app: FastAPI, system: System) -> None:
    """Have `app` serve `system`: with it come what limits logins, and what knows which tokens still count."""
    app.state.system = system
    app.state.login_limit = LoginLimit(
        system.api.max_token_requests_per_minute, system.api.max_token_requests_per_address_per_minute
    )
    app.state.stamps = Stamps(system.database, system.api.identity_cache_seconds)


def check_secret(settings: ApiSettings) -> None:
    """Raise `InvalidInput` for a secret that could be guessed."""
    for number, secret in enumerate(settings.jwt_secrets()):
        if len(secret) < MINIMUM_SECRET:
            field = "jwt_accepted_secrets" if number else "jwt_secret"
            raise InvalidInput(
                f"ALCHEMISCALE_{field.upper()} must have {MINIMUM_SECRET} characters or more; "
                'make one with: python -c "import secrets; print(secrets.token_hex(32))"',
                field=field,
            )


def issue(settings: ApiSettings, login: Login) -> str:
    """A token for who logged in, for requests of its kind only, and no longer than the identity and its key last."""
    now = datetime.now(UTC)
    ends = now + timedelta(seconds=settings.jwt_expire_seconds)
    secret = settings.jwt_secrets()[0]
    claims = {
        "sub": login.principal.identifier,
        "aud": login.principal.kind.value,
        "grants": {str(grant.scope): grant.permission.value for grant in login.principal.grants},
        "stamp": list(login.stamp),
        "iat": now,
        "exp": ends if login.expires_at is None else min(ends, login.expires_at),
    }
    return jwt.encode(claims, secret, ALGORITHM, headers={"kid": _secret_id(secret)})


def read(settings: ApiSettings, token: str | None, kind: IdentityKind) -> tuple[Principal, Stamp]:
    """The principal a token names, and its stamp.

    Raises
    ------
    NotAuthenticated
        No token, or one that is expired, forged, signed with a secret of former times, or for another kind of identity.
    """
    if token is None:
        raise NotAuthenticated("Not authenticated; log in and send the token as 'Authorization: Bearer …'")
    principal, stamp, expires = _verified(tuple(settings.jwt_secrets()), token, kind)
    if time.time() >= expires:
        raise NotAuthenticated(_EXPIRED)
    return principal, stamp


# what a signature says about a token stays true
@lru_cache(_TOKENS)
def _verified(secrets: tuple[str, ...], token: str, kind: IdentityKind) -> tuple[Principal, Stamp, float]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            {_secret_id(secret): secret for secret in secrets}[jwt.get_unverified_header(token)["kid"]],
            algorithms=[ALGORITHM],
            audience=kind.value,
            # `iat` says nothing that `exp` does not, and would hold replicas to the same second
            options={"require": ["sub", "aud", "exp"], "verify_iat": False},
        )
        identity_id, version = claims["stamp"]
        principal = Principal(claims["sub"], kind, _grants(claims["grants"]))
        return principal, (int(identity_id), int(version)), float(claims["exp"])
    except jwt.ExpiredSignatureError as error:
        raise NotAuthenticated(_EXPIRED) from error
    except (jwt.PyJWTError, InvalidScope, KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotAuthenticated("Could not validate credentials") from error


def _secret_id(secret: str) -> str:
    # tells the secrets apart; who has a token could test a guessed secret on its signature just as well
    return hashlib.sha256(b"kid:" + secret.encode()).hexdigest()[:8]


def _grants(claim: Mapping[str, str]) -> tuple[Grant, ...]:
    return tuple(Grant(Scope.from_str(scope), Permission(permission)) for scope, permission in claim.items())


async def _principal(request: Request, token: str | None, kind: IdentityKind) -> Principal:
    principal, stamp = read(request.app.state.system.api, token, kind)
    stamps: Stamps = request.app.state.stamps
    counts = stamps.remembered(kind, principal.identifier, stamp)
    if counts is None:
        counts = await run_in_threadpool(stamps.asked, kind, principal.identifier, stamp)
    if not counts:
        raise NotAuthenticated("Could not validate credentials: the identity was changed; log in again")
    return principal


async def _user(request: Request, token: Annotated[str | None, Depends(_user_token)]) -> Principal:
    return await _principal(request, token, IdentityKind.user)


async def _compute(request: Request, token: Annotated[str | None, Depends(_compute_token)]) -> Principal:
    return await _principal(request, token, IdentityKind.compute)


async def _admin(request: Request, token: Annotated[str | None, Depends(_admin_token)]) -> Principal:
    return await _principal(request, token, IdentityKind.admin)


UserPrincipal = Annotated[Principal, Depends(_user)]
ComputePrincipal = Annotated[Principal, Depends(_compute)]
AdminPrincipal = Annotated[Principal, Depends(_admin)]


def _restricted(request: Request, principal: Principal) -> Database:
    database: Database = request.app.state.system.database
    return database.restricted(principal.scopes)


async def _user_database(request: Request, principal: UserPrincipal) -> Database:
    return _restricted(request, principal)


async def _compute_database(request: Request, principal: ComputePrincipal) -> Database:
    return _restricted(request, principal)


UserDatabase = Annotated[Database, Depends(_user_database)]
"""The database as the user's scopes show it: whatever a route forgets to check, Postgres does not give."""
ComputeDatabase = Annotated[Database, Depends(_compute_database)]
"""The same for flow runs."""
