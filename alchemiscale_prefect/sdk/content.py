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

KEPT_OBJECTS = 10_000
"""Decoded objects kept in memory."""


@dataclass(frozen=True, slots=True)
class Content:
    """The zstandard keyed chain of an object, and the way to have it from the API if the cache's is no good."""

    key: ScopedKey
    data: bytes
    fetch: Callable[[], bytes]
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

    def read(self, key: ScopedKey, fetch: Callable[[], bytes]) -> Content:
        """The content of `key`, from the cache or else by `fetch`. May be called by several threads."""
        if self._cache is not None:
            try:
                data = self._cache.get(str(key))
            except CorruptedEntry:
                self._discard(key)
                data = None
            if data is not None:
                return Content(key, data, fetch, from_cache=True)
        data = fetch()
        self._keep(key, data)
        return Content(key, data, fetch, from_cache=False)

    def decode(self, content: Content, expected_key: str | None = None) -> Any:
        """The gufe object of a content. What the cache had and is no good is fetched anew.

        Raises
        ------
        InvalidKeyedChain, ModuleNotAllowed, GufeVersionConflict
            The API's content cannot be decoded here.
        """
        # here, not above: gufe takes seconds to import, and much that a client does needs no object
        from alchemiscale_prefect.chemistry import keyed_chains

        try:
            with self._decoding:
                return keyed_chains.decompress(content.data, expected_key=expected_key)
        except InvalidKeyedChain:
            if not content.from_cache:
                raise
        self._discard(content.key)
        data = content.fetch()
        self._keep(content.key, data)
        with self._decoding:
            return keyed_chains.decompress(data, expected_key=expected_key)

    def _read_object(self, path: str, key: ScopedKey, compress: bool) -> Any:
        def fetch() -> bytes:
            response = self._transport.request("GET", path, headers=accept_encoding(compress))
            return zstandard.ZstdCompressor().compress(response.content)

        return self.decode(self.read(key, fetch), key.gufe_key)

    def _keep(self, key: ScopedKey, data: bytes) -> None:
        if self._cache is not None:
            self._cache.set(str(key), data)

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
