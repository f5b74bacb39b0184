"""What an error looks like on the wire."""

from typing import Any

from pydantic import BaseModel


class ErrorBody(BaseModel):
    """``detail`` is alchemiscale's; ``code`` and ``field`` are for programs."""

    detail: Any
    code: str | None = None
    field: str | None = None
