"""The end of a run's time on its host, where it can be known, and which ProtocolUnits still fit before it."""

import logging
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import psutil

from alchemiscale_prefect.settings import ComputeSettings

log = logging.getLogger(__name__)

LAST_SECONDS = 15.0
"""So long before the end a run that still computes gives its attempt back, rather than be killed with it."""

_SQUEUE_SECONDS = 20.0
# as `squeue` prints it: [days-]hours:minutes:seconds, with the first parts left out where they are zero
_TIME_LEFT = re.compile(r"(?:(?P<days>\d+)-)?(?:(?:(?P<hours>\d+):)?(?P<minutes>\d+):)?(?P<seconds>\d+)")


class OutOfTime(Exception):
    """No ProtocolUnit fits the time that is left on this host; none is under way."""


class CutShort(Exception):
    """The time on this host is over while units compute. Whoever catches this gives the attempt back and ends the
    process: nothing can end them.

    Parameters
    ----------
    useful
        Whether the attempt finished a unit.
    """

    def __init__(self, reason: str, *, useful: bool) -> None:
        super().__init__(reason)
        self.useful = useful


class Timed(Protocol):
    """A ProtocolUnit to be run."""

    @property
    def name(self) -> str | None: ...

    @property
    def qualname(self) -> str: ...


class Walltime:
    """What is left of a run's time, and what units take of it.

    Parameters
    ----------
    end
        When it is over, in seconds since the epoch; ``None`` where that is not known, and then everything fits.
    margin
        Seconds to keep free: results are to be stored.
    default
        Seconds that a unit takes of whose class none has finished.
    clock
        The time, in seconds since the epoch.
    """

    def __init__(
        self, end: float | None, margin: float = 0.0, default: float = 0.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._end = end
        self._margin = margin
        self._default = default
        self._clock = clock
        self._longest: dict[str, float] = {}

    @property
    def left(self) -> float | None:
        """Seconds; ``None`` if nobody knows."""
        return None if self._end is None else self._end - self._clock()

    def learn(self, qualname: str, seconds: float) -> None:
        """A unit of this class took so long."""
        self._longest[qualname] = max(seconds, self._longest.get(qualname, 0.0))

    def expected(self, unit: Timed) -> float:
        """Seconds that a unit takes, by the longest one of its class."""
        return self._longest.get(unit.qualname, self._default)

    def fits(self, unit: Timed) -> bool:
        """Whether it will be finished in time."""
        left = self.left
        return left is None or self.expected(unit) + self._margin <= left

    def is_over(self) -> bool:
        """Whether what computes now should be given up."""
        left = self.left
        return left is not None and left <= min(LAST_SECONDS, self._margin)

    def refuse(self, units: Iterable[Timed]) -> OutOfTime:
        """Why none of these is started."""
        unit = min(units, key=self.expected)
        return OutOfTime(
            f"its time on the host was nearly over: {max(self.left or 0.0, 0.0):.0f} s were left, and "
            f"{unit.name or unit.qualname} takes about {self.expected(unit):.0f} s"
        )


def known_end(settings: ComputeSettings, environment: Mapping[str, str] = os.environ) -> float | None:
    """When this process has to end, in seconds since the epoch: the earliest of what the settings and Slurm say."""
    ends = []
    if settings.end_time is not None:
        ends.append(settings.end_time.timestamp())
    if settings.walltime_seconds is not None:
        ends.append(psutil.Process().create_time() + settings.walltime_seconds)
    if (slurm := _slurm_end(environment)) is not None:
        ends.append(slurm)
    return min(ends, default=None)


def _slurm_end(environment: Mapping[str, str]) -> float | None:
    told = environment.get("SLURM_JOB_END_TIME", "")  # Slurm 22.05 and newer
    if told.isdecimal() and int(told) > 0:
        return float(told)
    job = environment.get("SLURM_JOB_ID")
    if job is None:
        return None
    command = ["squeue", "--noheader", "--format=%L", f"--jobs={job}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_SQUEUE_SECONDS, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("when this Slurm job ends is not known: %s", error)
        return None
    left = seconds_left(answer.stdout)
    return None if left is None else time.time() + left


def seconds_left(text: str) -> float | None:
    """A time as Slurm prints it; ``None`` for UNLIMITED, NOT_SET and the like."""
    found = _TIME_LEFT.fullmatch(text.strip())
    if found is None:
        return None
    days, hours, minutes, seconds = (int(found[part] or 0) for part in ("days", "hours", "minutes", "seconds"))
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
