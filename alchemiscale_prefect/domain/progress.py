"""How long a network will take: the rule behind the estimate that `watch` shows."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """A Task that runs.

    Attributes
    ----------
    seconds
        Since it began.
    units_done, units_total
        ProtocolUnits; 0 of 0 while nothing is known.
    told
        How much of the whole is done, where running units say how far they are.
    """

    seconds: float
    units_done: int
    units_total: int
    told: float | None = None

    @property
    def fraction(self) -> float:
        """How much of it is done, between 0 and 1."""
        if self.units_total <= 0:
            return 0.0
        return min(1.0, max(0.0, self.units_done / self.units_total, self.told or 0.0))

    def seconds_left(self, mean_seconds: float | None) -> float:
        """How long it goes on: as it went so far, or as the others went while it has told nothing."""
        if self.fraction > 0.0:
            return self.seconds * (1.0 - self.fraction) / self.fraction
        return max(0.0, (mean_seconds or 0.0) - self.seconds)


def seconds_left(
    waiting: int,
    running: Sequence[Run],
    completed: int = 0,
    mean_seconds: float | None = None,
    window_seconds: float = 0.0,
) -> float | None:
    """How long until nothing waits or runs any more.

    What was done within the window, in Tasks (those completed, and of the running ones the part that they have done
    since the window began), gives the rate; what is left, at that rate, the time. It is no shorter than the running
    Task that is slowest has still to go.

    Parameters
    ----------
    waiting
        Tasks that are still to run.
    completed
        Tasks completed within the window.
    mean_seconds
        How long these ran, on average.
    window_seconds
        How far the window reaches back: to where the first of the completed and the running ones began, or less.

    Returns
    -------
    float or None
        ``None`` where nothing tells: nothing is done yet, or Tasks wait and none runs.
    """
    if not waiting and not running:
        return 0.0
    if not running:
        return None
    left = waiting + sum(1.0 - run.fraction for run in running)
    done = completed + sum(_since(run, window_seconds) for run in running)
    if done <= 0.0 or window_seconds <= 0.0:
        return None
    slowest = max(run.seconds_left(mean_seconds) for run in running)
    return max(left * window_seconds / done, slowest)


def _since(run: Run, window_seconds: float) -> float:
    # units are taken to go on evenly
    return run.fraction * (min(1.0, window_seconds / run.seconds) if run.seconds > 0.0 else 1.0)
