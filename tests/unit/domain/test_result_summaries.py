"""Summaries of results: added up as results come, they are those of all results at once."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.result_summaries import ResultSummary

values = st.floats(-1e3, 1e3)
given_results = st.lists(st.tuples(st.none() | values, st.none() | st.floats(0, 10), st.none() | st.floats(0, 1e6)))


def total(of: list[ResultSummary]) -> ResultSummary:
    return sum(of, ResultSummary())


@given(given_results, st.integers(0, 10))
def test_the_summary_of_two_parts_is_that_of_the_whole(results, cut):
    each = [ResultSummary.of(*result) for result in results]
    whole, parts = total(each), total(each[:cut]) + total(each[cut:])
    estimates = [value for value, _, _ in results if value is not None]
    for summary in (whole, parts):
        assert (summary.n, summary.n_estimates) == (len(results), len(estimates))
        assert summary.squares == pytest.approx(statistics.pvariance(estimates) * len(estimates) if estimates else 0,
                                                abs=1e-6)  # fmt: skip
        assert (summary.estimate is None) == (not estimates)
        if estimates:
            assert summary.mean == pytest.approx(statistics.fmean(estimates), abs=1e-9)
    assert (whole.n_stated, whole.n_timed) == (parts.n_stated, parts.n_timed)
    assert whole.seconds == pytest.approx(parts.seconds)
    assert whole.stated == pytest.approx(parts.stated)


def test_the_standard_error_is_how_results_scatter_or_what_a_single_one_says():
    one, two = ResultSummary.of(1.0, 0.3), ResultSummary.of(2.0, 0.4)
    assert one.standard_error == pytest.approx(0.3)
    assert (one + two).standard_error == pytest.approx(statistics.stdev([1.0, 2.0]) / math.sqrt(2))
    assert (one + two).stated_variance == pytest.approx((0.09 + 0.16) / 2)
    assert ResultSummary.of(1.0).standard_error is None
    # the standard deviation of a single repeat is 0, and says nothing
    assert ResultSummary.of(1.0, 0.0).standard_error is None
    assert (ResultSummary.of(1.0, 0.0) + ResultSummary.of(1.0, 0.0)).standard_error == 0.0
    # the square of which is none
    assert ResultSummary.of(1.0, 1e200) == ResultSummary.of(1.0)
    assert (ResultSummary.of(None, 0.3) + ResultSummary()).estimate is None


def test_what_is_not_finite_is_not_known():
    for odd in (math.nan, math.inf, -math.inf):
        assert ResultSummary.of(odd, 0.1) == ResultSummary(n=1)
        assert ResultSummary.of(1.0, odd, odd) == ResultSummary(n=1, n_estimates=1, mean=1.0)
    assert ResultSummary.of(1.0, -0.1).n_stated == 0


def test_a_long_series_far_from_zero_loses_no_digits():
    summary = total([ResultSummary.of(1e6 + 0.1 * (n % 2)) for n in range(2000)])
    assert summary.standard_error == pytest.approx(statistics.stdev([0.0, 0.1] * 1000) / math.sqrt(2000), rel=1e-6)


def test_seconds_are_averaged_over_those_that_say_them():
    summary = ResultSummary.of(1.0, None, 10.0) + ResultSummary.of(None, None, 20.0) + ResultSummary.of(1.0)
    assert (summary.seconds_per_result, summary.n) == (15.0, 3)
    assert ResultSummary.of(1.0).seconds_per_result is None
