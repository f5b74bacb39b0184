"""Logging in, and who a request comes from.

A login gives a JWT that names the identity and its scopes; requests carry it, so that no replica asks the database who
somebody is. Changed scopes, a new key and ``disabled`` count from the next login.
"""

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import jwt
from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from alchemiscale_prefect.api.dependencies import CurrentSystem
from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.errors import InvalidInput, InvalidScope, NotAuthenticated, TooManyRequests
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.settings import ApiSettings
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.wire import paths

ALGORITHM = "HS256"
MINIMUM_SECRET = 32

_user_token = OAuth2PasswordBearer(tokenUrl=paths.TOKEN.lstrip("/"), scheme_name="user", auto_error=False)
_compute_token = OAuth2PasswordBearer(tokenUrl=paths.COMPUTE_TOKEN.lstrip("/"), scheme_name="compute", auto_error=False)


def check_secret(settings: ApiSettings) -> None:
    """Raise `InvalidInput` for a secret that could be guessed."""
    if len(settings.jwt_secret.get_secret_value()) < MINIMUM_SECRET:
        raise InvalidInput(
            f"ALCHEMISCALE_JWT_SECRET must have {MINIMUM_SECRET} characters or more; "
            'make one with: python -c "import secrets; print(secrets.token_hex(32))"',
            field="jwt_secret",
        )


def issue(settings: ApiSettings, principal: Principal) -> str:
    """A token for `principal`, for requests of its kind only."""
    now = datetime.now(UTC)
    claims = {
        "sub": principal.identifier,
        "scopes": [str(scope) for scope in principal.scopes],
        "aud": principal.kind.value,
        "iat": now,
        "exp": now + timedelta(seconds=settings.jwt_expire_seconds),
    }
    return jwt.encode(claims, settings.jwt_secret.get_secret_value(), ALGORITHM)


def read(settings: ApiSettings, token: str | None, kind: IdentityKind) -> Principal:
    """The principal a token names.

    Raises
    ------
    NotAuthenticated
        No token, or one that is expired, forged, or for another kind of identity.
    """
    if token is None:
        raise NotAuthenticated("Not authenticated; log in and send the token as 'Authorization: Bearer …'")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            settings.jwt_secret.get_secret_value(),
            algorithms=[ALGORITHM],
            audience=kind.value,
            options={"require": ["sub", "aud", "exp"]},
        )
        return Principal.writing(claims["sub"], kind, tuple(Scope.from_str(scope) for scope in claims["scopes"]))
    except jwt.ExpiredSignatureError as error:
        raise NotAuthenticated("Could not validate credentials: the token has expired; log in again") from error
    except (jwt.PyJWTError, InvalidScope, KeyError, TypeError, AttributeError) as error:
        raise NotAuthenticated("Could not validate credentials") from error


class LoginLimit:
    """How often an identity may be refused at one address. Logins that succeed are not counted: alchemiscale's own
    client logs in once per Transformation when it fetches a network's results.

    Parameters
    ----------
    per_minute
        Refusals in any minute, counted by this process.
    """

    def __init__(self, per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, *caller: str) -> None:
        """Raise `TooManyRequests` if the caller was refused too often of late."""
        if not self._limiter.test(self._limit, *caller):
            reset = self._limiter.get_window_stats(self._limit, *caller).reset_time
            wait = max(1, math.ceil(reset - time.time()))
            raise TooManyRequests(f"too many refused logins; try again in {wait} s", retry_after=wait)

    def refused(self, *caller: str) -> None:
        """Count a refusal."""
        self._limiter.hit(self._limit, *caller)


async def login_limit(request: Request) -> LoginLimit:
    """The app's limit."""
    limit: LoginLimit = request.app.state.login_limit
    return limit


async def _user(system: CurrentSystem, token: Annotated[str | None, Depends(_user_token)]) -> Principal:
    return read(system.api, token, IdentityKind.user)


async def _compute(system: CurrentSystem, token: Annotated[str | None, Depends(_compute_token)]) -> Principal:
    return read(system.api, token, IdentityKind.compute)


UserPrincipal = Annotated[Principal, Depends(_user)]
ComputePrincipal = Annotated[Principal, Depends(_compute)]


async def _user_database(system: CurrentSystem, principal: UserPrincipal) -> Database:
    return system.database.restricted(principal.scopes)


async def _compute_database(system: CurrentSystem, principal: ComputePrincipal) -> Database:
    return system.database.restricted(principal.scopes)


UserDatabase = Annotated[Database, Depends(_user_database)]
"""The database as the user's scopes show it: whatever a route forgets to check, Postgres does not give."""
ComputeDatabase = Annotated[Database, Depends(_compute_database)]
"""The same for flow runs."""
