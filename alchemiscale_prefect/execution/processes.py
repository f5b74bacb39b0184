"""Processes that ProtocolUnits start: none of them computes on when the run is stopped.

They are told by descent, and by a variable of the environment that they inherit: what has left its parent has that
still.
"""

import logging
import os
import select
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import psutil

log = logging.getLogger(__name__)

MARK = "ALCHEMISCALE_FLOW_RUN_PROCESS"

_CLOCK_SECONDS = 60.0
_MOST_ROUNDS = 10  # one that forks while it is looked at is met in the next round


def mark() -> None:
    """From here on, whatever this process starts is known as its own."""
    this = psutil.Process()
    os.environ[MARK] = f"{_namespace()}/{this.pid}/{this.create_time():.0f}/{uuid.uuid4().hex}"


def end_orphans() -> int:
    """Kill what flow runs have left on this host that were themselves killed outright; how many processes."""
    orphans = [process for process, mark in _marked() if _is_orphaned(mark)]
    for process in orphans:
        with suppress(psutil.Error):
            log.warning("killing process %d, which an earlier flow run has left: %s", process.pid, process.name())
            process.kill()
    return len(orphans)


def _is_orphaned(mark: str) -> bool:
    """Whether the process is gone that made this mark; False if that cannot be told from here."""
    namespace, _, rest = mark.partition("/")
    pid, _, rest = rest.partition("/")
    created = rest.partition("/")[0]
    if namespace != _namespace() or not (pid.isdecimal() and created.isdecimal()):
        return False
    try:
        process = psutil.Process(int(pid))
        # by the clock, which may have been set since
        return bool(
            process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - int(created)) > _CLOCK_SECONDS
        )
    except psutil.NoSuchProcess:
        return True


def _namespace() -> str:
    """In which a process id means something: another container's are others."""
    try:
        return Path("/proc/self/ns/pid").readlink().name
    except OSError:  # not Linux: there is but one
        return ""


def outlive_reader() -> None:
    """Let this process write into the void when whoever reads what it prints is gone: a worker that was killed.

    Otherwise the next line, of whatever thread, would be its end: Prefect's console is rich's, which leaves with
    `SystemExit` then.
    """
    threading.Thread(target=_watch_readers, name="outlive-reader", daemon=True).start()


def _watch_readers() -> None:
    poller = select.poll()
    watched = {1, 2}
    for descriptor in watched:
        poller.register(descriptor, 0)  # its end is told without being asked for
    while watched:
        for descriptor, _ in poller.poll():
            poller.unregister(descriptor)
            watched.discard(descriptor)
            void = os.open(os.devnull, os.O_WRONLY)
            if void != descriptor:  # it is, where the descriptor was closed
                os.dup2(void, descriptor)
                os.close(void)


def freeze() -> tuple[psutil.Process, ...]:
    """Stop the processes that this one started, and those that these did, where they are.

    Not killed yet: a ProtocolUnit whose process is killed fails, and its failure would be stored.
    """
    frozen: dict[int, psutil.Process] = {}
    for _ in range(_MOST_ROUNDS):
        new = [process for process in own() if process.pid not in frozen]
        if not new:
            break
        for process in new:
            frozen[process.pid] = process
            with suppress(psutil.Error):  # it has ended
                process.suspend()
    return tuple(frozen.values())


def end(exit_code: int, last_word: Callable[[], None] = lambda: None) -> NoReturn:
    """End this process at once, and with it all that it started.

    Parameters
    ----------
    last_word
        Called when none of them computes any more.
    """
    frozen: tuple[psutil.Process, ...] = ()
    try:
        frozen = freeze()
        last_word()
    finally:
        for process in frozen:
            with suppress(psutil.Error):  # it has ended
                process.kill()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # whoever read it, a worker that was killed say, is gone
                stream.flush()
        os._exit(exit_code)


def own() -> Iterator[psutil.Process]:
    """The processes that this one started, and those that these did."""
    this = psutil.Process()
    descendants = this.children(recursive=True)
    yield from descendants
    mine = os.environ.get(MARK)
    if mine is None:
        return
    known = {this.pid, *(process.pid for process in descendants)}
    for process, mark in _marked():
        if mark == mine and process.pid not in known:
            yield process


def _marked() -> Iterator[tuple[psutil.Process, str]]:
    """The processes of this user that a flow run started, with its mark."""
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(MARK)
        except psutil.Error:
            continue  # somebody else's, or it has ended
        if mark is not None:
            yield process, mark
