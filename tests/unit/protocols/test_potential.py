"""The potential: against brute force, OpenMM, and integrals done another way."""

import itertools
import math

import numpy as np
import pytest

from alchemiscale_prefect.protocols.noble_gas.calculation import Dynamics
from alchemiscale_prefect.protocols.noble_gas.liquid import (
    BAR_PER_KJ_MOL_NM3,
    Liquid,
    energy_and_pressure,
    solute_energies,
    squared_pair_distances,
)
from alchemiscale_prefect.protocols.noble_gas.path import alchemical_path
from alchemiscale_prefect.protocols.noble_gas.potential import (
    CutOff,
    Interaction,
    energy,
    full_energy,
    missing_integral,
    solute_tail_correction,
    virial,
)
from alchemiscale_prefect.protocols.noble_gas.species import PairParameters, mix, species_named
from tests.unit.protocols.liquids import shaken_lattice, small_liquid

ARGON, XENON = species_named("argon"), species_named("xenon")
LIQUID = small_liquid()
COUPLINGS = [0.0, 0.1, 0.5, 0.9, 1.0]


def soft_core(r: float, epsilon: float, sigma: float, coupling: float) -> float:
    x = 0.5 * (1 - coupling) + (r / sigma) ** 6
    return 4 * epsilon * coupling * (x**-2 - x**-1)


def switched(r: float, value: float, cutoff: float) -> float:
    y = (r - 0.9 * cutoff) / (0.1 * cutoff)
    if y <= 0:
        return value
    return 0.0 if y >= 1 else value * (1 - 10 * y**3 + 15 * y**4 - 6 * y**5)


