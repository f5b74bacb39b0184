"""The equation of state of the Lennard-Jones fluid of Johnson, Zollweg and Gubbins.

Source: J. K. Johnson, J. A. Zollweg and K. E. Gubbins, "The Lennard-Jones equation of state revisited",
Mol. Phys. 78, 591-618 (1993). It is a modified Benedict-Webb-Rubin equation with 32 linear parameters and one
non-linear parameter, fitted to simulations of the full (not truncated) potential.

With the density rho and temperature T in reduced units (sigma = epsilon = k_B = 1) and F = exp(-gamma rho^2), the
residual Helmholtz energy per particle and the pressure are ::

    A_r = sum_{i=1..8} a_i rho^i / i  +  sum_{i=1..6} b_i G_i
    P   = rho T + sum_{i=1..8} a_i rho^(i+1)  +  F sum_{i=1..6} b_i rho^(2i+1)

    G_1 = (1 - F) / (2 gamma),      G_i = -(F rho^(2(i-1)) - 2 (i-1) G_{i-1}) / (2 gamma)

where a_i and b_i are polynomials in powers of T. As U_r = A_r - T dA_r/dT, each term x T^p of a coefficient
contributes (1 - p) x T^p to the residual internal energy. The residual chemical potential is
mu_r = A_r + P / rho - T. Residual means: less the ideal gas at the same density and temperature.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

Polynomial: TypeAlias = tuple[tuple[float, float], ...]
"""Terms (x, p) of a sum of x T^p."""

GAMMA = 3.0

_A: tuple[Polynomial, ...] = (
    (
        (0.8623085097507421, 1.0),
        (2.976218765822098, 0.5),
        (-8.402230115796038, 0.0),
        (0.1054136629203555, -1.0),
        (-0.8564583828174598, -2.0),
    ),
    ((1.582759470107601, 1.0), (0.7639421948305453, 0.0), (1.753173414312048, -1.0), (2798.291772190376, -2.0)),
    ((-0.048394220260857657, 1.0), (0.9963265197721935, 0.0), (-36.98000291272493, -1.0)),
    ((20.84012299434647, 0.0),),
    ((83.05402124717285, -1.0), (-957.4799715203068, -2.0)),
    ((-147.7746229234994, -1.0),),
    ((63.98607852471505, -1.0), (16.03993673294834, -2.0)),
    ((68.05916615864377, -2.0),),
)

_B: tuple[Polynomial, ...] = (
    ((-2791.293578795945, -2.0), (-6.245128304568454, -3.0)),
    ((-8116.836104958410, -2.0), (14.88735559561229, -4.0)),
    ((-10593.46754655084, -2.0), (-113.1607632802822, -3.0)),
    ((-8867.771540418822, -2.0), (-39.86982844450543, -4.0)),
    ((-4689.270299917261, -2.0), (259.3535277438717, -3.0)),
    ((-2694.523589434903, -2.0), (-721.8487631550215, -3.0), (172.1802063863269, -4.0)),
)


@dataclass(frozen=True)
class LennardJonesFluid:
    """A state of the Lennard-Jones fluid, in reduced units.

    Parameters
    ----------
    temperature
        T* = k_B T / epsilon, above zero. The fit covers 0.7 to 6.
    density
        rho* = rho sigma^3, above zero. The fit covers up to 1.25.
    """

    temperature: float
    density: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"temperature must be a reduced temperature above 0, not {self.temperature!r}")
        if not (math.isfinite(self.density) and self.density > 0):
            raise ValueError(f"density must be a reduced density above 0, not {self.density!r}")

    def pressure(self) -> float:
        """Pressure P* = P sigma^3 / epsilon."""
        rho, t = self.density, self.temperature
        damping = math.exp(-GAMMA * rho**2)
        virial = sum(_value(a, t) * rho ** (i + 1) for i, a in enumerate(_A, start=1))
        virial += damping * sum(_value(b, t) * rho ** (2 * i + 1) for i, b in enumerate(_B, start=1))
        return rho * t + virial

    def residual_helmholtz_energy(self) -> float:
        """Residual Helmholtz energy per particle, A_r / (N epsilon)."""
        t = self.temperature
        return self._density_series([_value(a, t) for a in _A], [_value(b, t) for b in _B])

    def residual_internal_energy(self) -> float:
        """Residual internal energy per particle, U_r / (N epsilon): the mean potential energy."""
        t = self.temperature
        return self._density_series([_energy_part(a, t) for a in _A], [_energy_part(b, t) for b in _B])

    def residual_chemical_potential(self) -> float:
        """Residual (excess) chemical potential mu_r / epsilon: the free energy of inserting one more particle."""
        return self.residual_helmholtz_energy() + self.pressure() / self.density - self.temperature

    def _density_series(self, a: list[float], b: list[float]) -> float:
        rho = self.density
        series = sum(value * rho**i / i for i, value in enumerate(a, start=1))
        return series + sum(value * g for value, g in zip(b, _damped_integrals(rho, len(b)), strict=True))


def _value(terms: Polynomial, temperature: float) -> float:
    return math.fsum(x * temperature**p for x, p in terms)


def _energy_part(terms: Polynomial, temperature: float) -> float:
    return math.fsum((1 - p) * x * temperature**p for x, p in terms)


def _damped_integrals(rho: float, count: int) -> list[float]:
    """G_i: the integrals over rho of rho^(2i-1) exp(-gamma rho^2) that the Helmholtz energy needs."""
    damping = math.exp(-GAMMA * rho**2)
    integrals = [(1 - damping) / (2 * GAMMA)]
    for i in range(1, count):
        integrals.append(-(damping * rho ** (2 * i) - 2 * i * integrals[-1]) / (2 * GAMMA))
    return integrals
