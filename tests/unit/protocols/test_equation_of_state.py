"""The Lennard-Jones equation of state against simulations, exact limits and thermodynamics."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.protocols.noble_gas.equation_of_state import LennardJonesFluid
from alchemiscale_prefect.protocols.noble_gas.species import species_named

# NIST Standard Reference Simulation Website, "Lennard-Jones fluid properties": NVT Monte Carlo, cut-off 3 sigma with
# long-range corrections. (T*, rho*, U*, p*)
NIST = [
    (0.85, 0.776, -5.5121, 0.0067714),
    (0.85, 0.780, -5.5386, 0.047924),
    (0.85, 0.820, -5.7947, 0.55355),
    (0.85, 0.860, -6.0305, 1.2660),
    (0.90, 0.776, -5.4689, 0.24056),
    (0.90, 0.820, -5.7456, 0.82386),
    (0.90, 0.860, -5.9753, 1.5781),
]

states = st.builds(LennardJonesFluid, temperature=st.floats(0.7, 6.0), density=st.floats(0.02, 1.1))


@pytest.mark.parametrize(("temperature", "density", "energy", "pressure"), NIST)
def test_agrees_with_simulations_of_nist(temperature: float, density: float, energy: float, pressure: float):
    fluid = LennardJonesFluid(temperature, density)
    assert fluid.residual_internal_energy() == pytest.approx(energy, abs=0.02)
    assert fluid.pressure() == pytest.approx(pressure, abs=0.02)


def test_critical_point_has_a_flat_isotherm():
    # the authors give T* = 1.313, rho* = 0.310
    step = 1e-4
    pressures = [LennardJonesFluid(1.313, 0.310 + offset).pressure() for offset in (-step, 0.0, step)]
    assert pressures[1] == pytest.approx(0.13, abs=0.002)
    assert (pressures[2] - pressures[0]) / (2 * step) == pytest.approx(0.0, abs=2e-3)
    assert (pressures[2] - 2 * pressures[1] + pressures[0]) / step**2 == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("temperature", [1.0, 1.5, 2.5, 5.0])
def test_second_virial_coefficient_is_that_of_the_potential(temperature: float):
    r = np.linspace(1e-3, 60.0, 600_001)
    with np.errstate(over="ignore"):
        mayer = np.expm1(-4.0 * (r**-12 - r**-6) / temperature)
    exact = -2.0 * math.pi * np.trapezoid(mayer * r**2, r)
    density = 1e-6
    compressibility = LennardJonesFluid(temperature, density).pressure() / (density * temperature)
    assert (compressibility - 1.0) / density == pytest.approx(exact, rel=0.01, abs=0.02)


@given(states)
def test_pressure_is_the_slope_of_the_helmholtz_energy_with_density(fluid: LennardJonesFluid):
    t, rho, step = fluid.temperature, fluid.density, 1e-5
    above, below = (LennardJonesFluid(t, rho + sign * step).residual_helmholtz_energy() for sign in (1, -1))
    residual = rho**2 * (above - below) / (2 * step)
    assert fluid.pressure() - rho * t == pytest.approx(residual, rel=1e-5, abs=1e-6)


@given(states)
def test_internal_energy_follows_from_the_helmholtz_energy(fluid: LennardJonesFluid):
    t, rho, step = fluid.temperature, fluid.density, 1e-5 * fluid.temperature
    above, below = (LennardJonesFluid(t + sign * step, rho).residual_helmholtz_energy() for sign in (1, -1))
    energy = fluid.residual_helmholtz_energy() - t * (above - below) / (2 * step)
    assert fluid.residual_internal_energy() == pytest.approx(energy, rel=1e-6, abs=1e-6)


@given(states)
def test_chemical_potential_is_the_slope_of_the_free_energy_with_the_number_of_particles(fluid: LennardJonesFluid):
    # d(N A_r) / dN at fixed volume = d(rho A_r) / d rho
    t, rho, step = fluid.temperature, fluid.density, 1e-5
    above, below = ((rho + d) * LennardJonesFluid(t, rho + d).residual_helmholtz_energy() for d in (step, -step))
    assert fluid.residual_chemical_potential() == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-6)


def test_argon_of_the_demo():
    argon = species_named("argon")
    fluid = LennardJonesFluid(120.0 / argon.well_depth, 0.70)
    assert fluid.residual_chemical_potential() * argon.epsilon == pytest.approx(-3.454, abs=5e-4)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_states_that_are_none_are_refused(wrong: float):
    with pytest.raises(ValueError, match="temperature"):
        LennardJonesFluid(wrong, 0.5)
    with pytest.raises(ValueError, match="density"):
        LennardJonesFluid(1.0, wrong)
