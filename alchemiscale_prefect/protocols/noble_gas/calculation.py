"""What one run calculates: worked out from the settings and the two states, before anything is simulated."""

from dataclasses import dataclass

from alchemiscale_prefect.chemistry.base import ChemicalSystem, Quantity
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.protocols.noble_gas.liquid import Liquid
from alchemiscale_prefect.protocols.noble_gas.path import alchemical_path
from alchemiscale_prefect.protocols.noble_gas.potential import CutOff, Interaction
from alchemiscale_prefect.protocols.noble_gas.settings import NobleGasSettings
from alchemiscale_prefect.protocols.noble_gas.species import Species, mix
from alchemiscale_prefect.protocols.noble_gas.systems import Solution, read_solution


@dataclass(frozen=True)
class Dynamics:
    """How to integrate: Langevin dynamics at the temperature of the liquid.

    Parameters
    ----------
    timestep
        In ps.
    friction
        In 1/ps.
    platform
        Name of the OpenMM platform, or ``"fastest"``.
    """

    timestep: float
    friction: float
    platform: str


@dataclass(frozen=True)
class Lengths:
    """Numbers of time steps, and of samples."""

    equilibration: int
    window_equilibration: int
    between_samples: int
    n_samples: int


@dataclass(frozen=True)
class Calculation:
    """A box, the path of the solute in it, and how it is sampled.

    Parameters
    ----------
    liquid
        The box.
    solute
        Of both states, where they are the same.
    path
        The solute's interaction in each window: one where both states are the same, none where there is no solute.
    dynamics, lengths
        How to integrate, and for how long.
    relocation_trials
        Random places tried for the solute.
    """

    liquid: Liquid
    solute: Species | None
    path: tuple[Interaction, ...]
    dynamics: Dynamics
    lengths: Lengths
    relocation_trials: int

    @property
    def is_equilibrium(self) -> bool:
        """Whether nothing changes, as in a NonTransformation."""
        return len(self.path) < 2

    @property
    def n_particles(self) -> int:
        """Particles in the box, the solute included."""
        return self.liquid.n_solvent + bool(self.path)

    @property
    def roomiest(self) -> Interaction | None:
        """The end of the path with the larger solute: from it, all windows are reached without overlaps."""
        ends = self.path[:1] + self.path[-1:]
        return max(ends, key=lambda end: (end.coupling, end.pair.sigma), default=None)


def calculation(settings: NobleGasSettings, stateA: ChemicalSystem, stateB: ChemicalSystem) -> Calculation:
    """Work out a calculation.

    Raises
    ------
    InvalidInput
        If the states or the settings allow none; it names the field.
    """
    before, after = read_solution(stateA, "stateA"), read_solution(stateB, "stateB")
    if before.solvent != after.solvent:
        raise InvalidInput(
            f"the states have different solvents, {before.solvent.name} and {after.solvent.name}: only the solute may "
            "change",
            field="stateB",
        )
    try:
        liquid = Liquid(
            solvent=before.solvent,
            n_solvent=settings.n_solvent,
            reduced_density=settings.reduced_density,
            temperature=_in(settings.temperature, "kelvin"),
            cutoff=CutOff(_in(settings.cutoff, "nanometer")),
        )
    except ValueError as error:
        raise InvalidInput(str(error), field="cutoff") from error
    return Calculation(
        liquid=liquid,
        solute=before.solute if before.solute == after.solute else None,
        path=_path(settings, before, after),
        dynamics=Dynamics(
            timestep=_in(settings.timestep, "picosecond"),
            friction=_in(settings.friction, "1 / picosecond"),
            platform=settings.platform,
        ),
        lengths=_lengths(settings),
        relocation_trials=settings.relocation_trials,
    )


def _path(settings: NobleGasSettings, before: Solution, after: Solution) -> tuple[Interaction, ...]:
    if before.solute == after.solute:
        return () if before.solute is None else (Interaction(mix(before.solvent, before.solute)),)
    relative = before.solute is not None and after.solute is not None
    lambdas = settings.relative_lambdas if relative else settings.insertion_lambdas
    return tuple(alchemical_path(before.solvent, before.solute, after.solute, lambdas))


def _lengths(settings: NobleGasSettings) -> Lengths:
    between = _steps(settings, "sampling_interval")
    production = _steps(settings, "production_length")
    if production < 10 * between:
        raise InvalidInput(
            f"production_length {settings.production_length} gives fewer than 10 samples, one per sampling_interval "
            f"{settings.sampling_interval}",
            field="production_length",
        )
    return Lengths(
        equilibration=_steps(settings, "equilibration_length"),
        window_equilibration=_steps(settings, "window_equilibration_length"),
        between_samples=between,
        n_samples=production // between,
    )


def _steps(settings: NobleGasSettings, field: str) -> int:
    length = _in(getattr(settings, field), "picosecond")
    exact = length / _in(settings.timestep, "picosecond")
    steps = round(exact)
    if steps < 1 or abs(exact - steps) > 1e-6 * exact:
        raise InvalidInput(
            f"{field} {length} ps is not a whole number of time steps of {settings.timestep}", field=field
        )
    return steps


def _in(quantity: Quantity, unit_name: str) -> float:
    return float(quantity.m_as(unit_name))
