"""The one place where errors become answers: code → HTTP status, and a body that is alchemiscale's and more."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alchemiscale_prefect.domain.errors import (
    AlchemiscaleError,
    BodyTooLarge,
    Conflict,
    HostRefused,
    InvalidBody,
    InvalidInput,
    InvalidKeyedChain,
    InvalidScope,
    InvalidScopedKey,
    LeaseHeld,
    ModuleNotAllowed,
    NotAuthenticated,
    NotAuthorized,
    NotFound,
    PermissionDenied,
    TooManyRequests,
    Unavailable,
)
from alchemiscale_prefect.domain.keys import InvalidGufeKey
from alchemiscale_prefect.wire.errors import ErrorBody

log = structlog.get_logger(__name__)

# NotFound is 400 and a foreign scope 401, as in alchemiscale: its client tries a 404 again for a minute
STATUS: Mapping[type[AlchemiscaleError], int] = {
    BodyTooLarge: 413,
    Conflict: 409,
    InvalidBody: 422,
    InvalidGufeKey: 422,
    InvalidInput: 400,
    InvalidKeyedChain: 422,
    InvalidScope: 422,
    InvalidScopedKey: 422,
    ModuleNotAllowed: 422,
    NotAuthenticated: 401,
    NotAuthorized: 401,
    NotFound: 400,
    PermissionDenied: 403,
    TooManyRequests: 429,
    Unavailable: 503,
}
MAX_DETAIL = 4000


def status_of(error: AlchemiscaleError) -> int:
    """The HTTP status for an error: its own, or that of the nearest class above it."""
    return next((STATUS[cls] for cls in type(error).__mro__ if cls in STATUS), 500)


def invalid_body(errors: Sequence[Any]) -> AlchemiscaleError:
    """pydantic's findings as one error: the first one, by the name of its field.

    Where one of our own types refused a value, that error stands for itself.
    """
    first = errors[0]
    location = [str(part) for part in first["loc"] if part not in ("body", "query", "path", "header")]
    field = location[0] if location else None
    where = "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in location).removeprefix(".")
    cause = first.get("ctx", {}).get("error")
    message = f"`{where}`: {cause or first['msg']}" if where else str(cause or first["msg"])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    if isinstance(cause, AlchemiscaleError):
        return type(cause)(message + more, field=field)
    return InvalidBody(message + more, field=field)


def install(app: FastAPI) -> None:
    """Have `app` answer every error."""
    app.add_exception_handler(AlchemiscaleError, _domain_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(ClientDisconnect, _disconnected)
    app.add_middleware(_UnexpectedErrors)


def _domain_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AlchemiscaleError)
    headers = {}
    if isinstance(error, NotAuthenticated | NotAuthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyRequests | LeaseHeld | HostRefused):
        headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, Unavailable):
        log.warning("unavailable", reason=str(error.__cause__ or error))
    # alchemiscale shows a KeyError's message as repr does
    detail = repr(error.message) if isinstance(error, NotFound) else error.message
    return _answer(status_of(error), ErrorBody(detail=detail, code=error.code, field=error.field), headers)


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _domain_error(request, invalid_body(error.errors()))


def _http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(error.status_code, ErrorBody(detail=error.detail), error.headers)


def _disconnected(_request: Request, _error: Exception) -> Response:
    # nobody reads this
    return _answer(400, ErrorBody(detail="the client went away"))


class _UnexpectedErrors:
    """Answers what nobody expected. Starlette's own handler raises the error again, which breaks the connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app; if it fails before it answers, answer for it."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            incident = uuid.uuid4().hex
            log.error("unexpected_error", incident=incident, method=scope["method"], path=scope["path"], exc_info=error)
            detail = f"the server made an error; its log has more under {incident}"
            await _answer(500, ErrorBody(detail=detail, code=AlchemiscaleError.code))(scope, receive, send)


def _answer(status: int, body: ErrorBody, headers: Mapping[str, str] | None = None) -> Response:
    content = body.model_dump()
    if isinstance(content["detail"], str) and len(content["detail"]) > MAX_DETAIL:
        content["detail"] = content["detail"][:MAX_DETAIL] + " …"
    # as ASCII: a message may quote what UTF-8 cannot hold
    return Response(json.dumps(content), status, dict(headers or {}), media_type="application/json")
