"""Repeats put together."""

import math

import pytest

from alchemiscale_prefect.domain.estimates import Combined, combine


def test_of_several_repeats_the_spread_counts_and_not_what_each_says_of_itself() -> None:
    found = combine([1.0, 3.0], [0.1, 0.1])
    assert found == Combined(2, 2.0, pytest.approx(math.sqrt(2.0)))


def test_a_single_repeat_has_its_own_uncertainty() -> None:
    assert combine([1.5], [0.25]) == Combined(1, 1.5, 0.25)
    assert combine([1.5], [None]) == Combined(1, 1.5, None)


def test_what_gave_no_estimate_is_left_out() -> None:
    assert combine([None, 2.0, math.nan], [0.1, 0.5, 0.1]) == Combined(1, 2.0, 0.5)
    assert combine([None], [None]) == combine([], []) == Combined(0, None, None)


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        combine([1.0, 2.0], [0.1])
