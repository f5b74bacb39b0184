"""Field types that several bodies share."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.texts import shortened


def _scoped_key(value: Any) -> ScopedKey:
    return value if isinstance(value, ScopedKey) else ScopedKey.from_dict(value)


def _scope(value: Any) -> Scope:
    if isinstance(value, Scope):
        return value
    return Scope.from_str(value) if isinstance(value, str) else Scope.from_dict(value)


def _storable(value: str) -> str:
    return value.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


StorableText = Annotated[str, AfterValidator(_storable)]
"""Text of what went wrong; what Postgres cannot hold of it (NUL, halves of surrogate pairs) becomes an escape."""

MAX_REASON = 20_000


def _shortened(value: str) -> str:
    return shortened(value, MAX_REASON)


ReasonText = Annotated[StorableText, AfterValidator(_shortened)]
"""A `StorableText` that is told with each Task: beyond `MAX_REASON` characters its middle is left out."""

_KEY_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("gufe_key", "org", "campaign", "project")},
            "required": ["gufe_key", "org", "campaign", "project"],
        },
    ]
}
_SCOPE_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                name: {"anyOf": [{"type": "string"}, {"type": "null"}]} for name in ("org", "campaign", "project")
            },
        },
    ]
}

ScopedKeyField = Annotated[
    ScopedKey,
    BeforeValidator(_scoped_key),
    PlainSerializer(lambda key: key.to_dict(), return_type=dict),
    WithJsonSchema(_KEY_SCHEMA),
]
"""A ScopedKey: alchemiscale sends the mapping of its parts; the string is accepted too."""

ScopedKeyText = Annotated[
    ScopedKey,
    BeforeValidator(_scoped_key),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
"""A ScopedKey in an answer of ours: a string on the wire."""

ScopeField = Annotated[
    Scope,
    BeforeValidator(_scope),
    PlainSerializer(lambda scope: scope.to_dict(), return_type=dict),
    WithJsonSchema(_SCOPE_SCHEMA),
]
"""A Scope: the mapping of its parts, or the string."""

ScopeName = Annotated[
    Scope,
    BeforeValidator(_scope),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
"""A Scope as ``org-campaign-project``."""
