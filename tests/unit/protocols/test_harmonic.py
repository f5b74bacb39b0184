"""HarmonicProtocol against its exact answer."""

import math

import pytest

from alchemiscale_prefect.chemistry.base import ChemicalSystem, NonTransformation, Quantity, Transformation, unit
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.protocols.harmonic import (
    HarmonicProtocol,
    HarmonicSettings,
    HarmonicWell,
    exact,
    harmonic_system,
)
from tests.unit.protocols.running import run

KJ = unit.kilojoule_per_mole


def edge(k_a: float, k_b: float, **settings: object) -> Transformation:
    return Transformation(
        stateA=harmonic_system(k_a, "a"),
        stateB=harmonic_system(k_b, "b"),
        protocol=HarmonicProtocol(HarmonicSettings(**settings)),
        name="a -> b",
    )


def test_exact_answer_is_three_halves_kt_times_the_logarithm_of_the_ratio():
    answer = exact(harmonic_system(100.0), harmonic_system(100.0 * math.e), 300.0 * unit.kelvin)
    assert answer.m_as(KJ) == pytest.approx(1.5 * 0.0083144626 * 300.0, rel=1e-8)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.2, 4.0, 30.0])
def test_estimate_agrees_with_the_exact_answer(ratio: float, seed: int):
    transformation = edge(100.0, 100.0 * ratio, seed=seed)
    result = transformation.gather([run(transformation)])
    expected = transformation.protocol.exact(transformation.stateA, transformation.stateB)
    assert abs(result.get_estimate() - expected) < 3 * result.get_uncertainty()
    assert result.get_uncertainty() < 0.25 * KJ


def test_errors_are_neither_too_small_nor_too_large():
    squares = []
    for seed in range(60):
        transformation = edge(100.0, 400.0, seed=seed)
        expected = transformation.protocol.exact(transformation.stateA, transformation.stateB)
        result = transformation.gather([run(transformation)])
        squares.append(((result.get_estimate() - expected) / result.get_uncertainty()).m_as("") ** 2)
    # chi-squared over its 60 degrees of freedom: mean 1, standard deviation 0.18
    assert 0.4 < sum(squares) / len(squares) < 1.9


def test_a_seed_makes_runs_equal_and_its_absence_makes_them_differ():
    seeded, free = edge(100.0, 400.0, seed=7), edge(100.0, 400.0)
    assert seeded.gather([run(seeded)]).get_estimate() == seeded.gather([run(seeded)]).get_estimate()
    assert free.gather([run(free)]).get_estimate() != free.gather([run(free)]).get_estimate()


def test_other_seeds_give_other_results():
    one, other = edge(100.0, 400.0, seed=7), edge(100.0, 400.0, seed=8)
    assert one.gather([run(one)]).get_estimate() != other.gather([run(other)]).get_estimate()


def test_repeats_are_averaged_and_the_error_falls():
    transformation = edge(100.0, 400.0)
    results = [run(transformation) for _ in range(16)]
    one, many = transformation.gather(results[:1]), transformation.gather(results)
    assert len(many.data["repeats"]) == 16
    mean = sum(repeat["estimate"].m_as(KJ) for repeat in many.data["repeats"]) / 16
    assert many.get_estimate().m_as(KJ) == pytest.approx(mean)
    assert many.get_uncertainty() < 0.5 * one.get_uncertainty()


def test_an_extension_pools_samples_and_counts_once():
    transformation = edge(100.0, 400.0)
    first = run(transformation)
    second = run(transformation, extends=first)
    third = run(transformation, extends=second)
    gathered = transformation.gather([first, second, third])
    assert len(gathered.data["repeats"]) == 1
    assert len(gathered.data["repeats"][0]["lineage"]) == 3
    assert gathered.get_estimate() == transformation.gather([third]).get_estimate()
    ratio = transformation.gather([third]).get_uncertainty() / transformation.gather([first]).get_uncertainty()
    assert ratio.m_as("") == pytest.approx(3**-0.5, rel=0.25)


def test_a_result_with_other_windows_cannot_be_extended():
    other = run(edge(100.0, 400.0, n_windows=3))
    with pytest.raises(InvalidInput, match="windows") as raised:
        edge(100.0, 400.0).create(extends=other)
    assert raised.value.field == "extends"


def test_nontransformation_is_exactly_zero():
    transformation = NonTransformation(
        system=harmonic_system(250.0, "rest"), protocol=HarmonicProtocol(HarmonicSettings()), name="rest"
    )
    result = transformation.gather([run(transformation)])
    assert result.get_estimate().m_as(KJ) == 0.0
    assert result.get_uncertainty().m_as(KJ) == 0.0


def test_gathering_nothing_is_refused():
    with pytest.raises(InvalidInput, match="no successful result"):
        edge(100.0, 400.0).gather([])


@pytest.mark.parametrize("constant", [0.0, -1.0, math.inf, math.nan])
def test_force_constants_that_hold_nothing_are_refused(constant: float):
    with pytest.raises(InvalidInput, match="above zero"):
        harmonic_system(constant)


@pytest.mark.parametrize("constant", [3.0, 3.0 * unit.kilojoule_per_mole, "3 kJ"])
def test_force_constants_of_another_dimension_are_refused(constant: object):
    with pytest.raises(InvalidInput, match="squared length"):
        HarmonicWell(constant)


def test_force_constants_are_converted():
    well = HarmonicWell(1.0 * unit.kilocalorie_per_mole / unit.angstrom**2)
    assert well.force_constant.m == pytest.approx(418.4)
    assert HarmonicWell.from_dict(well.to_dict()) == well


def test_states_that_are_not_one_well_are_refused():
    protocol = HarmonicProtocol(HarmonicSettings())
    two = ChemicalSystem({"one": HarmonicWell(Quantity(1.0, "kJ/mol/nm**2")), "two": harmonic_system(2.0)["well"]})
    with pytest.raises(InvalidInput, match="one HarmonicWell") as raised:
        Transformation(stateA=harmonic_system(1.0), stateB=two, protocol=protocol, name="bad").create()
    assert raised.value.field == "stateB"


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1.0 * unit.kelvin},
        {"temperature": 1.0 * unit.bar},
        {"n_windows": 1},
        {"samples_per_window": 0},
        {"seed": -1},
        {"samples": 5},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        HarmonicSettings(**wrong)
