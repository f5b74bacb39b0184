"""The box of liquid: its geometry, a start configuration, and what is read from its configurations.

Lengths in nm, energies in kJ/mol, temperatures in K. The solute, where there is one, is the last particle.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from alchemiscale_prefect.protocols.noble_gas.equation_of_state import LennardJonesFluid
from alchemiscale_prefect.protocols.noble_gas.potential import (
    CutOff,
    FloatArray,
    Interaction,
    energy,
    full_energy,
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


def squared_distances(one: FloatArray, other: FloatArray, edge: float) -> FloatArray:
    """Squared distances by the minimum image, nm^2; the arguments, shape (..., 3), are broadcast against each other."""
    total: FloatArray = np.zeros(np.broadcast_shapes(one.shape, other.shape)[:-1])
    for axis in range(3):
        _add_squares(total, one[..., axis] - other[..., axis], edge)
    return total


def squared_pair_distances(positions: FloatArray, edge: float) -> FloatArray:
    """Squared distances of all pairs by the minimum image, in the order of :func:`pairs`: nm^2."""
    first, second = pairs(len(positions))
    total: FloatArray = np.zeros(len(first))
    for coordinate in np.ascontiguousarray(positions.T):  # picking from one row at a time is five times as fast
        _add_squares(total, coordinate[first] - coordinate[second], edge)
    return total


def _add_squares(total: FloatArray, separation: FloatArray, edge: float) -> None:
    separation -= edge * np.rint(separation / edge)
    separation *= separation
    total += separation


@lru_cache(maxsize=4)
def pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and second particle of each of the n (n - 1) / 2 pairs."""
    first, second = np.triu_indices(n, k=1)
    return first, second


def solute_distances(positions: FloatArray, edge: float) -> FloatArray:
    """Distances of the last particle to all others by the minimum image, shape (n - 1,), nm."""
    return np.sqrt(squared_distances(positions[:-1], positions[-1:], edge))


def solute_energies(positions: FloatArray, liquid: Liquid, path: Sequence[Interaction]) -> FloatArray:
    """Energy of the solute with the solvent at each point of the path, without tail: kJ/mol, shape (len(path),)."""
    near = solute_distances(positions, liquid.edge)
    near = near[near < liquid.cutoff.distance]
    weight = liquid.cutoff.weight(near)
    return np.array([full_energy(near, interaction) @ weight for interaction in path])


def energy_and_pressure(positions: FloatArray, liquid: Liquid, solute: Interaction | None) -> tuple[float, float]:
    """Potential energy and pressure of one configuration, with tail corrections.

    Parameters
    ----------
    positions
        Shape (n, 3), nm.
    liquid
        The box.
    solute
        Interaction of the last particle with the solvent; None if all are solvent.

    Returns
    -------
    tuple
        Energy per particle in kJ/mol; pressure in bar.
    """
    n, volume = len(positions), liquid.volume
    n_solvent = n - (solute is not None)
    among = liquid.solvent_interaction
    # the number of pairs beyond the cut-off is that of a uniform liquid
    parts = [(np.sqrt(squared_pair_distances(positions[:n_solvent], liquid.edge)), among, n_solvent**2 / 2.0)]
    if solute is not None:
        parts.append((solute_distances(positions, liquid.edge), solute, float(n_solvent)))
    total = 0.0
    pressure = n / volume * liquid.kT
    for distances, interaction, pairs in parts:
        near = distances[distances < liquid.cutoff.distance]
        tail = pairs / volume * missing_integral(interaction, liquid.cutoff)
        total += float(energy(near, interaction, liquid.cutoff).sum()) + tail
        # Integrating by parts, the virial that the cut-off takes away is three times the energy it takes away.
        pressure += (float(virial(near, interaction, liquid.cutoff).sum()) / 3.0 + tail) / volume
    return total / n, pressure * BAR_PER_KJ_MOL_NM3


def expected_energy_and_pressure(liquid: Liquid, n_particles: int) -> tuple[float, float]:
    """What the equation of state gives for ``n_particles`` of pure solvent in the box: kJ/mol per particle, bar."""
    epsilon, sigma = liquid.solvent.epsilon, liquid.solvent.sigma
    fluid = _reduced(liquid, n_particles)
    return (
        fluid.residual_internal_energy() * epsilon,
        fluid.pressure() * epsilon / sigma**3 * BAR_PER_KJ_MOL_NM3,
    )


def expected_insertion(liquid: Liquid) -> float:
    """Free energy of inserting one more solvent particle by the equation of state, in kJ/mol."""
    return _reduced(liquid, liquid.n_solvent).residual_chemical_potential() * liquid.solvent.epsilon


def _reduced(liquid: Liquid, n_particles: int) -> LennardJonesFluid:
    return LennardJonesFluid(
        temperature=liquid.kT / liquid.solvent.epsilon,
        density=n_particles / liquid.volume * liquid.solvent.sigma**3,
    )
