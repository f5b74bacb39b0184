"""The pair potential, its cut-off and the correction for what the cut-off leaves out.

The soft-core form is that of Beutler et al., Chem. Phys. Lett. 222, 529 (1994), with the first power of the coupling ::

    u(r) = 4 epsilon c (1/x^2 - 1/x),      x = alpha (1 - c) + (r / sigma)^6

so that c = 1 is the Lennard-Jones potential and c = 0 is nothing. Between ``switch`` and ``cutoff`` it is multiplied
by OpenMM's switching function 1 - 10 y^3 + 15 y^4 - 6 y^5, y = (r - switch) / (cutoff - switch), so that energies
and forces go to zero together and the potential that is sampled is the one that is evaluated.

Lengths are in nm, energies in kJ/mol.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alchemiscale_prefect.protocols.noble_gas.species import PairParameters

FloatArray = NDArray[np.float64]

SOFT_CORE_ALPHA = 0.5
SWITCH_FRACTION = 0.9
"""Where switching begins, as a fraction of the cut-off."""

_QUADRATURE_NODES = 64


@dataclass(frozen=True)
class Interaction:
    """What two particles do to each other: Lennard-Jones parameters and how far they are coupled.

    Parameters
    ----------
    pair
        epsilon and sigma.
    coupling
        From 0, nothing, to 1, the whole potential.
    """

    pair: PairParameters
    coupling: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.coupling <= 1.0:
            raise ValueError(f"coupling must be between 0 and 1, not {self.coupling!r}")


@dataclass(frozen=True)
class CutOff:
    """Where the potential ends, in nm."""

    distance: float

    @property
    def switch(self) -> float:
        """Where switching begins, in nm."""
        return SWITCH_FRACTION * self.distance

    def weight(self, r: FloatArray) -> FloatArray:
        """The switching function: 1 up to ``switch``, 0 from ``distance`` on."""
        y = np.clip((r - self.switch) / (self.distance - self.switch), 0.0, 1.0)
        return 1.0 - y**3 * (10.0 - y * (15.0 - 6.0 * y))

    def weight_slope(self, r: FloatArray) -> FloatArray:
        """Derivative of the switching function by r, in 1/nm."""
        width = self.distance - self.switch
        y = np.clip((r - self.switch) / width, 0.0, 1.0)
        return -30.0 * y**2 * (1.0 - y) ** 2 / width


def full_energy(r: FloatArray, interaction: Interaction) -> FloatArray:
    """Pair energy without a cut-off.

    Parameters
    ----------
    r
        Distances in nm, any shape.
    interaction
        The parameters of the pair.

    Returns
    -------
    numpy.ndarray
        Energies in kJ/mol, the shape of ``r``.
    """
    c = interaction.coupling
    if c == 0.0:
        return np.zeros_like(r)
    x = SOFT_CORE_ALPHA * (1.0 - c) + (r / interaction.pair.sigma) ** 6
    return 4.0 * interaction.pair.epsilon * c * (1.0 / x**2 - 1.0 / x)


def energy(r: FloatArray, interaction: Interaction, cutoff: CutOff) -> FloatArray:
    """Pair energy as it is sampled, that is with the cut-off: kJ/mol, the shape of ``r``."""
    return full_energy(r, interaction) * cutoff.weight(r)


def virial(r: FloatArray, interaction: Interaction, cutoff: CutOff) -> FloatArray:
    """-r du/dr of the pair energy with the cut-off: kJ/mol, the shape of ``r``."""
    c = interaction.coupling
    if c == 0.0:
        return np.zeros_like(r)
    reduced = (r / interaction.pair.sigma) ** 6
    x = SOFT_CORE_ALPHA * (1.0 - c) + reduced
    slope_times_r = 4.0 * interaction.pair.epsilon * c * 6.0 * reduced * (1.0 / x**2 - 2.0 / x**3)
    return -(slope_times_r * cutoff.weight(r) + full_energy(r, interaction) * r * cutoff.weight_slope(r))


def missing_integral(interaction: Interaction, cutoff: CutOff) -> float:
    """Integral over space of what the cut-off takes away: 4 pi int r^2 (u - u_sampled) dr in kJ/mol nm^3.

    It runs from ``cutoff.switch`` to infinity; beyond the cut-off with 1/r as the variable, which makes it smooth.
    """
    if interaction.coupling == 0.0:
        return 0.0
    inner = _gauss_legendre(
        lambda r: r**2 * full_energy(r, interaction) * (1.0 - cutoff.weight(r)), cutoff.switch, cutoff.distance
    )
    outer = _gauss_legendre(lambda q: full_energy(1.0 / q, interaction) / q**4, 0.0, 1.0 / cutoff.distance)
    return 4.0 * math.pi * (inner + outer)


def solute_tail_correction(interaction: Interaction, cutoff: CutOff, *, n_solvent: int, volume: float) -> float:
    """Energy of one solute with the solvent beyond the cut-off, taking the solvent there as uniform (g = 1).

    Parameters
    ----------
    interaction
        Between the solute and a solvent particle.
    cutoff
        The cut-off of the simulation.
    n_solvent
        Number of solvent particles in the box.
    volume
        Of the box, in nm^3.

    Returns
    -------
    float
        kJ/mol.
    """
    return n_solvent / volume * missing_integral(interaction, cutoff)


def _gauss_legendre(function: Callable[[FloatArray], FloatArray], low: float, high: float) -> float:
    nodes, weights = np.polynomial.legendre.leggauss(_QUADRATURE_NODES)
    half = (high - low) / 2.0
    return float(half * np.sum(weights * function(low + half * (nodes + 1.0))))
