"""What the API says of itself: FastAPI's description, with the errors as they are.

``python -m alchemiscale_prefect.api.openapi`` writes it to the standard output, as docs/reference/openapi.json has it.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastapi import FastAPI

from alchemiscale_prefect.domain.access import IdentityKind
from alchemiscale_prefect.wire.errors import ErrorBody

_ERROR = "ErrorBody"
_MEANINGS = {
    400: "The request is wrong, or what it names is not there.",
    401: "No token that counts, or a Scope that is not the identity's.",
    403: "The identity has not the permission that this needs.",
    409: "What is stored contradicts the request.",
    413: "The body is too large.",
    422: "A key, a parameter or the body is malformed.",
    429: "Too many refused logins; `Retry-After` says how long to wait.",
    503: "The database or the object store cannot be reached; try again.",
}
# pydantic's own names for what FastAPI thinks that it answers to a malformed request
_NOT_OURS = ("HTTPValidationError", "ValidationError")


def install(app: FastAPI) -> None:
    """Have `app` describe its errors; nothing is made before somebody asks."""
    plain: Callable[[], dict[str, Any]] = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_errors(plain())
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def as_text(document: Mapping[str, Any]) -> str:
    """The description as JSON that changes only where it does."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _with_errors(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    for name in _NOT_OURS:
        schemas.pop(name, None)
    schemas[_ERROR] = ErrorBody.model_json_schema()
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{_ERROR}"}}}
    for operations in document["paths"].values():
        for method, operation in operations.items():
            operation["responses"].pop("422", None)
            for status in sorted(set(_statuses(method, operation))):
                operation["responses"][str(status)] = {"description": _MEANINGS[status], "content": content}
    return document


def _statuses(method: str, operation: Mapping[str, Any]) -> Iterator[int]:
    kinds = [kind for requirement in operation.get("security", ()) for kind in requirement]
    if "requestBody" in operation:
        yield from (413, 422, 503)
        if not kinds:  # a login
            yield from (401, 429)
    if kinds:
        yield from (401, 503)
    if kinds and (operation.get("parameters") or "requestBody" in operation):
        yield from (400, 403, 422)
    if kinds and (method != "get" or IdentityKind.compute in kinds):
        yield 409


def _main() -> None:
    from alchemiscale_prefect.api.app import create_app
    from alchemiscale_prefect.bootstrap import make_system
    from alchemiscale_prefect.settings import ApiSettings, DatabaseSettings, ObjectStoreSettings

    system = make_system(
        DatabaseSettings(database_url="postgresql://nowhere"),
        ObjectStoreSettings(object_store="nowhere"),
        ApiSettings(jwt_secret="no token is ever signed with this one"),  # noqa: S106
    )
    sys.stdout.write(as_text(create_app(system).openapi()))


if __name__ == "__main__":
    _main()
