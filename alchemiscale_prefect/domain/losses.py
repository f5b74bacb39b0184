"""What follows from the loss of an attempt: how long its Task rests, and for how long its run may be heard of again."""

from dataclasses import dataclass
from datetime import timedelta

REGAIN = timedelta(seconds=60)
"""For so long after its loss was noticed a run may go on, if it is heard of again before a later attempt has begun."""

SETTLE_LOST = REGAIN + timedelta(seconds=10)
"""After so long Prefect is told to cancel the flow run of a lost attempt: never one that may go on."""

UNCOUNTED_LIMIT = 10
"""Losses that do not count (the host was wanted for others) may be this many times as many as those that do."""

# 2 to a power beyond this is no duration any more
_MOST_DOUBLINGS = 40


@dataclass(frozen=True, slots=True)
class BackOff:
    """Delays that double with each loss in a row, each cut short by chance so that what was lost together comes apart.

    Attributes
    ----------
    first
        The longest delay after the first loss; zero for none ever.
    most
        No delay is longer.
    """

    first: timedelta = timedelta(0)
    most: timedelta = timedelta(minutes=10)

    def delay(self, losses: int, chance: float) -> timedelta:
        """How long to wait after the last one of `losses` in a row.

        Parameters
        ----------
        losses
            1 or more.
        chance
            A random number from 0 to 1: the delay is between one half and the whole.
        """
        if not self.first:
            return timedelta(0)
        doublings = min(losses - 1, _MOST_DOUBLINGS)
        seconds = min(self.first.total_seconds() * 2.0**doublings, self.most.total_seconds())
        return timedelta(seconds=seconds * (0.5 + 0.5 * chance))


AT_ONCE = BackOff()
"""No delay."""
