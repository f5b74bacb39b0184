"""Independent repeats: where their random numbers come from, which of them are independent, and their average.

A run is known by its *lineage*: the seeds of its segments, the first run and then each extension. Two runs whose
lineages begin with the same seed share samples.
"""

import math
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from alchemiscale_prefect.domain.errors import InvalidInput

_SEED_BITS = 48  # exact in JSON numbers everywhere
_OPENMM_SEED_BITS = 31


@dataclass(frozen=True)
class Repeat:
    """The outcome of one run.

    Parameters
    ----------
    estimate, uncertainty
        In any one unit.
    lineage
        Seeds of its segments, the oldest first.
    """

    estimate: float
    uncertainty: float
    lineage: tuple[int, ...]


def next_lineage(seed: int | None, extended: Sequence[int] = ()) -> list[int]:
    """The lineage of a new run.

    Parameters
    ----------
    seed
        The seed of the settings. With None, a new one is drawn, so that every run is another; with a number, every run
        that extends the same lineage is the same.
    extended
        The lineage of the run that is extended; empty for a fresh run.
    """
    if seed is None:
        return [*extended, secrets.randbits(_SEED_BITS)]
    if not extended:
        return [seed]
    return [*extended, int(np.random.SeedSequence([seed, *extended]).generate_state(1)[0])]


def generator(lineage: Sequence[int], stream: int) -> np.random.Generator:
    """Random numbers of one part of a run; parts with other ``stream`` numbers are independent of it."""
    return np.random.default_rng(np.random.SeedSequence([*lineage, len(lineage), stream]))


def openmm_seed(rng: np.random.Generator) -> int:
    """A seed as OpenMM takes it; never 0, which would mean a random one."""
    return int(rng.integers(1, 2**_OPENMM_SEED_BITS))


def independent(repeats: Iterable[Repeat]) -> list[Repeat]:
    """What is left when runs that share samples are counted once.

    A run that another one extends is dropped, for the extension holds its samples; runs with the same lineage, which a
    fixed seed makes, are one run; several extensions of one run become their mean, with the largest of their errors.
    """
    by_lineage = {repeat.lineage: repeat for repeat in repeats}
    extended = {lineage[:length] for lineage in by_lineage for length in range(1, len(lineage))}
    leaves = [by_lineage[lineage] for lineage in sorted(by_lineage) if lineage not in extended]
    families = (list(family) for _, family in groupby(leaves, key=lambda repeat: repeat.lineage[:1]))
    return [
        family[0]
        if len(family) == 1
        else Repeat(
            estimate=math.fsum(repeat.estimate for repeat in family) / len(family),
            uncertainty=max(repeat.uncertainty for repeat in family),
            lineage=family[0].lineage[:1],
        )
        for family in families
    ]


def average(repeats: Sequence[Repeat]) -> tuple[float, float]:
    """Mean of independent repeats and its standard error.

    The error is the larger of two estimates: the scatter between the repeats, which sees what one run cannot know but
    is itself uncertain for a few repeats; and the errors of the repeats, propagated to the mean.

    Raises
    ------
    InvalidInput
        If there is no repeat.
    """
    if not repeats:
        raise InvalidInput("no successful result to gather an estimate from", field="protocol_dag_results")
    n = len(repeats)
    mean = math.fsum(repeat.estimate for repeat in repeats) / n
    within = math.sqrt(math.fsum(repeat.uncertainty**2 for repeat in repeats)) / n
    if n == 1:
        return mean, within
    scatter = math.fsum((repeat.estimate - mean) ** 2 for repeat in repeats) / (n - 1)
    return mean, max(within, math.sqrt(scatter / n))
