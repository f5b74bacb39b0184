"""Molecular dynamics of one box with OpenMM. Import it inside a unit only: it loads OpenMM."""

import numpy as np
import openmm

from alchemiscale_prefect.protocols.noble_gas.calculation import Dynamics
from alchemiscale_prefect.protocols.noble_gas.liquid import Liquid
from alchemiscale_prefect.protocols.noble_gas.potential import SOFT_CORE_ALPHA, FloatArray, Interaction
from alchemiscale_prefect.protocols.platforms import choose

_SOFT_CORE = "4*epsilon*coupling*(1/x^2 - 1/x); x = alpha*(1 - coupling) + (r/sigma)^6"
_MINIMISER_TOLERANCE = 50.0  # kJ/mol/nm: enough to start from
_LONGEST_CHUNK = 1000  # steps, well under a second: between chunks a signal can get through


class Simulation:
    """One OpenMM context: the solvent and, with ``interaction``, one solute as the last particle.

    All particles carry the solvent's mass: configurational averages do not depend on masses.

    Parameters
    ----------
    liquid
        The box.
    interaction
        Between the solute and the solvent; None for solvent alone.
    positions
        Where to start, shape (n, 3), nm.
    dynamics
        How to integrate.
    seed
        Of the random forces and the first velocities, 1 to 2^31 - 1.
    """

    def __init__(
        self, liquid: Liquid, interaction: Interaction | None, positions: FloatArray, dynamics: Dynamics, seed: int
    ) -> None:
        if not 0 < seed < 2**31:
            raise ValueError(f"seed must be between 1 and 2^31 - 1, not {seed!r}")  # OpenMM takes 0 for a random one
        self._integrator = openmm.LangevinMiddleIntegrator(liquid.temperature, dynamics.friction, dynamics.timestep)
        self._integrator.setRandomNumberSeed(seed)
        platform = choose(dynamics.platform)
        self._context = openmm.Context(
            build_system(liquid, interaction), self._integrator, platform, _platform_properties(platform)
        )
        self._context.setPositions(positions)
        self._context.setVelocitiesToTemperature(liquid.temperature, seed)

    @property
    def positions(self) -> FloatArray:
        """Shape (n, 3), nm; not wrapped into the box."""
        positions = self._context.getState(getPositions=True).getPositions(asNumpy=True)
        return np.asarray(positions.value_in_unit(openmm.unit.nanometer), dtype=np.float64)

    @property
    def potential_energy(self) -> float:
        """In kJ/mol, without tail corrections."""
        energy = self._context.getState(getEnergy=True).getPotentialEnergy()
        return float(energy.value_in_unit(openmm.unit.kilojoule_per_mole))

    def minimise(self, max_iterations: int = 200) -> None:
        """Move to a near minimum of the energy."""
        openmm.LocalEnergyMinimizer.minimize(self._context, _MINIMISER_TOLERANCE, max_iterations)

    def run(self, steps: int) -> None:
        """Integrate, in chunks short enough for a termination signal to be noticed."""
        while steps > 0:
            chunk = min(steps, _LONGEST_CHUNK)
            self._integrator.step(chunk)
            steps -= chunk

    def place(self, positions: FloatArray) -> None:
        """Put the particles elsewhere; each keeps its velocity."""
        self._context.setPositions(positions)


def build_system(liquid: Liquid, interaction: Interaction | None) -> openmm.System:
    """The OpenMM system.

    The solvent is a NonbondedForce, which OpenMM's CPU platform vectorises; the solute is a ghost in it and meets the
    solvent through the soft core alone.
    """
    n = liquid.n_solvent
    pair = liquid.solvent_interaction.pair
    system = openmm.System()
    edge = liquid.edge
    system.setDefaultPeriodicBoxVectors((edge, 0, 0), (0, edge, 0), (0, 0, edge))
    among_solvent = openmm.NonbondedForce()
    among_solvent.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    among_solvent.setUseDispersionCorrection(False)
    _set_cutoff(among_solvent, liquid)
    for _ in range(n):
        system.addParticle(liquid.solvent.mass)
        among_solvent.addParticle(0.0, pair.sigma, pair.epsilon)
    if interaction is not None:
        solute = system.addParticle(liquid.solvent.mass)
        among_solvent.addParticle(0.0, pair.sigma, 0.0)
        system.addForce(_solute_force(liquid, interaction, solute))
    system.addForce(among_solvent)
    return system


def _solute_force(liquid: Liquid, interaction: Interaction, solute: int) -> openmm.CustomNonbondedForce:
    force = openmm.CustomNonbondedForce(_SOFT_CORE)
    for name, value in (
        ("epsilon", interaction.pair.epsilon),
        ("sigma", interaction.pair.sigma),
        ("coupling", interaction.coupling),
        ("alpha", SOFT_CORE_ALPHA),
    ):
        force.addGlobalParameter(name, value)
    force.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffPeriodic)
    _set_cutoff(force, liquid)
    for _ in range(liquid.n_solvent + 1):
        force.addParticle([])
    force.addInteractionGroup([solute], range(liquid.n_solvent))
    return force


def _set_cutoff(force: openmm.NonbondedForce | openmm.CustomNonbondedForce, liquid: Liquid) -> None:
    force.setCutoffDistance(liquid.cutoff.distance)
    force.setUseSwitchingFunction(True)
    force.setSwitchingDistance(liquid.cutoff.switch)


def _platform_properties(platform: openmm.Platform) -> dict[str, str]:
    """One thread on the CPU, so that windows run side by side; forces that are the same in each run, where it can."""
    wanted = {"Threads": "1", "DeterministicForces": "true", "Precision": "mixed"}
    known = set(platform.getPropertyNames())
    return {name: value for name, value in wanted.items() if name in known}
