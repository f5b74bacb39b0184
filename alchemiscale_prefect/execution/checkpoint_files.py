"""The files that a finished unit left in the shared directory, on their way to the API and back.

They travel as a compressed tar archive in parts, so that one part of it is in memory at once, here and in the API.
"""

import io
import os
import posixpath
import shutil
import stat
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from alchemiscale_prefect.domain.errors import InvalidInput

# most of what units leave is compressed already
_LEVEL = 1
_CHUNK = 1024**2

SendPart = Callable[[int, bytes, bool], None]
"""Called with the number of a part, its bytes, and whether it is the last."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What is in a directory.

    Attributes
    ----------
    size
        Bytes in its files.
    obstacle
        Why it cannot be archived; ``None`` if it can.
    relocatable
        Whether no file has the text that was looked for.
    """

    size: int
    obstacle: str | None
    relocatable: bool


def survey(directory: Path, text: str) -> Survey:
    """Look through a directory: how much it is, and whether `text` is in a file or is where a link leads to.

    Raises
    ------
    OSError
        Something in it cannot be read.
    """
    size, relocatable, obstacle = 0, True, None
    wanted = text.encode()
    for path in _below(directory):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            size += status.st_size
            relocatable = relocatable and not _has(path, wanted)
        elif stat.S_ISLNK(status.st_mode):
            if not path.resolve().is_relative_to(directory.resolve()) or path.readlink().is_absolute():
                obstacle = f"{path.name} is a link that leads out of it or has an absolute path"
        elif not stat.S_ISDIR(status.st_mode):
            obstacle = f"{path.name} is neither a file nor a directory"
    return Survey(size, obstacle, relocatable)


def pack(directory: Path, send: SendPart, part_bytes: int) -> None:
    """Archive a directory and send it part by part.

    Raises
    ------
    OSError
        Something in it cannot be read, or changed meanwhile; what was sent is not the whole.
    """
    parts = _Parts(send, part_bytes)
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    with (
        compressor.stream_writer(parts, closefd=False) as compressed,  # type: ignore[arg-type]  # it writes, no more
        tarfile.open(mode="w|", fileobj=compressed, bufsize=_CHUNK, format=tarfile.PAX_FORMAT) as archive,
    ):
        archive.add(directory, arcname=".")
    parts.finish()


def unpack(parts: Iterator[bytes], directory: Path) -> None:
    """Make `directory` as it was when it was archived: whole, or not at all.

    Raises
    ------
    InvalidInput
        The archive is damaged, or something in it would lie elsewhere.
    OSError
        It cannot be written.
    """
    made = directory.with_name(f".{directory.name}-{uuid.uuid4().hex[:12]}")
    made.mkdir(parents=True)
    try:
        _extract(parts, made)
        try:
            made.rename(directory)
        except OSError:
            if not directory.is_dir():  # else another process of this run was faster
                raise
    except (tarfile.TarError, zstandard.ZstdError) as error:
        raise InvalidInput(f"the archive of {directory.name} cannot be read: {error}", field="files") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _extract(parts: Iterator[bytes], directory: Path) -> None:
    decompressor = zstandard.ZstdDecompressor()
    with (
        decompressor.stream_reader(_Reader(parts), read_size=_CHUNK) as decompressed,  # type: ignore[arg-type]  # as above
        tarfile.open(mode="r|", fileobj=decompressed, bufsize=_CHUNK) as archive,
    ):
        if hasattr(tarfile, "data_filter"):
            archive.extractall(directory, filter="data")
        else:  # Python before 3.11.4
            archive.extractall(directory, members=_harmless(archive))  # noqa: S202  that is what the members are for


def _harmless(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of an archive, as long as they lie within it."""
    for member in archive:
        target = posixpath.join(posixpath.dirname(member.name), member.linkname) if member.issym() else member.name
        outside = posixpath.normpath(target).split("/")[0] in ("..", "") or posixpath.isabs(member.linkname)
        if outside or posixpath.normpath(member.name).split("/")[0] == ".." or posixpath.isabs(member.name):
            raise tarfile.TarError(f"{member.name!r} would lie elsewhere")
        if not (member.isreg() or member.isdir() or member.issym()):
            raise tarfile.TarError(f"{member.name!r} is neither a file nor a directory")
        yield member


def _below(directory: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(directory, onerror=_raise):
        yield from (Path(folder, name) for name in (*folders, *files))


def _raise(error: OSError) -> None:
    raise error


def _has(path: Path, wanted: bytes) -> bool:
    with path.open("rb") as file:
        tail = b""
        while chunk := file.read(_CHUNK):
            if wanted in tail + chunk:
                return True
            tail = chunk[-len(wanted) :]
    return False


class _Parts:
    """Cuts what is written to it into parts, and sends each when it is full; the last one only by `finish`."""

    def __init__(self, send: SendPart, part_bytes: int) -> None:
        self._send = send
        self._part_bytes = part_bytes
        self._pending = bytearray()
        self._sent = 0

    def write(self, data: Any) -> int:
        self._pending += data
        while len(self._pending) > self._part_bytes:
            self._next(bytes(self._pending[: self._part_bytes]), last=False)
            del self._pending[: self._part_bytes]
        return len(data)

    def flush(self) -> None:
        """A part is sent when it is full."""

    def finish(self) -> None:
        self._next(bytes(self._pending), last=True)

    def _next(self, data: bytes, *, last: bool) -> None:
        self._send(self._sent, data, last)
        self._sent += 1


class _Reader(io.RawIOBase):
    """Parts as a file to be read from its beginning to its end."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._rest = memoryview(part)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
