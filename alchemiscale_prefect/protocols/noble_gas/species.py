"""The species the Protocol knows, as Lennard-Jones particles."""

import math
from dataclasses import dataclass
from types import MappingProxyType

GAS_CONSTANT = 0.00831446261815324
"""R in kJ/mol/K (CODATA 2018, exact)."""


@dataclass(frozen=True)
class Species:
    """A spherical particle.

    Parameters
    ----------
    name
        English name, lower case.
    smiles
        Canonical SMILES of the molecule it stands for.
    well_depth
        epsilon / k_B in K.
    sigma
        Distance at which the potential crosses zero, in nm.
    mass
        In Da.
    """

    name: str
    smiles: str
    well_depth: float
    sigma: float
    mass: float

    @property
    def epsilon(self) -> float:
        """Well depth in kJ/mol."""
        return self.well_depth * GAS_CONSTANT


@dataclass(frozen=True)
class PairParameters:
    """The Lennard-Jones parameters between two particles: epsilon in kJ/mol, sigma in nm."""

    epsilon: float
    sigma: float


SPECIES = MappingProxyType(
    {
        species.smiles: species
        for species in (
            Species("neon", "[Ne]", well_depth=36.83, sigma=0.2775, mass=20.180),
            Species("argon", "[Ar]", well_depth=119.8, sigma=0.3405, mass=39.948),
            Species("krypton", "[Kr]", well_depth=164.0, sigma=0.3827, mass=83.798),
            Species("xenon", "[Xe]", well_depth=222.3, sigma=0.4099, mass=131.293),
            Species("methane", "C", well_depth=148.6, sigma=0.3758, mass=16.043),
        )
    }
)
"""Every known species by its canonical SMILES."""


def species_named(name: str) -> Species:
    """The species with an English name such as ``"krypton"``; a ValueError if there is none."""
    for species in SPECIES.values():
        if species.name == name.lower():
            return species
    raise ValueError(f"unknown species {name!r}: choose one of {', '.join(s.name for s in SPECIES.values())}")


def mix(one: Species, other: Species) -> PairParameters:
    """Lorentz-Berthelot rules: the arithmetic mean of sigma, the geometric mean of epsilon."""
    return PairParameters(
        epsilon=math.sqrt(one.epsilon * other.epsilon),
        sigma=(one.sigma + other.sigma) / 2,
    )
