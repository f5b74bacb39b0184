"""The weighted random order: an exponential race."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.selection import Contender, draw, draw_networks
from alchemiscale_prefect.domain.shares import Ledger, Shares

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


@given(st.lists(st.tuples(weights, st.sampled_from("abc")), max_size=6), st.integers(0, 30), st.booleans())
def test_as_many_networks_are_drawn_as_asked_for(networks, count, fair):
    contenders = [Contender(n, weight, f"{org}-c-p") for n, (weight, org) in enumerate(networks)]
    ledger = Ledger(Shares({Scope("a"): 2.0}), []) if fair else None
    drawn = draw_networks(contenders, count, random.Random(5), ledger)
    assert len(drawn) == (count if contenders else 0)
    assert set(drawn) <= set(range(len(contenders)))
    if ledger:
        groups = {Scope(org) for _, org in networks}
        assert [Scope(networks[n][1]) for n in drawn] == ledger.turns(groups, count)


def test_networks_are_drawn_by_weight_within_their_group():
    contenders = [
        Contender(n, weight, scope) for n, weight, scope in ((1, 0.2, "a-c-p"), (2, 0.8, "a-c-q"), (3, 1.0, "b-c-p"))
    ]
    drawn = draw_networks(contenders, 3000, random.Random(22))
    for network, chance in ((1, 0.1), (2, 0.4), (3, 0.5)):
        assert abs(drawn.count(network) - 3000 * chance) < 5 * math.sqrt(3000 * chance * (1 - chance))
    shared = draw_networks(contenders, 3000, random.Random(23), Ledger(Shares({Scope("a"): 1, Scope("b"): 3}), []))
    assert shared.count(3) == 2250
    assert abs(shared.count(1) - 750 * 0.2) < 5 * math.sqrt(750 * 0.2 * 0.8)
