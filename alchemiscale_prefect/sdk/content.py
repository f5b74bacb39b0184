"""Compressed keyed chains: from the cache on disk or the API, and decoded into gufe objects."""

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import zstandard

from alchemiscale_prefect.domain.errors import InvalidKeyedChain
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.sdk.cache import CorruptedEntry, DiskCache
from alchemiscale_prefect.sdk.transport import Transport
from alchemiscale_prefect.wire.objects import GUFE_VERSION

KEPT_OBJECTS = 10_000
"""Decoded objects kept in memory."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it is stored.

    Attributes
    ----------
    data
        Its keyed chain, compressed by zstandard.
    gufe_version
        Who wrote it, if the API says so: keys are not stable across versions of gufe.
    """

    data: bytes
    gufe_version: str | None

    def to_bytes(self) -> bytes:
        """Both in one, for the cache: the version is the first line."""
        return (self.gufe_version or "").encode("latin-1") + b"\n" + self.data

    @classmethod
    def from_bytes(cls, entry: bytes) -> "Stored":
        """Inverse of `to_bytes`; of anything else it makes what cannot be decoded."""
        version, _, data = entry.partition(b"\n")
        return cls(data, version.decode("latin-1") or None)


@dataclass(frozen=True, slots=True)
class Content:
    """A stored object, and the way to have it from the API if the cache's is no good."""

    key: ScopedKey
    stored: Stored
    fetch: Callable[[], Stored]
    from_cache: bool


class ContentReader:
    """Reads contents, from the cache first, and decodes them.

    Parameters
    ----------
    transport
        To the API.
    cache
        ``None`` for no cache on disk.
    """

    def __init__(self, transport: Transport, cache: DiskCache | None) -> None:
        self._transport = transport
        self._cache = cache
        # gufe shares equal objects through a registry that is not made for threads
        self._decoding = threading.Lock()
        self._decoded = lru_cache(KEPT_OBJECTS)(self._read_object)

    def object(self, path: str, key: ScopedKey, compress: bool) -> Any:
        """The gufe object `key`, whose keyed chain the API gives at `path`.

        Raises
        ------
        AlchemiscaleClientError
            There is none, or it is out of reach.
        InvalidKeyedChain, ModuleNotAllowed, GufeVersionConflict
            It cannot be decoded here, or is not the object that its key says.
        """
        return self._decoded(path, key, compress)

    def read(self, key: ScopedKey, fetch: Callable[[], Stored]) -> Content:
        """The content of `key`, from the cache or else by `fetch`. May be called by several threads."""
        if self._cache is not None:
            try:
                entry = self._cache.get(str(key))
            except CorruptedEntry:
                self._discard(key)
                entry = None
            if entry is not None:
                return Content(key, Stored.from_bytes(entry), fetch, from_cache=True)
        stored = fetch()
        self._keep(key, stored)
        return Content(key, stored, fetch, from_cache=False)

    def decode(self, content: Content, expected_key: str | None = None) -> Any:
        """The gufe object of a content. What the cache had and is no good is fetched anew.

        Raises
        ------
        InvalidKeyedChain, ModuleNotAllowed, GufeVersionConflict
            The API's content cannot be decoded here.
        """
        try:
            return self._decompress(content.stored, expected_key)
        except InvalidKeyedChain:
            if not content.from_cache:
                raise
        self._discard(content.key)
        stored = content.fetch()
        self._keep(content.key, stored)
        return self._decompress(stored, expected_key)

    def _decompress(self, stored: Stored, expected_key: str | None) -> Any:
        # here, not above: gufe takes seconds to import, and much that a client does needs no object
        from alchemiscale_prefect.chemistry import keyed_chains

        with self._decoding:
            return keyed_chains.decompress(stored.data, expected_key=expected_key, gufe_version=stored.gufe_version)

    def _read_object(self, path: str, key: ScopedKey, compress: bool) -> Any:
        def fetch() -> Stored:
            response = self._transport.request("GET", path, headers=accept_encoding(compress))
            data = zstandard.ZstdCompressor().compress(response.content)
            return Stored(data, response.headers.get(GUFE_VERSION))

        return self.decode(self.read(key, fetch), key.gufe_key)

    def _keep(self, key: ScopedKey, stored: Stored) -> None:
        if self._cache is not None:
            self._cache.set(str(key), stored.to_bytes())

    def _discard(self, key: ScopedKey) -> None:
        warnings.warn(
            f"Error decompressing cached {key.qualname} ({key}), deleting entry and retrieving new content.",
            UserWarning,
            stacklevel=2,
        )
        if self._cache is not None:
            self._cache.delete(str(key))


def accept_encoding(compress: bool) -> dict[str, str]:
    """The header that asks for a compressed answer, or for a plain one."""
    return {"Accept-Encoding": "gzip" if compress else "identity"}
