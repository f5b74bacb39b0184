"""What a unit prints and logs, kept in files of the directories from which gufe takes it into the unit's result.

Units run in threads of one process, so what is written is told apart by the context that writes it. Everything also
goes where it went before. Below Python (a C library, a subprocess) nothing is seen: a Protocol that wants such output
kept writes it into ``ctx.stdout`` or ``ctx.stderr`` itself.
"""

import io
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO

MOST_BYTES = 1_000_000
"""Of each file; results are kept for good, and fetched whole."""

_FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")


class _File:
    """A file that is made when something is written, and that stops growing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._left = MOST_BYTES

    def write(self, text: str) -> None:
        data = text.encode(errors="backslashreplace")
        with self._lock:
            if self._left <= 0:
                return
            self._left -= len(data)
            if self._left <= 0:
                data = data[: self._left or None] + b"\n[cut off here]\n"
            # opened each time: gufe reads it in the middle of a unit's execution
            with self._path.open("ab") as file:
                file.write(data)


class _Files:
    """Of one try of a unit."""

    def __init__(self, stdout: Path, stderr: Path) -> None:
        self.stdout = _File(stdout / "stdout.txt")
        self.stderr = _File(stderr / "stderr.txt")
        self.logging = _File(stderr / "logging.txt")


_current: ContextVar[_Files | None] = ContextVar("captured", default=None)


class _Tee(io.TextIOBase):
    """A standard stream whose text is also kept for the unit that writes it."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self.stream = stream
        self._name = name

    def write(self, text: str) -> int:
        files = _current.get()
        if files is not None:
            getattr(files, self._name).write(text)
        return self.stream.write(text)

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class _Handler(logging.Handler):
    """Keeps the records of a unit."""

    def emit(self, record: logging.LogRecord) -> None:
        files = _current.get()
        if files is not None:
            try:
                files.logging.write(self.format(record) + "\n")
            except Exception:  # noqa: BLE001  as every handler: what is wrong with a record is no reason to stop
                self.handleError(record)


class _Installed:
    """The handler and the streams of the process, there while a unit runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._handler = _Handler()
        self._handler.setFormatter(_FORMAT)

    def add(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                logging.getLogger().addHandler(self._handler)
                sys.stdout, sys.stderr = _Tee(sys.stdout, "stdout"), _Tee(sys.stderr, "stderr")

    def remove(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
            logging.getLogger().removeHandler(self._handler)
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if isinstance(stream, _Tee):  # else somebody has put another in its place
                    setattr(sys, name, stream.stream)


_installed = _Installed()


@contextmanager
def captured(stdout: Path, stderr: Path) -> Iterator[None]:
    """Keep what is printed and logged in the block, by this thread and in copies of its context.

    Parameters
    ----------
    stdout
        An existing directory, for ``stdout.txt``.
    stderr
        An existing directory, for ``stderr.txt`` and ``logging.txt``. Which records are made, the loggers' levels say.
    """
    _installed.add()
    token = _current.set(_Files(stdout, stderr))
    try:
        yield
    finally:
        _current.reset(token)
        _installed.remove()
