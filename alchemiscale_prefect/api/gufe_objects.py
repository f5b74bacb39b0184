"""Answers that are gufe objects: bytes as they are stored, and who wrote them."""

from typing import Any

from fastapi import Response

from alchemiscale_prefect.store.queries.objects import Chain
from alchemiscale_prefect.wire.objects import GUFE_VERSION

JSON = "application/json"
KEYED_CHAIN: dict[int | str, dict[str, Any]] = {
    200: {"content": {JSON: {"schema": {"type": "array", "items": {"type": "array"}, "title": "Keyed chain"}}}}
}
"""What OpenAPI says of such an answer; for ``responses``."""


def keyed_chain(chain: Chain) -> Response:
    """The keyed chain of an object, as JSON."""
    return Response(chain.text, media_type=JSON, headers=written_by(chain.gufe_version))


def written_by(gufe_version: str | None) -> dict[str, str]:
    """The header that tells it, if it is known."""
    return {} if gufe_version is None else {GUFE_VERSION: gufe_version}
