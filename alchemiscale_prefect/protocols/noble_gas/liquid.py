"""The box of liquid: its geometry, a start configuration, and what is read from its configurations.

Lengths in nm, energies in kJ/mol, temperatures in K. The solute, where there is one, is the last particle.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alchemiscale_prefect.protocols.noble_gas.equation_of_state import LennardJonesFluid
from alchemiscale_prefect.protocols.noble_gas.potential import (
    CutOff,
    FloatArray,
    Interaction,
    energy,
    missing_integral,
    virial,
)
from alchemiscale_prefect.protocols.noble_gas.species import GAS_CONSTANT, Species, mix

BAR_PER_KJ_MOL_NM3 = 16.605390671738466
"""1 kJ/mol/nm^3 in bar."""


@dataclass(frozen=True)
class Liquid:
    """A cubic, periodic box of solvent.

    Parameters
    ----------
    solvent
        The solvent.
    n_solvent
        Number of solvent particles.
    reduced_density
        Of the solvent alone, rho sigma^3.
    temperature
        In K.
    cutoff
        Of every pair, in nm; at most half the edge of the box.
    """

    solvent: Species
    n_solvent: int
    reduced_density: float
    temperature: float
    cutoff: CutOff

    def __post_init__(self) -> None:
        if self.cutoff.distance > self.edge / 2:
            raise ValueError(
                f"cutoff {self.cutoff.distance:.4g} nm is over half the edge of the box, {self.edge / 2:.4g} nm: "
                "take more solvent particles, a lower density or a shorter cut-off"
            )

    @property
    def volume(self) -> float:
        """Volume of the box in nm^3."""
        return self.n_solvent * self.solvent.sigma**3 / self.reduced_density

    @property
    def edge(self) -> float:
        """Edge of the box in nm."""
        return math.cbrt(self.volume)

    @property
    def kT(self) -> float:  # noqa: N802 - the symbol
        """k_B T in kJ/mol."""
        return GAS_CONSTANT * self.temperature

    @property
    def solvent_interaction(self) -> Interaction:
        """Between two solvent particles."""
        return Interaction(mix(self.solvent, self.solvent))


def lattice_positions(liquid: Liquid, n_particles: int, rng: np.random.Generator) -> FloatArray:
    """A start configuration: a random choice of the sites of a face-centred cubic lattice with vacancies.

    The vacancies let the crystal melt within a few picoseconds. Shape (n_particles, 3), nm.
    """
    cells = math.ceil(math.cbrt(n_particles / 4 * 1.2))
    corner = np.array(list(np.ndindex(cells, cells, cells)), dtype=np.float64)
    basis = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    sites = (corner[:, None, :] + basis).reshape(-1, 3) * (liquid.edge / cells)
    chosen: FloatArray = sites[rng.choice(len(sites), size=n_particles, replace=False)]
    return chosen


def solute_distances(positions: FloatArray, edge: float) -> FloatArray:
    """Distances of the last particle to all others by the minimum image, shape (n - 1,), nm."""
    separation = positions[:-1] - positions[-1]
    separation -= edge * np.round(separation / edge)
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", separation, separation)))


def pair_distances(positions: FloatArray, edge: float) -> FloatArray:
    """Distances of all pairs by the minimum image, shape (n (n - 1) / 2,), nm."""
    first, second = np.triu_indices(len(positions), k=1)
    separation = positions[first] - positions[second]
    separation -= edge * np.round(separation / edge)
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", separation, separation)))


def solute_energies(positions: FloatArray, liquid: Liquid, path: Sequence[Interaction]) -> FloatArray:
    """Energy of the solute with all solvent at each point of the path, no tail correction: kJ/mol, shape (len(path),)."""
    near = solute_distances(positions, liquid.edge)
    near = near[near < liquid.cutoff.distance]
    return np.array([energy(near, interaction, liquid.cutoff).sum() for interaction in path])


def potential_energy_and_pressure(positions: FloatArray, liquid: Liquid) -> tuple[float, float]:
    """Potential energy and pressure of one configuration of pure solvent, with tail corrections.

    Parameters
    ----------
    positions
        Of n identical particles, shape (n, 3), nm.
    liquid
        The box; its ``n_solvent`` is not read, the density follows from the number of positions.

    Returns
    -------
    tuple
        Energy per particle in kJ/mol; pressure in bar.
    """
    n = len(positions)
    density = n / liquid.volume
    near = pair_distances(positions, liquid.edge)
    near = near[near < liquid.cutoff.distance]
    interaction = liquid.solvent_interaction
    missing = missing_integral(interaction, liquid.cutoff)
    per_particle = energy(near, interaction, liquid.cutoff).sum() / n + density * missing / 2.0
    pressure = density * liquid.kT + virial(near, interaction, liquid.cutoff).sum() / (3.0 * liquid.volume)
    # Integrating by parts, the virial that the cut-off takes away is three times the energy it takes away.
    pressure += density**2 * missing / 2.0
    return float(per_particle), float(pressure * BAR_PER_KJ_MOL_NM3)


def expected_energy_and_pressure(liquid: Liquid, n_particles: int) -> tuple[float, float]:
    """What the equation of state gives for ``n_particles`` of pure solvent in the box: kJ/mol per particle, bar."""
    epsilon, sigma = liquid.solvent.epsilon, liquid.solvent.sigma
    fluid = _reduced(liquid, n_particles)
    return (
        fluid.residual_internal_energy() * epsilon,
        fluid.pressure() * epsilon / sigma**3 * BAR_PER_KJ_MOL_NM3,
    )


def expected_insertion(liquid: Liquid) -> float:
    """What the equation of state gives for inserting one more solvent particle: its residual chemical potential, kJ/mol."""
    return _reduced(liquid, liquid.n_solvent).residual_chemical_potential() * liquid.solvent.epsilon


def _reduced(liquid: Liquid, n_particles: int) -> LennardJonesFluid:
    return LennardJonesFluid(
        temperature=liquid.kT / liquid.solvent.epsilon,
        density=n_particles / liquid.volume * liquid.solvent.sigma**3,
    )
