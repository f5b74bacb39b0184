"""How far a running ProtocolUnit is, by a file that it writes.

gufe has no such thing. A unit writes a number from 0 to 1 into the file ``progress`` of its scratch or shared
directory, by itself or with `teller`. Of openmmtools' multistate samplers, with which OpenFE
samples, the file of the real-time analysis is read too.
"""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alchemiscale_prefect.chemistry.base import Context

PROGRESS_FILE = "progress"

_ANALYSIS_FILES = "*_real_time_analysis.yaml"
_PERCENT = re.compile(rb"percent_complete: *([0-9.eE+-]+)")
_TAIL_BYTES = 16_384  # of a file to which an entry of some hundred bytes is added now and then
_MOST_BYTES = 64


def teller(context: "Context", every_seconds: float = 1.0) -> Callable[[float], None]:
    """What a unit calls with the fraction that is done, as often as it likes: it is written every so often."""
    written_at = float("-inf")

    def tell(fraction: float) -> None:
        nonlocal written_at
        now = time.monotonic()
        if now - written_at >= every_seconds:
            written_at = now
            write(context, fraction)

    return tell


def write(context: "Context", fraction: float) -> None:
    """Say how much of a unit is done, from 0 to 1; call it from within the unit. It costs a write of a small file."""
    # what cannot be written is no reason to stop: a full disk shows where it matters
    with suppress(OSError):
        (Path(context.scratch) / PROGRESS_FILE).write_text(f"{fraction:.6f}")


def read(*directories: Path) -> float | None:
    """How much of a unit is done that writes into these directories, from 0 to 1; ``None`` if it does not say."""
    for directory in directories:
        with suppress(OSError):
            return _number(_start(directory / PROGRESS_FILE), 1.0)
    for directory in directories:
        for path in sorted(directory.glob(_ANALYSIS_FILES)):
            with suppress(OSError):
                if told := _PERCENT.findall(_end(path)):
                    return _number(told[-1], 100.0)
    return None


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)


def _end(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return file.read()


def _number(text: bytes, whole: float) -> float | None:
    """A part of `whole`; ``None`` for what is none, such as a file that is just being written."""
    try:
        fraction = float(text) / whole
    except ValueError:
        return None
    return min(1.0, max(0.0, fraction)) if fraction == fraction else None
