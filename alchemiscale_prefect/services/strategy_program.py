"""A program of its own: asks Strategies for their proposals, one after the other; see `strategy_processes`.

Its arguments: the function that asks, ``module:name``; the file descriptors of the connection to its parent and of a
file for what a dying process says; how many seconds a Strategy may take; how many bytes it may have, 0 for any number.
To its parent it speaks JSON alone: what a Strategy gives is not to be unpickled there.
"""

import faulthandler
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from alchemiscale_prefect.domain.iterations import Document, Material, Propose, StrategyFailure

Tell = Callable[..., None]

_LOOK_SECONDS = 1.0


def main() -> None:
    """Answer until the parent has nothing more to ask, or is gone."""
    name, channel, notes, seconds, memory = sys.argv[1:]
    _be_the_first_to_go()
    threading.Thread(target=_go_with, args=(os.getppid(),), name="go-with-parent", daemon=True).start()
    if int(memory):
        _take_no_more_than(int(memory))
    with Connection(int(channel)) as parent, os.fdopen(int(notes), "wb") as file:
        faulthandler.enable(file)

        def tell(*words: Any) -> None:
            parent.send_bytes(json.dumps(words).encode())

        try:
            propose = _function(name)
        except ImportError as error:
            tell("unready", str(error))
            return
        tell("ready")
        with suppress(EOFError):
            while True:
                asked = parent.recv()
                # also ends what holds the interpreter's lock, and what its parent has left behind
                faulthandler.dump_traceback_later(float(seconds), exit=True, file=file)
                tell(*_answer(propose, asked, parent, tell))
                faulthandler.cancel_dump_traceback_later()


def _answer(propose: Propose, asked: tuple[Any, ...], parent: Connection, tell: Tell) -> tuple[Any, ...]:
    def results() -> Iterator[tuple[str, Document]]:
        tell("results")
        while True:
            tell("next")
            if (result := parent.recv()) is None:
                return
            yield result

    try:
        network, strategy, summaries, others = asked
        proposed = propose(Material(network, strategy, summaries, results, others))
        weights = {str(key): weight for key, weight in proposed.weights.items()}
        return "proposed", weights, proposed.max_tasks, proposed.budget
    except BaseException as error:  # noqa: BLE001  a Strategy may also leave, or be interrupted: it is told
        failure = StrategyFailure.of(error)
        return "failed", failure.exception, failure.traceback


def _function(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)


def _go_with(parent: int) -> None:
    """End this process once its parent is gone: nobody waits for the answer any more."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


def _take_no_more_than(memory: int) -> None:
    """Have what asks for more bytes than this get a MemoryError."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory if most == resource.RLIM_INFINITY else min(memory, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _be_the_first_to_go() -> None:
    """Where memory is short Linux ends this process rather than its parent, or the database."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main()
