"""What a Strategy reads of a Transformation's results: a few numbers that are kept, and added to as results come."""

import math
from dataclasses import dataclass, replace
from typing import Self

ENERGY_UNITS = "kilojoule_per_mole"
MOST = 1e100
"""What is not below this, either way, is no energy but a simulation that blew up; and the square of it may be none."""


@dataclass(frozen=True, slots=True)
class ResultSummary:
    """Results of one Transformation, put together; each is a repeat that is independent of the others.

    Two summaries of different results are added with ``+``: what a new result costs does not depend on how many there
    are. Free energies are in kJ/mol, variances in (kJ/mol)², times in seconds.

    Attributes
    ----------
    n
        How many results that are ok.
    n_estimates
        How many of them gave an estimate.
    mean
        Of these estimates; 0 if there are none.
    squares
        The sum of the squares of their deviations from the mean.
    n_stated, stated
        How many of these came with an uncertainty, and the sum of the squares of it.
    n_timed, seconds
        How many results say how long they took, and the sum of it: from the begin to the end of the attempt that gave
        each, which is taken to occupy one GPU.
    """

    n: int = 0
    n_estimates: int = 0
    mean: float = 0.0
    squares: float = 0.0
    n_stated: int = 0
    stated: float = 0.0
    n_timed: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, estimate: float | None, uncertainty: float | None = None, seconds: float | None = None) -> Self:
        """The summary of one result. What is ``None``, none or beyond `MOST` is not known, nor an error below zero."""
        timed = _known(seconds)
        summary = cls(n=1, n_timed=int(timed is not None), seconds=timed or 0.0)
        if (value := _known(estimate)) is None:
            return summary
        summary = replace(summary, n_estimates=1, mean=value)
        error = _known(uncertainty)
        return summary if error is None or error < 0 else replace(summary, n_stated=1, stated=error * error)

    def __add__(self, other: "ResultSummary") -> "ResultSummary":
        together = self.n_estimates + other.n_estimates
        apart = other.mean - self.mean
        share = other.n_estimates / together if together else 0.0
        return ResultSummary(
            n=self.n + other.n,
            n_estimates=together,
            mean=self.mean + apart * share,
            squares=self.squares + other.squares + apart * apart * self.n_estimates * share,
            n_stated=self.n_stated + other.n_stated,
            stated=self.stated + other.stated,
            n_timed=self.n_timed + other.n_timed,
            seconds=self.seconds + other.seconds,
        )

    @property
    def estimate(self) -> float | None:
        """The mean of the estimates in kJ/mol; ``None`` if there are none."""
        return self.mean if self.n_estimates else None

    @property
    def stated_variance(self) -> float | None:
        """The mean square of the uncertainties that single results came with.

        ``None`` if none did, or all say zero: that is what a Protocol that gives the standard deviation between repeats
        says of a single one, openfe's for example.
        """
        return self.stated / self.n_stated if self.stated > 0 else None

    @property
    def standard_error(self) -> float | None:
        """Of the mean, in kJ/mol: of two estimates or more by how they scatter, of one what it says itself."""
        if self.n_estimates > 1:
            return math.sqrt(self.squares / (self.n_estimates - 1) / self.n_estimates)
        return None if self.stated_variance is None else math.sqrt(self.stated_variance)

    @property
    def seconds_per_result(self) -> float | None:
        """``None`` if no result says how long it took."""
        return self.seconds / self.n_timed if self.n_timed else None


@dataclass(frozen=True, slots=True)
class OtherAttempts:
    """What a network's Tasks took beside the results that are summarised.

    Attributes
    ----------
    seconds
        Of all attempts together that ended without a result that is ok: they failed, were lost, cancelled or refused.
    longest_running
        How many seconds the longest of those has run that run; 0 if none does.
    """

    seconds: float = 0.0
    longest_running: float = 0.0


NO_OTHERS = OtherAttempts()


def _known(value: float | None) -> float | None:
    return value if value is not None and abs(value) < MOST else None
