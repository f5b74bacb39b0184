"""The weighted random order: an exponential race."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.selection import draw

weights = st.floats(1e-6, 1.0)
uniform = st.floats(0.0, 1.0, exclude_max=True)


@given(weights, uniform, st.floats(0, 1e6))
def test_a_draw_is_never_before_its_base(weight, u, base):
    assert draw(weight, u, base) >= base
    assert math.isfinite(draw(weight, u, base))


@given(weights, weights, uniform)
def test_of_two_with_the_same_luck_the_heavier_is_first(one, two, u):
    if one > two:
        assert draw(one, u) <= draw(two, u)


@pytest.mark.parametrize("weight", [0.0, -0.0, -1.0])
def test_weight_zero_never_comes(weight):
    assert draw(weight, 0.5) == math.inf


def test_the_first_of_a_race_is_drawn_by_weight():
    source = random.Random(20)
    given_weights = (0.1, 0.2, 0.7)
    rounds = 20_000
    wins = [0, 0, 0]
    for _ in range(rounds):
        draws = [draw(weight, source.random()) for weight in given_weights]
        wins[draws.index(min(draws))] += 1
    for won, weight in zip(wins, given_weights, strict=True):
        sigma = math.sqrt(rounds * weight * (1 - weight))
        assert abs(won - rounds * weight) < 5 * sigma


def test_a_newcomer_that_starts_at_the_head_has_its_fair_share():
    source = random.Random(21)
    rounds = 20_000
    wins = 0
    for _ in range(rounds):
        # of three of weight 1 one is gone; the head is the draw it had
        first, *rest = sorted(draw(1.0, source.random()) for _ in range(3))
        wins += draw(1.0, source.random(), base=first) < rest[0]
    assert abs(wins / rounds - 1 / 3) < 5 * math.sqrt(2 / 9 / rounds)
