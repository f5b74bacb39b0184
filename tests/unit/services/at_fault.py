"""What Strategies may do instead of proposing, for processes of their own: the text of the Strategy says which."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from alchemiscale_prefect.domain.iterations import Material, Proposed


class Unspeakable(Exception):
    """Its message cannot be had."""

    def __str__(self) -> str:
        raise ZeroDivisionError


def _propose(material: Material) -> Proposed:
    print("what is printed is not taken for an answer")
    read = [(key, document.text.decode()) for key, document in material.results()]
    again = list(material.results())
    assert len(again) == len(read)
    weights = {key: float(len(text)) for key, text in read} | dict.fromkeys(material.summaries)
    return Proposed(weights, os.getpid(), int(material.others.seconds))


def _raise(_: Material) -> Proposed:
    raise ZeroDivisionError("no weights")


def _say_much(_: Material) -> Proposed:
    raise ValueError("x" * 10**6 + "the end")


def _raise_what_cannot_be_told(_: Material) -> Proposed:
    raise Unspeakable


def _leave(_: Material) -> Proposed:
    raise SystemExit(3)


def _exit(_: Material) -> Proposed:
    os._exit(3)


def _signal(_: Material, name: str) -> Proposed:
    os.kill(os.getpid(), signal.Signals[name])
    time.sleep(60)
    raise AssertionError


def _die_once(_: Material, marker: str) -> Proposed:
    if not Path(marker).exists():
        Path(marker).touch()
        os._exit(1)
    return Proposed({})


def _never_answer(_: Material) -> Proposed:
    while True:
        time.sleep(0.01)


def _say_who_and_never_answer(_: Material, file: str) -> Proposed:
    Path(file).write_text(str(os.getpid()))
    return _never_answer(_)


def _start_another_and_never_answer(_: Material, file: str) -> Proposed:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(file).write_text(str(other.pid))
    return _never_answer(_)


def _take_all_memory(_: Material) -> Proposed:
    taken = []
    while True:
        taken.append(bytearray(2**26))


_ACTS: dict[str, Callable[..., Proposed]] = {
    "propose": _propose,
    "raise": _raise,
    "say_much": _say_much,
    "raise_what_cannot_be_told": _raise_what_cannot_be_told,
    "leave": _leave,
    "exit": _exit,
    "signal": _signal,
    "die_once": _die_once,
    "never_answer": _never_answer,
    "say_who_and_never_answer": _say_who_and_never_answer,
    "start_another_and_never_answer": _start_another_and_never_answer,
    "take_all_memory": _take_all_memory,
}


def propose(material: Material) -> Proposed:
    """The first word of the Strategy's text is what it does, the others are for it."""
    word, *rest = material.strategy.text.decode().split()
    return _ACTS[word](material, *rest)
