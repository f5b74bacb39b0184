"""A small box of liquid argon and configurations of it."""

import numpy as np

from alchemiscale_prefect.protocols.noble_gas.liquid import Liquid, lattice_positions
from alchemiscale_prefect.protocols.noble_gas.potential import CutOff, FloatArray
from alchemiscale_prefect.protocols.noble_gas.species import species_named


def small_liquid(n_solvent: int = 100) -> Liquid:
    """Argon at 120 K and rho sigma^3 = 0.70."""
    argon = species_named("argon")
    return Liquid(argon, n_solvent, 0.70, 120.0, CutOff(2.5 * argon.sigma))


def shaken_lattice(liquid: Liquid, n_particles: int, seed: int = 3) -> FloatArray:
    """A disordered configuration without overlaps, some particles outside the first image of the box."""
    rng = np.random.default_rng(seed)
    positions = lattice_positions(liquid, n_particles, rng) + rng.normal(scale=0.012, size=(n_particles, 3))
    return positions + liquid.edge * rng.integers(-1, 2, size=(n_particles, 1))
