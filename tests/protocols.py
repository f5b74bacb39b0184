"""Protocols for tests, on both gufe lines: add ``tests`` to ALCHEMISCALE_ALLOWED_MODULES to have them decoded.

=========================== ==============================================================================
`FanOutProtocol`            one set-up unit, ``n_samples`` parallel units, one analysis unit; milliseconds
`ExtendingProtocol`         continues from the result it extends
`FailingProtocol`           its last unit raises, every time
`FlakyProtocol`             its second unit raises at its first ``failures`` tries, then succeeds
`SleepingProtocol`          parallel units that sleep and leave a marker for every execution
=========================== ==============================================================================

Markers are files of a directory named in the settings, so that executions are counted across processes and tries:
see `executions`.
"""

import math
import random
import time
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from gufe.tokenization import TOKENIZABLE_REGISTRY

from alchemiscale_prefect.chemistry.base import (
    AlchemicalNetwork,
    ChemicalSystem,
    GufeQuantity,
    GufeTokenizable,
    KelvinQuantity,
    NonTransformation,
    Protocol,
    ProtocolDAGResult,
    ProtocolResult,
    ProtocolUnit,
    Quantity,
    SettingsBaseModel,
    SmallMoleculeComponent,
    SolventComponent,
    Transformation,
    specify_quantity_units,
    unit,
)

MODULE = "tests"
"""What to add to ALCHEMISCALE_ALLOWED_MODULES."""

KJPerMolQuantity = Annotated[GufeQuantity, specify_quantity_units("kilojoule_per_mole")]
SecondQuantity = Annotated[GufeQuantity, specify_quantity_units("second")]


# --- markers ----------------------------------------------------------------------------------------------------


def mark(directory: str, label: str) -> int:
    """Leave a marker for one execution and return how many there were of `label` before: to no two the same number."""
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    before = executions(directory)[label]
    while True:
        try:
            (folder / f"{label}.{before}").touch(exist_ok=False)
        except FileExistsError:
            before += 1  # of another process, at the same moment
        else:
            return before


def executions(directory: str | Path) -> Counter[str]:
    """How often each labelled unit was executed: ``Counter({"sleep-0": 1, "sleep-1": 2})``."""
    return Counter(path.name.rpartition(".")[0] for path in Path(directory).glob("*.*"))


def wake(directory: str | Path) -> None:
    """Have no `SleepingProtocol` of this directory sleep any longer."""
    _alarm(directory).touch()


def _alarm(directory: str | Path) -> Path:
    return Path(directory) / "alarm"


# --- a Protocol that fans out -----------------------------------------------------------------------------------


class FanOutSettings(SettingsBaseModel):
    n_samples: int = 3
    temperature: KelvinQuantity = 300.0 * unit.kelvin
    free_energy: KJPerMolQuantity = -12.5 * unit.kilojoule_per_mole
    noise: KJPerMolQuantity = 0.5 * unit.kilojoule_per_mole
    seed: int = 2026


class FanOutResult(ProtocolResult):
    def get_estimate(self) -> Quantity:
        values = self.data["free_energies"]
        return sum(values[1:], values[0]) / len(values)

    def get_uncertainty(self) -> Quantity | None:
        values = [value.m_as("kilojoule_per_mole") for value in self.data["free_energies"]]
        if len(values) < 2:
            return None
        mean = math.fsum(values) / len(values)
        variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
        return math.sqrt(variance / len(values)) * unit.kilojoule_per_mole


class FanOutSetupUnit(ProtocolUnit):
    @staticmethod
    def _execute(ctx: Any, *, settings: FanOutSettings, **inputs: Any) -> dict[str, Any]:
        path = Path(ctx.shared) / "setup.txt"
        path.write_text(str(settings.free_energy.m_as("kilojoule_per_mole")))
        if ctx.stdout is not None:
            (Path(ctx.stdout) / "setup.log").write_text("set up\n")
        return {"file": path}


class FanOutSampleUnit(ProtocolUnit):
    @staticmethod
    def _execute(ctx: Any, *, setup: Any, index: int, settings: FanOutSettings, **inputs: Any) -> dict[str, Any]:
        centre = float(Path(setup.outputs["file"]).read_text())
        deviation = random.Random(settings.seed + index).gauss(0.0, settings.noise.m_as("kilojoule_per_mole"))
        (Path(ctx.scratch) / f"sample-{index}.txt").write_text(str(deviation))
        return {"free_energy": (centre + deviation) * unit.kilojoule_per_mole}


