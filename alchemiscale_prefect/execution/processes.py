"""Processes that ProtocolUnits start: none of them computes on when the run is stopped.

They are told by descent, and by a variable of the environment that they inherit: what has left its parent has that
still.
"""

import os
import select
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NoReturn

import psutil

MARK = "ALCHEMISCALE_FLOW_RUN_PROCESS"

_MOST_ROUNDS = 10  # one that forks while it is looked at is met in the next round


def mark() -> None:
    """From here on, whatever this process starts is known as its own."""
    os.environ[MARK] = f"{os.getpid()}-{uuid.uuid4().hex}"


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
    for process in psutil.process_iter():
        if process.pid in known:
            continue
        try:
            if process.environ().get(MARK) == mine:
                yield process
        except psutil.Error:
            continue  # somebody else's, or it has ended
