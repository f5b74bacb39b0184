"""ProtocolUnits that run now: which, since when, where they write, and how far they say that they are."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from alchemiscale_prefect.chemistry.progress import read
from alchemiscale_prefect.execution.workspace import UnitDirectories


@dataclass(frozen=True, slots=True)
class RunningUnit:
    """A try of a unit.

    Attributes
    ----------
    began_at
        By the monotonic clock.
    """

    name: str
    directories: UnitDirectories
    began_at: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """For how long it runs."""
        return time.monotonic() - self.began_at

    @property
    def fraction(self) -> float | None:
        """How much of it is done, between 0 and 1; ``None`` if it does not say."""
        return read(self.directories.scratch, self.directories.shared)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an attempt is.

    Attributes
    ----------
    done, total
        ProtocolUnits.
    fraction
        How much of the whole is done, with the parts of units that say how far they are; ``None`` if none does.
    """

    done: int = 0
    total: int = 0
    fraction: float | None = None


class UnderWay:
    """The units that run now; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._units: dict[int, RunningUnit] = {}

    @contextmanager
    def unit(self, name: str, directories: UnitDirectories) -> Iterator[RunningUnit]:
        """A unit runs in this block."""
        running = RunningUnit(name, directories)
        with self._lock:
            number = next(self._numbers)
            self._units[number] = running
        try:
            yield running
        finally:
            with self._lock:
                del self._units[number]

    def units(self) -> tuple[RunningUnit, ...]:
        """Those that run, the longest running first."""
        with self._lock:
            return tuple(self._units.values())

    def progress(self, done: int, total: int) -> Progress:
        """How far all is, with `done` of `total` units finished."""
        told = [fraction for unit in self.units() if (fraction := unit.fraction) is not None]
        if not told or not total:
            return Progress(done, total)
        return Progress(done, total, min(1.0, (done + sum(told)) / total))
