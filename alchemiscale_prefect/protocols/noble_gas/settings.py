"""Settings of NobleGasProtocol."""

from itertools import pairwise
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

from alchemiscale_prefect.chemistry.base import SettingsBaseModel, unit
from alchemiscale_prefect.protocols.quantities import Length, Rate, Temperature, Time


def _from_zero_to_one(lambdas: list[float]) -> list[float]:
    if len(lambdas) < 2 or lambdas[0] != 0.0 or lambdas[-1] != 1.0:
        raise ValueError(f"must begin with 0 and end with 1, not {lambdas}")
    if any(here >= after for here, after in pairwise(lambdas)):
        raise ValueError(f"must increase, not {lambdas}")
    return lambdas


Lambdas: TypeAlias = Annotated[list[float], AfterValidator(_from_zero_to_one)]


class NobleGasSettings(SettingsBaseModel):
    """Settings of :class:`~alchemiscale_prefect.protocols.noble_gas.NobleGasProtocol`.

    Every length of time is a whole number of time steps.
    """

    temperature: Temperature = Field(default=120.0 * unit.kelvin, description="Temperature.")
    reduced_density: float = Field(
        default=0.70, gt=0.0, le=1.2, description="Density of the solvent in units of its own size, rho sigma^3."
    )
    n_solvent: int = Field(default=256, ge=20, le=5000, description="Number of solvent particles in the box.")
    cutoff: Length = Field(
        default=0.85125 * unit.nanometer,
        description="Cut-off of every pair, 2.5 sigma of argon; at most half the edge of the box.",
    )
    insertion_lambdas: Lambdas = Field(
        default=[0.0, 0.16, 0.25, 0.325, 0.425, 0.56, 0.75, 1.0],
        description="Windows where a solute appears or disappears: how far it is coupled.",
    )
    relative_lambdas: Lambdas = Field(
        default=[0.0, 0.33, 0.67, 1.0], description="Windows where a solute becomes another one."
    )
    timestep: Time = Field(default=0.01 * unit.picosecond, description="Time step of the integrator.")
    friction: Rate = Field(default=1.0 / unit.picosecond, description="Friction of the Langevin thermostat.")
    equilibration_length: Time = Field(
        default=20.0 * unit.picosecond, description="Equilibration from the lattice, once for all windows."
    )
    window_equilibration_length: Time = Field(
        default=5.0 * unit.picosecond, description="Equilibration at the start of each window."
    )
    production_length: Time = Field(default=25.0 * unit.picosecond, description="Sampling of each window.")
    sampling_interval: Time = Field(
        default=0.05 * unit.picosecond, description="Time between samples and between moves."
    )
    relocation_trials: int = Field(
        default=50,
        ge=0,
        le=10_000,
        description="Random places tried for a solute that is not fully coupled; 0 for none.",
    )
    platform: str = Field(
        default="CPU",
        min_length=1,
        description="OpenMM platform, or 'fastest' of those that work. On the CPU each window takes one thread.",
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        lt=2**48,
        description=(
            "With None each run draws its own seed, and repeats of a Task are independent. With a number every run is "
            "the same one, and repeats count once."
        ),
    )
