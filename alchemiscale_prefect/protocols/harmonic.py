"""HarmonicProtocol: the free energy between two harmonic wells, by sampling, with an exact answer to compare with.

A particle in a three-dimensional isotropic well U = k r^2 / 2 has the configurational free energy
-(3/2) k_B T ln(2 pi k_B T / k) + const, so that between wells of force constants k_A and k_B ::

    Delta G = (3/2) k_B T ln(k_B / k_A)

The calculation takes well under a second and has the shape of a real one: a setup, windows that may run side by
side, an analysis; so it serves wherever a Protocol must be run and its answer known.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import fsum, log, sqrt
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from alchemiscale_prefect.chemistry.base import (
    ChemicalSystem,
    Component,
    ComponentMapping,
    Context,
    Protocol,
    ProtocolDAGResult,
    ProtocolResult,
    ProtocolUnit,
    ProtocolUnitResult,
    Quantity,
    SettingsBaseModel,
    unit,
)
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.protocols.estimators import bar
from alchemiscale_prefect.protocols.gathering import finished_analyses, gathered, lineage_of, successes
from alchemiscale_prefect.protocols.quantities import Temperature
from alchemiscale_prefect.protocols.repeats import generator, next_lineage

FloatArray = NDArray[np.float64]

FORCE_CONSTANT_UNIT = "kilojoule_per_mole / nanometer ** 2"
GAS_CONSTANT = 0.00831446261815324  # kJ/mol/K


class HarmonicWell(Component):  # type: ignore[misc]
    """A particle held in a harmonic well: the one component of a state that :class:`HarmonicProtocol` takes.

    Parameters
    ----------
    force_constant
        k of U = k r^2 / 2, above zero; an energy per mole and squared length.
    name
        A name; part of the identity.
    """

    def __init__(self, force_constant: Quantity, name: str = "") -> None:
        if not isinstance(force_constant, Quantity) or not force_constant.is_compatible_with(FORCE_CONSTANT_UNIT):
            raise InvalidInput(
                f"force_constant must be an energy per mole and squared length, such as "
                f"100 * unit.kilojoule_per_mole / unit.nanometer**2, not {force_constant!r}",
                field="force_constant",
            )
        magnitude = float(force_constant.m_as(FORCE_CONSTANT_UNIT))
        if not (np.isfinite(magnitude) and magnitude > 0):
            raise InvalidInput(f"force_constant must be above zero, not {force_constant}", field="force_constant")
        self._force_constant = magnitude
        self._name = name

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def force_constant(self) -> Quantity:
        """k in kJ/mol/nm^2."""
        return Quantity(self._force_constant, FORCE_CONSTANT_UNIT)

    @property
    def total_charge(self) -> int:
        """None of it."""
        return 0

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        return {}

    def _to_dict(self) -> dict[str, Any]:
        return {"force_constant": self._force_constant, "name": self._name}

    @classmethod
    def _from_dict(cls, dct: dict[str, Any]) -> "HarmonicWell":
        return cls(Quantity(dct["force_constant"], FORCE_CONSTANT_UNIT), name=dct["name"])


def harmonic_system(force_constant: float, name: str = "") -> ChemicalSystem:
    """A state for :class:`HarmonicProtocol`: one well with a force constant in kJ/mol/nm^2."""
    return ChemicalSystem({"well": HarmonicWell(Quantity(force_constant, FORCE_CONSTANT_UNIT), name=name)}, name=name)


class HarmonicSettings(SettingsBaseModel):
    """Settings of :class:`HarmonicProtocol`."""

    temperature: Temperature = Field(default=300.0 * unit.kelvin, description="Temperature.")
    n_windows: int = Field(default=5, ge=2, le=1000, description="Wells that are sampled, both end states included.")
    samples_per_window: int = Field(default=500, ge=10, le=10_000_000, description="Independent samples of each well.")
    seed: int | None = Field(
        default=None,
        ge=0,
        lt=2**48,
        description="With a number every run gives the same result; with None each run draws its own.",
    )


class HarmonicProtocolResult(ProtocolResult):
    """Free energy difference between two wells, averaged over independent repeats."""

    def get_estimate(self) -> Quantity:
        """Delta G in kJ/mol."""
        return self.data["estimate"]

    def get_uncertainty(self) -> Quantity:
        """Standard error of the estimate in kJ/mol."""
        return self.data["uncertainty"]


class HarmonicSetupUnit(ProtocolUnit):
    """Lays out the wells between the end states, their force constants in geometric progression."""

    @staticmethod
    def _execute(_ctx: Context, *, end_states: Sequence[float], n_windows: int, **_: Any) -> dict[str, Any]:
        first, last = end_states
        ratio = last / first
        return {"force_constants": [first * ratio ** (index / (n_windows - 1)) for index in range(n_windows)]}


class HarmonicWindowUnit(ProtocolUnit):
    """Samples one well, exactly: its Boltzmann distribution is a Gaussian."""

    @staticmethod
    def _execute(
        _ctx: Context,
        *,
        setup: ProtocolUnitResult,
        window: int,
        n_samples: int,
        thermal_energy: float,
        lineage: Sequence[int],
        earlier: FloatArray | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        width = np.sqrt(thermal_energy / setup.outputs["force_constants"][window])
        positions = generator(lineage, stream=window).normal(scale=width, size=(n_samples, 3))
        squares = np.einsum("ij,ij->i", positions, positions)
        return {"squared_distances": squares if earlier is None else np.concatenate([earlier, squares])}


class HarmonicAnalysisUnit(ProtocolUnit):
    """Adds up the free energies between neighbouring wells."""

    @staticmethod
    def _execute(
        _ctx: Context,
        *,
        setup: ProtocolUnitResult,
        windows: Sequence[ProtocolUnitResult],
        thermal_energy: float,
        lineage: Sequence[int],
        **_: Any,
    ) -> dict[str, Any]:
        constants = setup.outputs["force_constants"]
        samples = [result.outputs["squared_distances"] for result in windows]
        steps: list[tuple[float, float]] = []
        for (k, here), (k_next, there) in pairwise(zip(constants, samples, strict=True)):
            if k == k_next:  # a NonTransformation: nothing changes, exactly
                continue
            half_gap = (k_next - k) / 2.0 / thermal_energy
            # Each window gives one half of its samples to each neighbour: so the errors of the steps are independent.
            steps.append(bar(half_gap * here[len(here) // 2 :], -half_gap * there[: len(there) // 2]))
        estimate = thermal_energy * fsum(step for step, _ in steps)
        uncertainty = thermal_energy * sqrt(fsum(error**2 for _, error in steps))
        return {
            "estimate": estimate * unit.kilojoule_per_mole,
            "uncertainty": uncertainty * unit.kilojoule_per_mole,
            "lineage": list(lineage),
            "samples_per_window": [len(squares) for squares in samples],
        }


class HarmonicProtocol(Protocol):
    """Free energy difference between two harmonic wells.

    Each end state is a ChemicalSystem with one :class:`HarmonicWell` and nothing else; a mapping is not needed and not
    read. A result that is extended keeps its samples: the new run adds as many again to each window and analyses all.
    """

    result_cls: ClassVar[type[ProtocolResult]] = HarmonicProtocolResult
    _settings_cls: ClassVar[type[SettingsBaseModel]] = HarmonicSettings

    @classmethod
    def _default_settings(cls) -> HarmonicSettings:
        return HarmonicSettings()

    def exact(self, stateA: ChemicalSystem, stateB: ChemicalSystem) -> Quantity:
        """The exact answer between two states, in kJ/mol."""
        return exact(stateA, stateB, self.settings.temperature)

    def _validate(
        self,
        *,
        stateA: ChemicalSystem,
        stateB: ChemicalSystem,
        mapping: ComponentMapping | list[ComponentMapping] | None,  # noqa: ARG002 - gufe's signature
        extends: ProtocolDAGResult | None = None,
    ) -> None:
        _force_constant(stateA, "stateA")
        _force_constant(stateB, "stateB")
        if extends is not None:
            self._earlier_samples(extends)

    def _create(
        self,
        stateA: ChemicalSystem,
        stateB: ChemicalSystem,
        mapping: ComponentMapping | list[ComponentMapping] | None,  # noqa: ARG002 - gufe's signature
        extends: ProtocolDAGResult | None = None,
    ) -> list[ProtocolUnit]:
        settings = self.settings
        end_states = [_force_constant(stateA, "stateA"), _force_constant(stateB, "stateB")]
        thermal_energy = _thermal_energy(settings.temperature)
        earlier: Sequence[FloatArray | None] = [None] * settings.n_windows
        extended: Sequence[int] = ()
        if extends is not None:
            earlier, extended = self._earlier_samples(extends), lineage_of(extends, HarmonicAnalysisUnit)
        lineage = next_lineage(settings.seed, extended)
        setup = HarmonicSetupUnit(name="setup", end_states=end_states, n_windows=settings.n_windows)
        windows = [
            HarmonicWindowUnit(
                name=f"window {index}",
                setup=setup,
                window=index,
                n_samples=settings.samples_per_window,
                thermal_energy=thermal_energy,
                lineage=lineage,
                earlier=earlier[index],
            )
            for index in range(settings.n_windows)
        ]
        analysis = HarmonicAnalysisUnit(
            name="analysis", setup=setup, windows=windows, thermal_energy=thermal_energy, lineage=lineage
        )
        return [setup, *windows, analysis]

    def _earlier_samples(self, extends: ProtocolDAGResult) -> list[FloatArray]:
        """The samples of each window of the result that is extended."""
        windows = sorted(successes(extends, HarmonicWindowUnit), key=lambda pair: int(pair[0].inputs["window"]))
        indices = [source.inputs["window"] for source, _ in windows]
        if indices != list(range(self.settings.n_windows)):
            raise InvalidInput(
                f"the result to extend has the finished windows {indices}, this Protocol {self.settings.n_windows}: "
                "extend a complete result of the same Protocol and settings",
                field="extends",
            )
        return [result.outputs["squared_distances"] for _, result in windows]

    def _gather(self, protocol_dag_results: Iterable[ProtocolDAGResult]) -> dict[str, Any]:
        return gathered(finished_analyses(protocol_dag_results, HarmonicAnalysisUnit))


def exact(stateA: ChemicalSystem, stateB: ChemicalSystem, temperature: Quantity) -> Quantity:
    """(3/2) k_B T ln(k_B / k_A) in kJ/mol.

    Parameters
    ----------
    stateA, stateB
        States as :class:`HarmonicProtocol` takes them.
    temperature
        A temperature with its unit.

    Raises
    ------
    InvalidInput
        If a state is not one harmonic well.
    """
    ratio = _force_constant(stateB, "stateB") / _force_constant(stateA, "stateA")
    return 1.5 * _thermal_energy(temperature) * log(ratio) * unit.kilojoule_per_mole


def _thermal_energy(temperature: Quantity) -> float:
    return GAS_CONSTANT * float(temperature.m_as(unit.kelvin))


def _force_constant(state: ChemicalSystem, field: str) -> float:
    components = list(state.components.values())
    if len(components) != 1 or not isinstance(components[0], HarmonicWell):
        found = ", ".join(f"{label}: {type(component).__name__}" for label, component in state.components.items())
        raise InvalidInput(
            f"{field} must hold one HarmonicWell and nothing else, not {found or 'nothing'}", field=field
        )
    return float(components[0].force_constant.m)
