"""How long a Task rests after losses."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.losses import AT_ONCE, BackOff

BACK_OFF = BackOff(timedelta(seconds=10), timedelta(minutes=2))


@pytest.mark.parametrize(("losses", "seconds"), [(1, 10), (2, 20), (3, 40), (4, 80), (5, 120), (6, 120), (10**9, 120)])
def test_delays_double_up_to_the_longest_and_chance_takes_up_to_a_half(losses, seconds):
    assert BACK_OFF.delay(losses, 1.0) == timedelta(seconds=seconds)
    assert BACK_OFF.delay(losses, 0.0) == timedelta(seconds=seconds / 2)


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_without_a_first_delay_there_is_none(losses, chance):
    assert AT_ONCE.delay(losses, chance) == timedelta(0)
