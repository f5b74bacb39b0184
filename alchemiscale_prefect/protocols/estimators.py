"""Free energies and errors from correlated samples."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class FreeEnergyProfile:
    """Free energies of all states relative to the first, in kT.

    Parameters
    ----------
    values
        Shape (K,), the first is 0.
    uncertainties
        Standard errors of ``values``, shape (K,).
    neighbour_overlap
        Overlap of each state with the next, shape (K - 1,), from 0 to 1; below about 0.03 the estimate is not to
        be trusted.
    """

    values: FloatArray
    uncertainties: FloatArray
    neighbour_overlap: FloatArray

    @property
    def difference(self) -> float:
        """Last state less the first, in kT."""
        return float(self.values[-1])

    @property
    def uncertainty(self) -> float:
        """Standard error of ``difference``, in kT."""
        return float(self.uncertainties[-1])


def mbar(samples: Sequence[FloatArray]) -> FreeEnergyProfile:
    """Free energies by the multistate Bennett acceptance ratio (Shirts and Chodera, J. Chem. Phys. 129, 124105, 2008).

    Parameters
    ----------
    samples
        One array for each of the K states, shape (K, n_k): the reduced energies of its uncorrelated samples in all
        states.

    Raises
    ------
    ValueError
        If an array does not have K rows, has no sample, or is not finite; or if there is no solution.
    """
    n_states = len(samples)
    for state, energies in enumerate(samples):
        if energies.ndim != 2 or energies.shape[0] != n_states or energies.shape[1] == 0:
            raise ValueError(f"samples of state {state} have shape {energies.shape}, not ({n_states}, n > 0)")
        if not np.isfinite(energies).all():
            raise ValueError(f"samples of state {state} hold an energy that is not finite")
    counts = np.array([energies.shape[1] for energies in samples])
    # Newton-Raphson and self-consistent steps; pymbar's default goes through scipy with options that scipy warns of
    protocol = ({"method": "adaptive", "options": {}, "continuation": True},)
    solver = _pymbar().MBAR(np.concatenate(samples, axis=1), counts, solver_protocol=protocol)
    result = solver.compute_free_energy_differences()
    if not np.isfinite(result["Delta_f"]).all():
        raise ValueError("MBAR found no solution: the states do not overlap enough")
    overlap = np.asarray(solver.compute_overlap()["matrix"])
    return FreeEnergyProfile(
        values=np.asarray(result["Delta_f"][0], dtype=np.float64),
        uncertainties=np.asarray(result["dDelta_f"][0], dtype=np.float64),
        neighbour_overlap=np.diagonal(overlap, offset=1).astype(np.float64),
    )


def bar(forward: FloatArray, reverse: FloatArray) -> tuple[float, float]:
    """Free energy between two states by the Bennett acceptance ratio (J. Comput. Phys. 22, 245, 1976), in kT.

    Parameters
    ----------
    forward
        Reduced energy of the second state less the first, on independent samples of the first.
    reverse
        Reduced energy of the first state less the second, on independent samples of the second.

    Returns
    -------
    tuple
        Second state less first, and its asymptotic standard error, infinite where nothing overlaps.

    Raises
    ------
    ValueError
        If either array is empty or not finite.
    """
    for name, work in (("forward", forward), ("reverse", reverse)):
        if len(work) == 0 or not np.isfinite(work).all():
            raise ValueError(f"{name} must hold finite energies, at least one")
    bias = math.log(len(forward) / len(reverse))
    low = min(float(forward.min()), float(-reverse.max())) - abs(bias) - 1.0
    high = max(float(forward.max()), float(-reverse.min())) + abs(bias) + 1.0
    # The imbalance grows strictly with the free energy, so that bisection finds the one root.
    while high - low > 1e-12 * max(1.0, abs(low), abs(high)):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        imbalance = _fermi(forward - middle + bias).sum() - _fermi(reverse + middle - bias).sum()
        low, high = (low, middle) if imbalance > 0 else (middle, high)
    difference = (low + high) / 2.0
    variance = _relative_variance(_fermi(forward - difference + bias)) / len(forward)
    variance += _relative_variance(_fermi(reverse + difference - bias)) / len(reverse)
    return difference, math.sqrt(variance)


def _fermi(x: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (1.0 - np.tanh(x / 2.0)))


def _relative_variance(values: FloatArray) -> float:
    mean = float(np.mean(values))
    return max(0.0, float(np.mean(values**2)) / mean**2 - 1.0) if mean > 0.0 else math.inf


def statistical_inefficiency(series: FloatArray) -> float:
    """How many correlated samples are worth one independent one: 1 + 2 sum_t (1 - t/n) C(t), at least 1.

    The sum over the normalised autocorrelation C ends where it first falls to zero (Chodera et al., J. Chem. Theory
    Comput. 3, 26, 2007). A constant series counts as uncorrelated.
    """
    n = len(series)
    deviation = series - series.mean()
    variance = float(deviation @ deviation) / n
    if n < 3 or variance <= 1e-24 * max(1.0, float(series.mean()) ** 2):
        return 1.0
    spectrum = np.fft.rfft(deviation, 2 * n)
    covariance = np.fft.irfft(spectrum * np.conj(spectrum))[:n]
    correlation = covariance / (variance * np.arange(n, 0, -1))
    lags = np.arange(1, n)
    ended = np.flatnonzero(correlation[1:] <= 0.0)
    last = int(ended[0]) if len(ended) else n - 1
    return max(1.0, 1.0 + 2.0 * float(np.sum((1.0 - lags[:last] / n) * correlation[1 : last + 1])))


def decorrelate(energies: FloatArray, state: int) -> FloatArray:
    """Keep about one sample per statistical inefficiency.

    Parameters
    ----------
    energies
        Reduced energies of successive samples of one state in all K states, shape (K, n).
    state
        Which of the K was sampled. Correlation is judged by the differences to its neighbours, which are what the
        free energy is made of.

    Returns
    -------
    numpy.ndarray
        Shape (K, m), m <= n.
    """
    steps = np.diff(energies[max(0, state - 1) : state + 2], axis=0)
    inefficiency = max((statistical_inefficiency(step) for step in steps), default=1.0)
    n = energies.shape[1]
    kept = np.unique(np.round(np.arange(0.0, n, inefficiency)).astype(np.intp).clip(max=n - 1))
    return energies[:, kept]


def mean_and_error(series: FloatArray) -> tuple[float, float]:
    """Mean of a correlated series and its standard error."""
    inefficiency = statistical_inefficiency(series)
    if len(series) < 2:
        return float(series.mean()), float("nan")
    return float(series.mean()), float(series.std(ddof=1) * np.sqrt(inefficiency / len(series)))


@cache
def _pymbar() -> Any:
    """pymbar, imported when first needed: it takes seconds, and two of its modules log a banner each as they load."""
    banners = [logging.getLogger(name) for name in ("pymbar.timeseries", "pymbar.mbar_solvers")]
    levels = [logger.level for logger in banners]
    for logger in banners:
        logger.setLevel(logging.ERROR)
    try:
        import pymbar
    finally:
        for logger, level in zip(banners, levels, strict=True):
            logger.setLevel(level)
    return pymbar