def brute_force(positions: np.ndarray, liquid: Liquid, epsilon: float, sigma: float, coupling: float) -> float:
    """Energy of the last particle with all others, one image at a time."""
    total = 0.0
    images = list(itertools.product((-1, 0, 1), repeat=3))
    for other in positions[:-1]:
        separation = (positions[-1] - other) % liquid.edge
        nearest = min(math.dist(separation, np.array(image) * liquid.edge) for image in images)
        total += switched(nearest, soft_core(nearest, epsilon, sigma, coupling), liquid.cutoff.distance)
    return total


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_solute_energy_is_that_of_brute_force(coupling: float):
    positions = shaken_lattice(LIQUID, 101)
    pair = mix(ARGON, XENON)
    expected = brute_force(positions, LIQUID, pair.epsilon, pair.sigma, coupling)
    assert solute_energies(positions, LIQUID, [Interaction(pair, coupling)])[0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_openmm_simulates_the_potential_that_is_analysed(coupling: float):
    from alchemiscale_prefect.protocols.noble_gas.simulation import Simulation

    positions = shaken_lattice(LIQUID, 101)
    interaction = Interaction(mix(ARGON, XENON), coupling)
    simulation = Simulation(LIQUID, interaction, positions, Dynamics(0.01, 1.0, "Reference"), seed=1)
    r = np.sqrt(squared_pair_distances(positions[:-1], LIQUID.edge))
    expected = energy(r, LIQUID.solvent_interaction, LIQUID.cutoff).sum()
    expected += solute_energies(positions, LIQUID, [interaction])[0]
    assert simulation.potential_energy == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_virial_is_the_slope_of_the_energy(coupling: float):
    interaction = Interaction(mix(ARGON, XENON), coupling)
    r = np.linspace(0.3, 0.95, 200)
    step = 1e-6
    slope = (energy(r + step, interaction, LIQUID.cutoff) - energy(r - step, interaction, LIQUID.cutoff)) / (2 * step)
    assert virial(r, interaction, LIQUID.cutoff) == pytest.approx(-r * slope, rel=1e-5, abs=1e-5)


def test_tail_correction_is_the_analytic_one_where_nothing_is_switched():
    # 8 pi/3 rho epsilon sigma^3 ((1/3) (sigma/r)^9 - (sigma/r)^3) per particle, twice that for one solute; the switch
    # then takes away what lies between it and the cut-off as well
    epsilon, sigma, density = ARGON.epsilon, ARGON.sigma, 0.70 / ARGON.sigma**3
    interaction = LIQUID.solvent_interaction

    def beyond(r: float) -> float:
        return 16 * math.pi / 3 * density * epsilon * sigma**3 * ((sigma / r) ** 9 / 3 - (sigma / r) ** 3)

    cutoff = LIQUID.cutoff
    r = np.linspace(cutoff.switch, cutoff.distance, 200_001)
    shell = (
        4 * math.pi * density * np.trapezoid(r**2 * (full_energy(r, interaction) - energy(r, interaction, cutoff)), r)
    )
    tail = solute_tail_correction(interaction, cutoff, n_solvent=LIQUID.n_solvent, volume=LIQUID.volume)
    assert tail == pytest.approx(beyond(cutoff.distance) + shell, rel=1e-9)
    assert beyond(cutoff.switch) < tail < beyond(cutoff.distance)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_energy_and_its_tail_do_not_depend_on_the_cutoff_in_a_uniform_liquid(coupling: float):
    interaction = Interaction(mix(ARGON, XENON), coupling)

    near = CutOff(0.8)
    far = CutOff(1.6)
    inner = np.linspace(0.24, 0.8, 400_001)
    outer = np.linspace(0.24, 1.6, 400_001)
    values = [
        4 * math.pi * np.trapezoid(r**2 * energy(r, interaction, cutoff), r) + missing_integral(interaction, cutoff)
        for r, cutoff in ((inner, near), (outer, far))
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-7, abs=1e-9)


def test_pressure_is_minus_the_slope_of_the_energy_with_volume():
    # scale the box and everything in it: dU/dV = -(P - rho kT), tail corrections included
    positions = shaken_lattice(LIQUID, 101)
    solute = Interaction(mix(ARGON, XENON), 1.0)

    def energy_at(scale: float) -> tuple[float, float]:
        liquid = Liquid(ARGON, 100, LIQUID.reduced_density / scale**3, LIQUID.temperature, LIQUID.cutoff)
        return energy_and_pressure(positions * scale, liquid, solute)[0] * 101, liquid.volume

    (above, larger), (below, smaller) = energy_at(1 + 1e-6), energy_at(1 - 1e-6)
    configurational = -(above - below) / (larger - smaller)
    expected = (configurational + 101 / LIQUID.volume * LIQUID.kT) * BAR_PER_KJ_MOL_NM3
    assert energy_and_pressure(positions, LIQUID, solute)[1] == pytest.approx(expected, rel=1e-5)


def test_mixing_follows_lorentz_and_berthelot():
    pair = mix(ARGON, XENON)
    assert pair.sigma == pytest.approx((0.3405 + 0.4099) / 2)
    assert pair.epsilon == pytest.approx(math.sqrt(119.8 * 222.3) * 8.31446261815324e-3)


def test_paths_begin_and_end_with_the_two_states():
    relative = alchemical_path(ARGON, ARGON, XENON, [0.0, 0.5, 1.0])
    assert relative[0] == Interaction(mix(ARGON, ARGON))
    assert relative[-1] == Interaction(mix(ARGON, XENON))
    insertion = alchemical_path(ARGON, None, XENON, [0.0, 0.5, 1.0])
    assert [point.coupling for point in insertion] == [0.0, 0.5, 1.0]
    deletion = alchemical_path(ARGON, XENON, None, [0.0, 0.5, 1.0])
    assert [point.coupling for point in deletion] == [1.0, 0.5, 0.0]
    with pytest.raises(ValueError, match="no solute"):
        alchemical_path(ARGON, None, None, [0.0, 1.0])


@pytest.mark.parametrize("coupling", [-0.1, 1.1, math.nan])
def test_couplings_outside_their_range_are_refused(coupling: float):
    with pytest.raises(ValueError, match="coupling"):
        Interaction(PairParameters(1.0, 0.3), coupling)


def test_a_box_too_small_for_its_cutoff_is_refused():
    with pytest.raises(ValueError, match="half the edge"):
        small_liquid(n_solvent=60)
