"""A cache on disk: files of bytes, and an index that knows which were used least recently.

Several processes may use one folder. The files are written whole or not at all, each with its checksum; the index is
SQLite without write-ahead log, since home folders are often on network file systems.
"""

import hashlib
import os
import sqlite3
import tempfile
import time
import warnings
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from alchemiscale_prefect.domain.errors import InvalidInput

_CHECKSUM_BYTES = 4
_LOCK_SECONDS = 30.0

_SCHEMA = """
create table entry (
    name text primary key,
    size integer not null,
    used integer not null
) without rowid;
create index entry_used on entry (used);
create table total (bytes integer not null);
insert into total values (0);
create trigger entry_added after insert on entry begin update total set bytes = bytes + new.size; end;
create trigger entry_removed after delete on entry begin update total set bytes = bytes - old.size; end;
pragma user_version = 1;
"""


class CorruptedEntry(Exception):
    """The bytes of an entry are not those that were put in."""


class DiskCache:
    """Bytes by key, the least recently used of which make room for new ones.

    A cache never stands in the way: where its folder cannot be read or written, it warns and holds nothing.

    Parameters
    ----------
    folder
        Made on first use.
    size_limit
        Of all entries together, in bytes.

    Raises
    ------
    InvalidInput
        Also a ValueError: `size_limit` is negative.
    """

    def __init__(self, folder: Path, size_limit: int) -> None:
        if size_limit < 0:
            raise InvalidInput("`cache_size_limit` must be greater than or equal to zero.", field="cache_size_limit")
        self.folder = folder
        self.size_limit = size_limit

    def get(self, key: str) -> bytes | None:
        """The bytes of `key`; ``None`` if it has none.

        Raises
        ------
        CorruptedEntry
        """
        name = _name(key)
        try:
            content = self._file(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn("read", error)
            return None
        data = content[_CHECKSUM_BYTES:]
        if content[:_CHECKSUM_BYTES] != _checksum(data):
            raise CorruptedEntry(key)
        with self._tolerant("read"), self._index() as index:
            used = index.execute("update entry set used = ? where name = ?", (time.time_ns(), name))
            if used.rowcount == 0 and self._file(name).exists():
                # its writer died before it could say so; one that is gone was removed since it was read
                self._add(index, name, len(content))
        return data

    def set(self, key: str, data: bytes) -> None:
        """Put in the bytes of `key`, in place of what it had. More than the limit is not put in at all."""
        content = _checksum(data) + data
        if len(content) > self.size_limit:
            return
        name = _name(key)
        with self._tolerant("written"):
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self.folder, suffix=".part")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                # in one transaction with the index, so that no other process removes the file meanwhile
                with self._index() as index:
                    file_path = self._file(name)
                    file_path.parent.mkdir(exist_ok=True)
                    Path(temporary).replace(file_path)
                    index.execute("delete from entry where name = ?", (name,))
                    self._add(index, name, len(content))
            finally:
                Path(temporary).unlink(missing_ok=True)

    def delete(self, key: str) -> None:
        """Forget `key`; no-op if it is not there."""
        with self._tolerant("written"), self._index() as index:
            self._remove(index, [_name(key)])

    def clear(self) -> None:
        """Forget everything."""
        with self._tolerant("written"), self._index() as index:
            self._remove(index, [name for (name,) in index.execute("select name from entry").fetchall()])

    def __len__(self) -> int:
        return self._number("select count(*) from entry")

    @property
    def size(self) -> int:
        """Of all entries together, in bytes."""
        return self._number("select bytes from total")

    # --- files -----------------------------------------------------------------------------------------------------

    def _file(self, name: str) -> Path:
        return self.folder / name[:2] / name

    def _add(self, index: sqlite3.Connection, name: str, size: int) -> None:
        index.execute("insert into entry values (?, ?, ?)", (name, size, time.time_ns()))
        excess = index.execute("select bytes from total").fetchone()[0] - self.size_limit
        superfluous = []
        for oldest, its_size in index.execute("select name, size from entry order by used"):
            if excess <= 0:
                break
            superfluous.append(oldest)
            excess -= its_size
        self._remove(index, superfluous)

    def _remove(self, index: sqlite3.Connection, names: list[str]) -> None:
        index.executemany("delete from entry where name = ?", [(name,) for name in names])
        for name in names:
            self._file(name).unlink(missing_ok=True)

    # --- index -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _index(self) -> Iterator[sqlite3.Connection]:
        """The index in a transaction of its own. A connection each time: threads and forks share nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "index.sqlite3"
        with closing(sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None)) as connection:
            # a cache lost with the power is no loss
            connection.execute("pragma synchronous = off")
            connection.execute("begin immediate")
            try:
                if connection.execute("pragma user_version").fetchone()[0] == 0:
                    self._begin_anew(connection)
                yield connection
            except BaseException:
                # on a full disk, say, SQLite has rolled back already
                if connection.in_transaction:
                    connection.execute("rollback")
                raise
            connection.execute("commit")

    def _begin_anew(self, connection: sqlite3.Connection) -> None:
        for file in self.folder.glob("??/*"):
            file.unlink(missing_ok=True)
        for statement in _statements(_SCHEMA):
            connection.execute(statement)

    def _number(self, query: str) -> int:
        with self._tolerant("read"), self._index() as index:
            return int(index.execute(query).fetchone()[0])
        return 0

    @contextmanager
    def _tolerant(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            self._warn(doing, error)
        except sqlite3.DatabaseError as error:
            # no database any more: the next use begins anew
            (self.folder / "index.sqlite3").unlink(missing_ok=True)
            self._warn(doing, error)

    def _warn(self, doing: str, error: Exception) -> None:
        warnings.warn(
            f"The local cache at {self.folder} could not be {doing}: {error}. "
            "Set another `cache_directory`, or `use_local_cache=False`.",
            UserWarning,
            stacklevel=2,
        )


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "big")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit the transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
