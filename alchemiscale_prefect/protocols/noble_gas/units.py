"""The units of NobleGasProtocol. They load OpenMM and pymbar only when they run.

All take the Protocol and both states, and work out the calculation from them; so a stored unit says all it does.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from alchemiscale_prefect.chemistry.base import (
    ChemicalSystem,
    Context,
    ProtocolUnit,
    ProtocolUnitResult,
    Quantity,
    unit,
)
from alchemiscale_prefect.chemistry.progress import teller
from alchemiscale_prefect.protocols.estimators import mbar, mean_and_error
from alchemiscale_prefect.protocols.noble_gas.calculation import Calculation, calculation
from alchemiscale_prefect.protocols.noble_gas.liquid import expected_energy_and_pressure
from alchemiscale_prefect.protocols.noble_gas.potential import FloatArray, solute_tail_correction
from alchemiscale_prefect.protocols.repeats import generator

if TYPE_CHECKING:
    from alchemiscale_prefect.protocols.noble_gas.protocol import NobleGasProtocol

POSITIONS_FILE = "equilibrated.npy"

_SETUP_STREAM = 0  # of random numbers; window i takes stream i + 1


class NobleGasSetupUnit(ProtocolUnit):
    """Makes a liquid: a lattice with vacancies, minimised and melted. Writes the positions to ``shared``."""

    @staticmethod
    def _execute(
        ctx: Context,
        *,
        protocol: "NobleGasProtocol",
        stateA: ChemicalSystem,
        stateB: ChemicalSystem,
        lineage: Sequence[int],
        **_: Any,
    ) -> dict[str, Any]:
        from alchemiscale_prefect.protocols.noble_gas.sampling import equilibrated_positions

        plan = calculation(protocol.settings, stateA, stateB)
        positions = equilibrated_positions(plan, generator(lineage, _SETUP_STREAM))
        path = ctx.shared / POSITIONS_FILE
        np.save(path, positions)
        return {"positions": path, "n_particles": len(positions), "edge": Quantity(plan.liquid.edge, "nanometer")}


class NobleGasWindowUnit(ProtocolUnit):
    """Samples one window.

    It starts from the setup's positions; or, in an extension, from the last ``positions`` of the run that is extended,
    whose samples it takes over. Nothing is then equilibrated again.
    """

    @staticmethod
    def _execute(
        ctx: Context,
        *,
        protocol: "NobleGasProtocol",
        stateA: ChemicalSystem,
        stateB: ChemicalSystem,
        lineage: Sequence[int],
        window: int,
        setup: ProtocolUnitResult | None = None,
        earlier: dict[str, Any] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        from alchemiscale_prefect.protocols.noble_gas.sampling import sample_window

        plan = calculation(protocol.settings, stateA, stateB)
        samples, positions = sample_window(
            plan,
            window,
            _start(setup, earlier),
            generator(lineage, window + 1),
            equilibrate=earlier is None,
            tell=teller(ctx),
        )
        if earlier is not None:
            samples = np.concatenate([earlier["reduced_energies"], samples], axis=1)
        return {"reduced_energies": samples, "n_uncorrelated": int(samples.shape[1]), "positions": positions}


class NobleGasEquilibriumUnit(ProtocolUnit):
    """Samples a state that does not change, as :class:`NobleGasWindowUnit` samples a window."""

    @staticmethod
    def _execute(
        ctx: Context,
        *,
        protocol: "NobleGasProtocol",
        stateA: ChemicalSystem,
        stateB: ChemicalSystem,
        lineage: Sequence[int],
        window: int,
        setup: ProtocolUnitResult | None = None,
        earlier: dict[str, Any] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        from alchemiscale_prefect.protocols.noble_gas.sampling import sample_equilibrium

        plan = calculation(protocol.settings, stateA, stateB)
        series, positions = sample_equilibrium(
            plan,
            _start(setup, earlier),
            generator(lineage, window + 1),
            equilibrate=earlier is None,
            tell=teller(ctx),
        )
        if earlier is not None:
            series = np.concatenate([earlier["energy_and_pressure"], series], axis=1)
        return {"energy_and_pressure": series, "positions": positions}


class NobleGasAnalysisUnit(ProtocolUnit):
    """The free energy from all windows, by MBAR, with the tail correction."""

    @staticmethod
    def _execute(
        _ctx: Context,
        *,
        protocol: "NobleGasProtocol",
        stateA: ChemicalSystem,
        stateB: ChemicalSystem,
        lineage: Sequence[int],
        windows: Sequence[ProtocolUnitResult],
        **_: Any,
    ) -> dict[str, Any]:
        plan = calculation(protocol.settings, stateA, stateB)
        profile = mbar([result.outputs["reduced_energies"].astype(np.float64) for result in windows])
        tail = _tail_correction(plan)
        kT = plan.liquid.kT
        return {
            "estimate": (profile.difference * kT + tail) * unit.kilojoule_per_mole,
            "uncertainty": profile.uncertainty * kT * unit.kilojoule_per_mole,
            "lineage": list(lineage),
            "tail_correction": tail * unit.kilojoule_per_mole,
            "profile": profile.values * kT * unit.kilojoule_per_mole,
            "neighbour_overlap": [float(overlap) for overlap in profile.neighbour_overlap],
            "n_uncorrelated": [int(result.outputs["n_uncorrelated"]) for result in windows],
        }


class NobleGasEquilibriumAnalysisUnit(NobleGasAnalysisUnit):
    """Energy and pressure of a state that does not change, beside what the equation of state gives for pure liquids."""

    @staticmethod
    def _execute(
        _ctx: Context,
        *,
        protocol: "NobleGasProtocol",
        stateA: ChemicalSystem,
        stateB: ChemicalSystem,
        lineage: Sequence[int],
        windows: Sequence[ProtocolUnitResult],
        **_: Any,
    ) -> dict[str, Any]:
        plan = calculation(protocol.settings, stateA, stateB)
        energies, pressures = windows[0].outputs["energy_and_pressure"]
        energy, energy_error = mean_and_error(energies)
        pressure, pressure_error = mean_and_error(pressures)
        outputs = {
            "estimate": 0.0 * unit.kilojoule_per_mole,
            "uncertainty": 0.0 * unit.kilojoule_per_mole,
            "lineage": list(lineage),
            "potential_energy": energy * unit.kilojoule_per_mole,
            "potential_energy_uncertainty": energy_error * unit.kilojoule_per_mole,
            "pressure": pressure * unit.bar,
            "pressure_uncertainty": pressure_error * unit.bar,
        }
        if plan.solute in (None, plan.liquid.solvent):
            expected_energy, expected_pressure = expected_energy_and_pressure(plan.liquid, plan.n_particles)
            outputs["expected_potential_energy"] = expected_energy * unit.kilojoule_per_mole
            outputs["expected_pressure"] = expected_pressure * unit.bar
        return outputs


def _start(setup: ProtocolUnitResult | None, earlier: dict[str, Any] | None) -> FloatArray:
    if earlier is not None:
        return np.asarray(earlier["positions"], dtype=np.float64)
    if setup is None:
        raise ValueError("a window needs the result of a setup, or an earlier run to go on from")
    positions: FloatArray = np.load(setup.outputs["positions"], allow_pickle=False)
    return positions


def _tail_correction(plan: Calculation) -> float:
    """Of the last state less the first, kJ/mol. In a fixed volume it is one number, whatever the configuration."""
    first, last = (
        solute_tail_correction(end, plan.liquid.cutoff, n_solvent=plan.liquid.n_solvent, volume=plan.liquid.volume)
        for end in (plan.path[0], plan.path[-1])
    )
    return last - first
