"""Checks of what goes into an AlchemicalArchive."""

import json
from typing import Any

from gufe.tokenization import JSON_HANDLER


def check_metadata(metadata: Any) -> None:
    """Raise what gufe's JSON raises (TypeError, ValueError, RecursionError) if it cannot write `metadata`."""
    json.dumps(metadata, cls=JSON_HANDLER.encoder)
