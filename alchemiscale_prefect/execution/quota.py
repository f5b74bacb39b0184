"""How much a unit may write into its scratch directory: measured while it runs."""

import ctypes
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from alchemiscale_prefect.execution import processes
from alchemiscale_prefect.execution.disk import MB

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
_SHARE = 20.0  # of the time measuring may take one part
_BLOCK = 512  # bytes, whatever the file system says


class ScratchQuotaExceeded(Exception):
    """A unit has more in its scratch directory than it may."""


@contextmanager
def limited(scratch: Path, limit_mb: int) -> Iterator[None]:
    """Fail what runs in this block, in this thread, once there is more than `limit_mb` MB in `scratch`; 0: never.

    `ScratchQuotaExceeded` is raised wherever the thread is then, between two of Python's instructions. Processes at
    work in the directory are killed, so that a unit that waits for one hears of it too.
    """
    if not limit_mb:
        yield
        return
    watch = _Watch(scratch, limit_mb)
    watch.start()
    try:
        try:
            yield
        finally:
            watch.stop()
    except ScratchQuotaExceeded:
        watch.stop()  # if it came just before it was told to
        raise


class _Watch(threading.Thread):
    def __init__(self, scratch: Path, limit_mb: int) -> None:
        super().__init__(name="scratch-watch", daemon=True)
        self._scratch = scratch
        self._limit_mb = limit_mb
        self._watched = threading.get_ident()
        self._over = threading.Event()
        self._raising = threading.Lock()

    def run(self) -> None:
        pause = EVERY_SECONDS
        while not self._over.wait(pause):
            began = time.monotonic()
            used = size(self._scratch)
            pause = max(EVERY_SECONDS, _SHARE * (time.monotonic() - began))
            # again and again: it may be caught and not heeded
            if used > self._limit_mb * MB:
                self._interrupt(
                    f"{used / MB:.0f} MB in its scratch directory are more than "
                    f"ALCHEMISCALE_COMPUTE_UNIT_SCRATCH_MB={self._limit_mb}"
                )

    def stop(self) -> None:
        """The block is left: from here on nothing is raised in it."""
        while True:
            try:
                self._over.set()
                with self._raising:
                    _raise_in(self._watched, None)
                return
            except ScratchQuotaExceeded:
                continue  # it came at this very moment, too late

    def _interrupt(self, why: str) -> None:
        class Exceeded(ScratchQuotaExceeded):
            def __init__(self) -> None:  # raised as a class, without arguments
                super().__init__(why)

        Exceeded.__name__ = Exceeded.__qualname__ = ScratchQuotaExceeded.__name__
        with self._raising:
            if self._over.is_set():
                return
            log.warning("stopping a unit: %s", why)
            _raise_in(self._watched, Exceeded)
        _kill_in(self._scratch)


def size(folder: Path) -> int:
    """Bytes that a folder takes of the disk; files that come and go meanwhile count or do not."""
    total = 0
    to_see = [str(folder)]
    while to_see:
        with suppress(OSError), os.scandir(to_see.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        to_see.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * _BLOCK
    return total


def _raise_in(thread: int, exception: type[BaseException] | None) -> None:
    """Have a thread raise an exception; ``None`` takes back one that it has not raised yet."""
    raised = None if exception is None else ctypes.py_object(exception)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)


def _kill_in(folder: Path) -> None:
    """Kill the processes of this one that work in a folder."""
    for process in processes.own():
        with suppress(psutil.Error):
            paths = [process.cwd(), *(file.path for file in process.open_files())]
            if any(Path(path).is_relative_to(folder) for path in paths):
                process.kill()
