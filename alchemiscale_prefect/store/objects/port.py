"""The object store: bytes by location. One contract suite holds every implementation to this."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from alchemiscale_prefect.domain.errors import InvalidInput

_PART = re.compile(r"[A-Za-z0-9_.\-]{1,255}")
MAX_LOCATION = 1000


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Something that is kept.

    Attributes
    ----------
    size
        Bytes.
    modified
        When it was put, by the clock of the store.
    """

    location: str
    size: int
    modified: datetime


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

    def list(self, prefix: str) -> Iterator[Sequence[StoredObject]]:
        """What is kept below the location `prefix`, in batches of a thousand or so and in any order.

        What is put or deleted meanwhile may be among it or not.
        """
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
