"""The object store: bytes by location. One contract suite holds every implementation to this."""

import re
from collections.abc import Iterable
from typing import Protocol

from alchemiscale_prefect.domain.errors import InvalidInput

_PART = re.compile(r"[A-Za-z0-9_.\-]{1,255}")
MAX_LOCATION = 1000


class ObjectStore(Protocol):
    """Keeps bytes by location, ``a/b/c``: parts of letters, digits, ``_``, ``-`` and ``.``, never ``.`` or ``..``.

    A reader sees the whole of what was put, or what was there before, never a part.
    """

    def put(self, location: str, data: bytes) -> None:
        """Keep `data`, in place of what is there; `InvalidInput` if the location breaks the rules, `Unavailable` if the
        store cannot be used now (every method)."""
        ...

    def get(self, location: str) -> bytes:
        """What was put; `NotFound` if nothing was."""
        ...

    def size(self, location: str) -> int | None:
        """Bytes kept there; ``None`` if nothing is."""
        ...

    def exists(self, location: str) -> bool:
        """Whether something is kept there."""
        ...

    def delete(self, locations: Iterable[str]) -> None:
        """Forget what is kept there; where nothing is, nothing happens."""
        ...


def check_location(location: str) -> str:
    """`location` itself, if it keeps the rules.

    Raises
    ------
    InvalidInput
        It is empty, too long, absolute, or a part could lead out of the store.
    """
    parts = location.split("/")
    if len(location) > MAX_LOCATION or any(_PART.fullmatch(part) is None or set(part) == {"."} for part in parts):
        raise InvalidInput(
            f"{location[:MAX_LOCATION]!r} is not a location in the object store; expected 'a/b/c' of letters, digits, "
            "'_', '-' and '.'",
            field="location",
        )
    return location
