"""NobleGasProtocol."""

from collections.abc import Iterable
from typing import Any, ClassVar

from alchemiscale_prefect.chemistry.base import (
    ChemicalSystem,
    ComponentMapping,
    Protocol,
    ProtocolDAGResult,
    ProtocolResult,
    ProtocolUnit,
    Quantity,
    SettingsBaseModel,
)
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.protocols.gathering import combined, finished_analyses, gathered, lineage_of, successes
from alchemiscale_prefect.protocols.noble_gas.calculation import Calculation, calculation
from alchemiscale_prefect.protocols.noble_gas.settings import NobleGasSettings
from alchemiscale_prefect.protocols.noble_gas.units import (
    NobleGasAnalysisUnit,
    NobleGasEquilibriumAnalysisUnit,
    NobleGasEquilibriumUnit,
    NobleGasSetupUnit,
    NobleGasWindowUnit,
)
from alchemiscale_prefect.protocols.repeats import next_lineage

_OBSERVABLES = (("potential_energy", "kilojoule_per_mole"), ("pressure", "bar"))


class NobleGasProtocolResult(ProtocolResult):
    """Free energy difference in a Lennard-Jones liquid, averaged over independent repeats.

    ``data["repeats"]`` holds each repeat. For a NonTransformation the estimate is zero, and ``data`` holds
    ``potential_energy`` (per particle) and ``pressure``, each with its ``_uncertainty``, and for pure liquids
    ``expected_potential_energy`` and ``expected_pressure`` by the equation of state of Johnson, Zollweg and Gubbins.
    """

    def get_estimate(self) -> Quantity:
        """Free energy of state B less that of state A, in kJ/mol."""
        return self.data["estimate"]

    def get_uncertainty(self) -> Quantity:
        """Standard error of the estimate in kJ/mol."""
        return self.data["uncertainty"]


class NobleGasProtocol(Protocol):
    """Free energies of neon, argon, krypton, xenon and methane as Lennard-Jones particles in a liquid, with OpenMM.

    A state is a solvent with one solute or none: see
    :func:`~alchemiscale_prefect.protocols.noble_gas.systems.noble_gas_system`. Between states with a solute each, the
    result is their relative solvation free energy; between solvent alone and a solution it is the free energy of
    insertion, the residual chemical potential. A mapping is not needed, for each molecule is one particle, and is not
    read.

    The volume is fixed. Setup, windows and analysis are units; the windows are independent of each other.

    An extension starts each window where the extended run ended and analyses the samples of both.

    Reproducibility: with a ``seed`` in the settings the random numbers are the same in every run. On one machine and
    one version of OpenMM and numpy the CPU platform, with its one thread per window, then repeats its results exactly.
    On another machine rounding differs, trajectories part after some picoseconds, and results agree within their
    errors.
    """

    result_cls: ClassVar[type[ProtocolResult]] = NobleGasProtocolResult
    _settings_cls: ClassVar[type[SettingsBaseModel]] = NobleGasSettings

    @classmethod
    def _default_settings(cls) -> NobleGasSettings:
        return NobleGasSettings()

    def _validate(
        self,
        *,
        stateA: ChemicalSystem,
        stateB: ChemicalSystem,
        mapping: ComponentMapping | list[ComponentMapping] | None,  # noqa: ARG002 - gufe's signature
        extends: ProtocolDAGResult | None = None,
    ) -> None:
        plan = calculation(self.settings, stateA, stateB)
        if extends is not None:
            _earlier(extends, plan)

    def _create(
        self,
        stateA: ChemicalSystem,
        stateB: ChemicalSystem,
        mapping: ComponentMapping | list[ComponentMapping] | None,  # noqa: ARG002 - gufe's signature
        extends: ProtocolDAGResult | None = None,
    ) -> list[ProtocolUnit]:
        plan = calculation(self.settings, stateA, stateB)
        extended = [] if extends is None else lineage_of(extends, NobleGasAnalysisUnit)
        common: dict[str, Any] = {
            "protocol": self,
            "stateA": stateA,
            "stateB": stateB,
            "lineage": next_lineage(self.settings.seed, extended),
        }
        first: list[ProtocolUnit] = []
        starts: list[dict[str, Any]]
        if extends is None:
            setup = NobleGasSetupUnit(name="setup", **common)
            first, starts = [setup], [{"setup": setup}] * _n_windows(plan)
        else:
            starts = [{"earlier": outputs} for outputs in _earlier(extends, plan)]
        window_cls, analysis_cls = (
            (NobleGasEquilibriumUnit, NobleGasEquilibriumAnalysisUnit)
            if plan.is_equilibrium
            else (NobleGasWindowUnit, NobleGasAnalysisUnit)
        )
        windows = [
            window_cls(name=f"window {index}", window=index, **start, **common) for index, start in enumerate(starts)
        ]
        return [*first, *windows, analysis_cls(name="analysis", windows=windows, **common)]

    def _gather(self, protocol_dag_results: Iterable[ProtocolDAGResult]) -> dict[str, Any]:
        finished = finished_analyses(protocol_dag_results, NobleGasAnalysisUnit)
        data = gathered(finished)
        at_rest = [outputs for outputs in finished if "pressure" in outputs]
        if at_rest:
            for name, unit_name in _OBSERVABLES:
                mean, error, _ = combined(at_rest, name, f"{name}_uncertainty", unit_name)
                data[name], data[f"{name}_uncertainty"] = Quantity(mean, unit_name), Quantity(error, unit_name)
                data[f"expected_{name}"] = at_rest[0].get(f"expected_{name}")
        return data


def _n_windows(plan: Calculation) -> int:
    return max(1, len(plan.path))


def _earlier(extends: ProtocolDAGResult, plan: Calculation) -> list[dict[str, Any]]:
    """Samples and last positions of each window of the run that is extended."""
    found = {}
    for window_cls in (NobleGasWindowUnit, NobleGasEquilibriumUnit):
        for source, result in successes(extends, window_cls):
            inputs = source.inputs
            before = calculation(inputs["protocol"].settings, inputs["stateA"], inputs["stateB"])
            if (before.liquid, before.path) != (plan.liquid, plan.path):
                raise InvalidInput(
                    "the result to extend is of other states, or of settings with another liquid or other windows; "
                    "only how it is integrated, for how long, and the seed may differ",
                    field="extends",
                )
            found[int(inputs["window"])] = dict(result.outputs)
    if missing := [window for window in range(_n_windows(plan)) if window not in found]:
        raise InvalidInput(f"the result to extend lacks its windows {missing}: extend a complete one", field="extends")
    return [found[window] for window in range(_n_windows(plan))]
