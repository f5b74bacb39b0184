"""Seeds, lineages and the average over repeats."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.protocols.repeats import (
    Repeat,
    average,
    generator,
    independent,
    next_lineage,
    openmm_seed,
)

seeds = st.integers(0, 2**48 - 1)
lineages = st.lists(seeds, min_size=1, max_size=4)


def test_without_a_seed_every_lineage_is_new():
    assert len({tuple(next_lineage(None)) for _ in range(100)}) == 100
    assert next_lineage(None, [5])[0] == 5
    assert next_lineage(None, [5]) != next_lineage(None, [5])


@given(seeds, lineages)
def test_a_seed_fixes_the_lineage_and_every_extension_is_another(seed: int, extended: list[int]):
    assert next_lineage(seed) == [seed]
    once = next_lineage(seed, extended)
    assert once == next_lineage(seed, extended)
    assert once[:-1] == extended
    assert next_lineage(seed, once)[-1] != once[-1]


@given(lineages, st.integers(0, 50))
def test_streams_of_a_run_differ_and_are_reproducible(lineage: list[int], stream: int):
    numbers = generator(lineage, stream).random(4)
    assert np.array_equal(numbers, generator(lineage, stream).random(4))
    assert not np.array_equal(numbers, generator(lineage, stream + 1).random(4))
    assert not np.array_equal(numbers, generator([*lineage, 0], stream).random(4))
    assert 0 < openmm_seed(generator(lineage, stream)) < 2**31


def test_a_run_and_its_extensions_count_once():
    first, second, third = Repeat(1.0, 0.3, (1,)), Repeat(2.0, 0.2, (1, 2)), Repeat(3.0, 0.1, (1, 2, 3))
    other = Repeat(9.0, 0.4, (7,))
    assert independent([second, other, first, third]) == [third, other]
    assert independent([first, other]) == [first, other]


def test_two_extensions_of_one_run_are_one_repeat_with_the_larger_error():
    branches = [Repeat(1.0, 0.3, (1,)), Repeat(2.0, 0.2, (1, 2)), Repeat(4.0, 0.1, (1, 3))]
    assert independent(branches) == [Repeat(3.0, 0.2, (1,))]


def test_an_extension_whose_origin_is_missing_counts():
    assert independent([Repeat(2.0, 0.2, (1, 2))]) == [Repeat(2.0, 0.2, (1, 2))]


def test_runs_with_one_seed_are_one_repeat():
    assert independent([Repeat(2.0, 0.2, (42,))] * 3) == [Repeat(2.0, 0.2, (42,))]


def test_average_of_one_is_itself():
    assert average([Repeat(2.0, 0.2, (1,))]) == (2.0, 0.2)


def test_the_larger_of_scatter_and_propagated_error_is_given():
    far = [Repeat(value, 0.001, (index,)) for index, value in enumerate([1.0, 2.0, 3.0])]
    mean, error = average(far)
    assert mean == pytest.approx(2.0)
    assert error == pytest.approx(1.0 / math.sqrt(3))
    near = [Repeat(value, 0.3, (index,)) for index, value in enumerate([2.0, 2.0, 2.0])]
    assert average(near)[1] == pytest.approx(0.3 / math.sqrt(3))


def test_average_of_none_is_refused():
    with pytest.raises(InvalidInput, match="no successful result"):
        average([])