class FanOutAnalysisUnit(ProtocolUnit):
    @staticmethod
    def _execute(ctx: Any, *, samples: list[Any], **inputs: Any) -> dict[str, Any]:
        values = [sample.outputs["free_energy"] for sample in samples]
        return {"free_energy": sum(values[1:], values[0]) / len(values), "n_samples": len(values)}


class FanOutProtocol(Protocol):
    """Normally distributed samples around ``free_energy``; with the same seed the same numbers everywhere."""

    result_cls = FanOutResult
    _settings_cls = FanOutSettings

    @classmethod
    def _default_settings(cls) -> FanOutSettings:
        return FanOutSettings()

    def _create(
        self, stateA: Any, stateB: Any, mapping: Any = None, extends: ProtocolDAGResult | None = None
    ) -> list[ProtocolUnit]:
        settings = self.settings
        setup = FanOutSetupUnit(name="setup", settings=settings, stateA=stateA, stateB=stateB)
        samples = [
            FanOutSampleUnit(name=f"sample {index}", setup=setup, index=index, settings=settings)
            for index in range(settings.n_samples)
        ]
        return [setup, *samples, FanOutAnalysisUnit(name="analysis", samples=samples)]

    def _gather(self, protocol_dag_results: Iterable[ProtocolDAGResult]) -> dict[str, Any]:
        return {"free_energies": [_last_output(pdr, "free_energy") for pdr in protocol_dag_results]}


def _last_output(pdr: ProtocolDAGResult, name: str) -> Any:
    return next(result.outputs[name] for result in reversed(pdr.protocol_unit_results) if result.ok())


# --- a Protocol that extends ------------------------------------------------------------------------------------


class ExtendingUnit(ProtocolUnit):
    @staticmethod
    def _execute(ctx: Any, *, start: int, settings: FanOutSettings, **inputs: Any) -> dict[str, Any]:
        return {"step": start + settings.n_samples, "free_energy": settings.free_energy}


class ExtendingProtocol(FanOutProtocol):
    """Counts steps; an extension starts at the step where the result that it extends ended."""

    def _create(
        self, stateA: Any, stateB: Any, mapping: Any = None, extends: ProtocolDAGResult | None = None
    ) -> list[ProtocolUnit]:
        start = 0 if extends is None else _last_output(extends, "step")
        return [ExtendingUnit(name="steps", start=start, settings=self.settings)]


# --- Protocols that fail ----------------------------------------------------------------------------------------


class FirstUnit(ProtocolUnit):
    @staticmethod
    def _execute(ctx: Any, **inputs: Any) -> dict[str, Any]:
        return {"message": "first unit done"}


class FailingUnit(ProtocolUnit):
    @staticmethod
    def _execute(ctx: Any, *, first: Any, message: str, **inputs: Any) -> dict[str, Any]:
        if ctx.stderr is not None:
            (Path(ctx.stderr) / "engine.log").write_text("about to fail\n")
        raise RuntimeError(message)


class FailingSettings(SettingsBaseModel):
    message: str = "Particle coordinate is NaN"
    temperature: KelvinQuantity = 300.0 * unit.kelvin


class FailingProtocol(FanOutProtocol):
    """Two units; the second raises ``RuntimeError(message)`` at every try."""

    _settings_cls = FailingSettings

    @classmethod
    def _default_settings(cls) -> FailingSettings:  # type: ignore[override]
        return FailingSettings()

    def _create(
        self, stateA: Any, stateB: Any, mapping: Any = None, extends: ProtocolDAGResult | None = None
    ) -> list[ProtocolUnit]:
        first = FirstUnit(name="first")
        return [first, FailingUnit(name="failing", first=first, message=self.settings.message)]


class FlakyUnit(ProtocolUnit):
    @staticmethod
    def _execute(ctx: Any, *, first: Any, settings: "FlakySettings", **inputs: Any) -> dict[str, Any]:
        tries = mark(settings.marker_directory, "flaky") + 1
        if tries <= settings.failures:
            raise RuntimeError(f"try {tries} of the flaky unit")
        return {"free_energy": settings.free_energy, "tries": tries}


class FlakySettings(SettingsBaseModel):
    failures: int = 1
    marker_directory: str
    free_energy: KJPerMolQuantity = -12.5 * unit.kilojoule_per_mole


