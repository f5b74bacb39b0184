"""Free energies of repeats, put together."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Combined:
    """What repeats say together, in their units.

    Attributes
    ----------
    repeats
        How many gave an estimate.
    estimate
        Their mean; ``None`` if there is none.
    uncertainty
        Of two or more the standard deviation between them, of a single one what its Protocol says; ``None`` if
        neither is known.
    """

    repeats: int
    estimate: float | None
    uncertainty: float | None


def combine(estimates: Sequence[float | None], uncertainties: Sequence[float | None]) -> Combined:
    """Put repeats together; those without a finite estimate are left out.

    Parameters
    ----------
    estimates, uncertainties
        One for each repeat, in the same units.

    Raises
    ------
    ValueError
        There are not as many of the one as of the other.
    """
    known = [
        (value, error)
        for value, error in zip(estimates, uncertainties, strict=True)
        if value is not None and math.isfinite(value)
    ]
    if not known:
        return Combined(0, None, None)
    values = [value for value, _ in known]
    if len(values) > 1:
        return Combined(len(values), statistics.fmean(values), statistics.stdev(values))
    return Combined(1, values[0], known[0][1])
