"""From weights to numbers of Tasks."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.scaling import StrategyWeighting, normalized, task_count
from alchemiscale_prefect.domain.strategies import StrategyTaskScaling

LINEAR, EXPONENTIAL = StrategyTaskScaling.linear, StrategyTaskScaling.exponential
SHARE = StrategyWeighting.share

any_weights = st.dictionaries(st.text(max_size=3), st.none() | st.floats(0, allow_infinity=False), max_size=8)


@pytest.mark.parametrize(
    ("weight", "most", "scaling", "count"),
    [
        # the user guide's examples
        (0.5, 6, LINEAR, 4),
        (0.5, 6, EXPONENTIAL, 2),
        # its scales begin with 1 and end with the most
        (1e-12, 6, LINEAR, 1),
        (1e-12, 6, EXPONENTIAL, 1),
        (1.0, 6, LINEAR, 6),
        (1.0, 6, EXPONENTIAL, 6),
        (1.0, 1, EXPONENTIAL, 1),
        (None, 6, LINEAR, 0),
        (None, 6, EXPONENTIAL, 0),
        (0.0, 6, LINEAR, 0),
        (-0.0, 6, EXPONENTIAL, 0),
        # where floating point falls just below a whole number
        (0.29, 100, LINEAR, 30),
        (1 / 3, 124, EXPONENTIAL, 5),
        (0.5, 3, EXPONENTIAL, 2),
        (5e-324, 2**31 - 1, EXPONENTIAL, 1),
        (1.0, 2**31 - 1, EXPONENTIAL, 2**31 - 1),
    ],
)
def test_the_number_of_tasks(weight, most, scaling, count):
    assert task_count(weight, most, scaling) == count


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 2**31 - 1), st.sampled_from(StrategyTaskScaling))
def test_more_weight_is_never_fewer_tasks_and_never_above_the_most(one, two, most, scaling):
    fewer, more = (task_count(weight, most, scaling) for weight in sorted((one, two)))
    assert 0 <= fewer <= more <= most
    assert (fewer == 0) == (min(one, two) == 0)


@pytest.mark.parametrize("weight", [-0.1, 1.0000001, math.nan, math.inf])
def test_what_is_no_weight_is_refused(weight):
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        task_count(weight, 3, LINEAR)


def test_a_transformation_may_have_one_task_at_least():
    with pytest.raises(InvalidInput, match="max_tasks_per_transformation"):
        task_count(0.5, 0, LINEAR)


@given(any_weights)
def test_relative_weights_have_their_largest_at_one(weights):
    relative = normalized(weights)
    values = [weight for weight in relative.values() if weight is not None]
    assert {key for key, weight in relative.items() if weight is None} == {k for k, w in weights.items() if w is None}
    assert all(0 <= value <= 1 for value in values)
    assert max(values, default=0) == (1 if any(weights.values()) else 0)


@given(any_weights)
def test_shares_sum_to_one(weights):
    values = [weight for weight in normalized(weights, SHARE).values() if weight is not None]
    assert all(0 <= value <= 1 for value in values)
    assert math.isclose(math.fsum(values), 1) if any(values) else not any(weights.values())


def test_shares_give_nearly_every_transformation_of_a_network_one_task_and_relative_weights_do_not():
    even = {str(n): 1.0 for n in range(30)}
    for weighting, count in ((SHARE, 1), (StrategyWeighting.relative, 3)):
        counts = {task_count(weight, 3, EXPONENTIAL) for weight in normalized(even, weighting).values()}
        assert counts == {count}


def test_every_wrong_weight_is_named():
    with pytest.raises(InvalidInput, match=r"a: -1\.0, b: nan, c: inf"):
        normalized({"c": math.inf, "a": -1.0, "fine": 2.0, "b": math.nan, "none": None})