class FlakyProtocol(FanOutProtocol):
    """Two units; the second raises at its first ``failures`` tries, counted in ``marker_directory``."""

    _settings_cls = FlakySettings

    @classmethod
    def _default_settings(cls) -> FlakySettings:  # type: ignore[override]
        return FlakySettings(marker_directory="markers")

    def _create(
        self, stateA: Any, stateB: Any, mapping: Any = None, extends: ProtocolDAGResult | None = None
    ) -> list[ProtocolUnit]:
        first = FirstUnit(name="first")
        return [first, FlakyUnit(name="flaky", first=first, settings=self.settings)]


# --- a Protocol that takes its time -----------------------------------------------------------------------------


class SleepingSettings(SettingsBaseModel):
    n_units: int = 2
    awake: int = 0
    duration: SecondQuantity = 0.1 * unit.second
    marker_directory: str
    free_energy: KJPerMolQuantity = -12.5 * unit.kilojoule_per_mole


class SleepingUnit(ProtocolUnit):
    @staticmethod
    def _execute(ctx: Any, *, index: int, settings: SleepingSettings, **inputs: Any) -> dict[str, Any]:
        earlier = mark(settings.marker_directory, "begun")
        before = mark(settings.marker_directory, f"sleep-{index}")
        end = time.monotonic() + settings.duration.m_as("second")
        while earlier >= settings.awake and time.monotonic() < end and not _alarm(settings.marker_directory).exists():
            time.sleep(0.05)
        mark(settings.marker_directory, f"woke-{index}")
        return {"before": before}


class AwakeUnit(ProtocolUnit):
    @staticmethod
    def _execute(ctx: Any, *, sleepers: list[Any], settings: SleepingSettings, **inputs: Any) -> dict[str, Any]:
        mark(settings.marker_directory, "awake")
        return {"free_energy": settings.free_energy, "n_units": len(sleepers)}


class SleepingProtocol(FanOutProtocol):
    """``n_units`` parallel units that sleep for ``duration``, then one that waits for all.

    The first ``awake`` to begin do not sleep; `wake` ends the sleep of all others. Unit ``i`` marks ``sleep-i`` when it
    starts and ``woke-i`` when it ends; the last one marks ``awake``.
    """

    _settings_cls = SleepingSettings

    @classmethod
    def _default_settings(cls) -> SleepingSettings:  # type: ignore[override]
        return SleepingSettings(marker_directory="markers")

    def _create(
        self, stateA: Any, stateB: Any, mapping: Any = None, extends: ProtocolDAGResult | None = None
    ) -> list[ProtocolUnit]:
        settings = self.settings
        sleepers = [
            SleepingUnit(name=f"sleep {index}", index=index, settings=settings) for index in range(settings.n_units)
        ]
        return [*sleepers, AwakeUnit(name="awake", sleepers=sleepers, settings=settings)]


# --- networks to run them on ------------------------------------------------------------------------------------


def salt_water(molarity: float, name: str) -> ChemicalSystem:
    """A ChemicalSystem without molecules to parameterise: water with ``molarity`` mol/L of NaCl."""
    return ChemicalSystem({"solvent": SolventComponent(ion_concentration=molarity * unit.molar)}, name=name)


def ligand(smiles: str, name: str) -> SmallMoleculeComponent:
    """A small molecule with one embedded conformer, the same at every call."""
    from rdkit import Chem
    from rdkit.Chem import AllChem

    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(molecule, randomSeed=7)
    return SmallMoleculeComponent(molecule, name=name)


def transformation(protocol: Protocol | None = None, name: str = "edge") -> Transformation:
    """A Transformation between two salt waters."""
    return Transformation(
        stateA=salt_water(0.0, "pure"),
        stateB=salt_water(0.15, "salted"),
        protocol=FanOutProtocol(FanOutSettings()) if protocol is None else protocol,
        name=name,
    )


def registered(obj: GufeTokenizable) -> GufeTokenizable:
    """The object that gufe keeps for ``obj``'s key in this process: the first one made of those still alive."""
    return TOKENIZABLE_REGISTRY[obj.key]


def chain_network(n_edges: int, protocol: Protocol | None = None, name: str = "chain") -> AlchemicalNetwork:
    """A network of ``n_edges`` Transformations in a row, and a NonTransformation at its start."""
    protocol = FanOutProtocol(FanOutSettings()) if protocol is None else protocol
    nodes = [salt_water(0.001 * index, f"{name} {index}") for index in range(n_edges + 1)]
    edges = [
        Transformation(stateA=before, stateB=after, protocol=protocol, name=f"{name} {index}")
        for index, (before, after) in enumerate(pairwise(nodes))
    ]
    return AlchemicalNetwork(edges=[*edges, NonTransformation(system=nodes[0], protocol=protocol)], name=name)
