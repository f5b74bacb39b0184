"""An object store in a folder."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from alchemiscale_prefect.domain.errors import NotFound, Unavailable
from alchemiscale_prefect.store.objects.port import StoredObject, check_location

_BATCH = 1000


class LocalObjectStore:
    """`ObjectStore` in a folder of one machine, or of a file system that all replicas of the API share.

    Writes go to a file beside the location that is then renamed, so that they are atomic; a `put` that has returned
    is on the disk, also after a power cut: the database may record it.

    Parameters
    ----------
    folder
        Made on first use.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def _store(self) -> LocalStore:
        # its automatic clean-up of empty folders stays off: it makes a put beside a delete fail
        return LocalStore(self.folder.absolute(), mkdir=True)

    def put(self, location: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        check_location(location)
        with _reached():
            obstore.put(self._store, location, data)
            path = self.folder.absolute() / location
            # the file, then the names that lead to it
            for part in (path, *path.parents[: location.count("/") + 1]):
                _sync(part)

    def get(self, location: str) -> bytes:
        """See `ObjectStore.get`."""
        check_location(location)
        with _reached():
            try:
                return obstore.get(self._store, location).bytes().to_bytes()
            except FileNotFoundError as error:
                raise NotFound(f"nothing is kept at {location} in the object store") from error

    def size(self, location: str) -> int | None:
        """See `ObjectStore.size`."""
        check_location(location)
        with _reached():
            try:
                return obstore.head(self._store, location)["size"]
            except FileNotFoundError:
                return None

    def exists(self, location: str) -> bool:
        """See `ObjectStore.exists`."""
        return self.size(location) is not None

    def delete(self, locations: Iterable[str]) -> None:
        """See `ObjectStore.delete`."""
        for location in [check_location(location) for location in locations]:
            with _reached():
                try:
                    obstore.delete(self._store, location)
                except FileNotFoundError:
                    continue

    def list(self, prefix: str) -> Iterator[Sequence[StoredObject]]:
        """See `ObjectStore.list`."""
        check_location(prefix)
        with _reached():
            batches = iter(obstore.list(self._store, prefix, chunk_size=_BATCH))
        while True:
            with _reached():
                batch = next(batches, None)
            if batch is None:
                return
            yield [StoredObject(item["path"], item["size"], item["last_modified"]) for item in batch]


def _sync(path: Path) -> None:
    # obstore leaves it to the system when written data reaches the disk
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return  # deleted since
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        # the first line says what is wrong, the others are for obstore's authors
        raise Unavailable(f"the object store: {str(error).splitlines()[0]}") from error
