"""Estimators on samples whose free energies and correlations are known."""

import logging
import math
import subprocess
import sys

import numpy as np
import pytest

from alchemiscale_prefect.protocols.estimators import (
    bar,
    decorrelate,
    mbar,
    mean_and_error,
    statistical_inefficiency,
)

CONSTANTS = [1.0, 1.6, 2.5, 4.0]


def well_samples(n: int, seed: int) -> list[np.ndarray]:
    """Reduced energies of samples of one-dimensional harmonic wells in all of them; f_k = ln(k) / 2."""
    rng = np.random.default_rng(seed)
    squares = [rng.normal(scale=k**-0.5, size=n) ** 2 for k in CONSTANTS]
    return [np.array([0.5 * k * square for k in CONSTANTS]) for square in squares]


def autoregressive(n: int, memory: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    series, value = np.empty(n), 0.0
    for index, noise in enumerate(rng.normal(size=n)):
        value = memory * value + noise
        series[index] = value
    return series


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mbar_finds_the_free_energies_of_harmonic_wells(seed: int):
    profile = mbar(well_samples(2000, seed))
    exact = 0.5 * np.log(CONSTANTS)
    assert np.all(np.abs(profile.values - exact)[1:] < 3.5 * profile.uncertainties[1:])
    assert profile.difference == profile.values[-1]
    assert 0 < profile.uncertainty < 0.05
    assert len(profile.neighbour_overlap) == 3
    assert np.all(profile.neighbour_overlap > 0.1)


def test_mbar_says_nothing(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        mbar(well_samples(100, 1))
    assert not caplog.records


def test_loading_pymbar_says_nothing():
    code = (
        "import numpy as np; from alchemiscale_prefect.protocols.estimators import mbar;"
        "u = np.random.default_rng(0).random((2, 50)); mbar([u, u])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(
    ("samples", "complaint"),
    [
        ([np.zeros((3, 5)), np.zeros((2, 5))], "state 0"),
        ([np.zeros((2, 5)), np.zeros((2, 0))], "state 1"),
        ([np.zeros((2, 5)), np.full((2, 5), np.nan)], "not finite"),
    ],
)
def test_mbar_refuses_samples_that_do_not_fit(samples: list[np.ndarray], complaint: str):
    with pytest.raises(ValueError, match=complaint):
        mbar(samples)


@pytest.mark.parametrize(("n_forward", "n_reverse"), [(4000, 4000), (1000, 6000), (6000, 1000)])
def test_bar_finds_the_free_energy_of_gaussian_work(n_forward: int, n_reverse: int):
    # work distributed as N(f + s^2/2, s) forwards and N(-f + s^2/2, s) backwards obeys Crooks' theorem for f
    f, s = 1.7, 1.5
    rng = np.random.default_rng(3)
    value, error = bar(rng.normal(f + s**2 / 2, s, n_forward), rng.normal(-f + s**2 / 2, s, n_reverse))
    assert abs(value - f) < 3.5 * error
    assert 0.005 < error < 0.08


def test_the_error_of_bar_is_its_scatter():
    rng = np.random.default_rng(4)
    found = [bar(rng.normal(2.0, 2.0, 300), rng.normal(2.0, 2.0, 300)) for _ in range(200)]
    values, errors = np.array(found).T
    assert values.mean() == pytest.approx(0.0, abs=4 * errors.mean() / math.sqrt(200))
    assert values.std() == pytest.approx(errors.mean(), rel=0.2)


def test_bar_agrees_with_pymbar():
    from pymbar.other_estimators import bar as pymbar_bar

    rng = np.random.default_rng(5)
    forward, reverse = rng.normal(3.0, 1.0, 400), rng.normal(-1.0, 1.5, 300)
    value, error = bar(forward, reverse)
    reference = pymbar_bar(forward, reverse)
    assert value == pytest.approx(reference["Delta_f"], abs=1e-8)
    assert error == pytest.approx(reference["dDelta_f"], rel=0.02)


def test_bar_without_overlap_still_ends():
    value, error = bar(np.full(10, 500.0), np.full(10, 300.0))
    assert -300.0 <= value <= 500.0
    assert error > 1e3


@pytest.mark.parametrize("work", [np.array([]), np.array([np.nan]), np.array([np.inf])])
def test_bar_refuses_work_that_is_none(work: np.ndarray):
    with pytest.raises(ValueError, match="forward"):
        bar(work, np.array([0.0]))


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_statistical_inefficiency_of_an_autoregressive_series(memory: float):
    found = statistical_inefficiency(autoregressive(40_000, memory, seed=6))
    assert found == pytest.approx((1 + memory) / (1 - memory), rel=0.15)


def test_statistical_inefficiency_agrees_with_pymbar():
    from pymbar.timeseries import statistical_inefficiency as pymbars

    series = autoregressive(2000, 0.8, seed=7)
    assert statistical_inefficiency(series) == pytest.approx(pymbars(series), rel=0.1)


@pytest.mark.parametrize("series", [np.zeros(100), np.full(100, 3.7), np.array([1.0, 2.0])])
def test_series_without_fluctuation_count_as_uncorrelated(series: np.ndarray):
    assert statistical_inefficiency(series) == 1.0


def test_decorrelation_keeps_independent_samples_and_thins_correlated_ones():
    rng = np.random.default_rng(8)
    noise, slow = rng.normal(size=20_000), autoregressive(20_000, 0.8, seed=9)
    zero = np.zeros(20_000)
    assert decorrelate(np.array([zero, noise, noise]), 0).shape[1] > 18_000
    thinned = decorrelate(np.array([zero, slow, slow]), 0)
    assert thinned.shape[1] == pytest.approx(20_000 / 9, rel=0.3)
    # only differences to neighbours of the sampled state count
    assert decorrelate(np.array([zero, noise, noise + slow, slow]), 0).shape[1] > 18_000


def test_error_of_a_mean_counts_independent_samples():
    errors = [mean_and_error(autoregressive(4000, 0.8, seed))[1] for seed in range(20)]
    means = [mean_and_error(autoregressive(4000, 0.8, seed))[0] for seed in range(100, 220)]
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.25)
