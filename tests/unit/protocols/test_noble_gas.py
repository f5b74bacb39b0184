"""NobleGasProtocol on small boxes and short runs: what it refuses, reproduces, extends and averages."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.chemistry.base import (
    ChemicalSystem,
    NonTransformation,
    ProtocolDAGResult,
    SmallMoleculeComponent,
    SolventComponent,
    Transformation,
    unit,
)
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.protocols.gathering import analysis_outputs, successes
from alchemiscale_prefect.protocols.harmonic import HarmonicProtocol, HarmonicSettings, harmonic_system
from alchemiscale_prefect.protocols.noble_gas import NobleGasProtocol, NobleGasSettings, noble_gas_system
from alchemiscale_prefect.protocols.noble_gas.systems import solute_component
from alchemiscale_prefect.protocols.noble_gas.units import (
    NobleGasAnalysisUnit,
    NobleGasSetupUnit,
    NobleGasWindowUnit,
)
from tests.unit.protocols.running import run

KJ = unit.kilojoule_per_mole
PS = unit.picosecond


def settings(**changes: Any) -> NobleGasSettings:
    quick: dict[str, Any] = {
        "n_solvent": 100,
        "equilibration_length": 2.0 * PS,
        "window_equilibration_length": 0.2 * PS,
        "production_length": 2.0 * PS,
        "relative_lambdas": [0.0, 0.5, 1.0],
        "insertion_lambdas": [0.0, 0.2, 0.35, 0.6, 1.0],
    }
    return NobleGasSettings(**(quick | changes))


def edge(before: str | None = "argon", after: str | None = "krypton", **changes: Any) -> Transformation:
    return Transformation(
        stateA=noble_gas_system(before),
        stateB=noble_gas_system(after),
        protocol=NobleGasProtocol(settings(**changes)),
        name=f"{before} -> {after}",
    )


def analysis(result: ProtocolDAGResult) -> dict[str, Any]:
    outputs = analysis_outputs(result, NobleGasAnalysisUnit)
    assert outputs is not None
    return outputs


def windows(result: ProtocolDAGResult) -> list[dict[str, Any]]:
    found = sorted(successes(result, NobleGasWindowUnit), key=lambda pair: pair[0].inputs["window"])
    return [dict(unit_result.outputs) for _, unit_result in found]


@pytest.fixture(scope="module")
def first() -> ProtocolDAGResult:
    """A short run from argon to krypton."""
    return run(edge())


def test_a_run_has_a_setup_windows_side_by_side_and_an_analysis():
    dag = edge().create()
    setup = [node for node in dag.protocol_units if isinstance(node, NobleGasSetupUnit)]
    found = [node for node in dag.protocol_units if isinstance(node, NobleGasWindowUnit)]
    last = [node for node in dag.protocol_units if isinstance(node, NobleGasAnalysisUnit)]
    assert (len(setup), len(found), len(last)) == (1, 3, 1)
    assert all(node.dependencies == setup for node in found)
    assert set(last[0].dependencies) == set(found)


def test_estimate_is_near_what_long_runs_give(first: ProtocolDAGResult):
    result = edge().gather([first])
    # -2.4 in the box of 256; here the box is small and the run short
    assert -3.5 < result.get_estimate().m_as(KJ) < -1.3
    assert 0.0 < result.get_uncertainty().m_as(KJ) < 0.5


def test_outputs_of_the_analysis(first: ProtocolDAGResult):
    outputs = analysis(first)
    assert len(outputs["profile"]) == 3
    assert outputs["profile"][0].m == 0.0
    assert outputs["estimate"].m_as(KJ) == pytest.approx((outputs["profile"][-1] + outputs["tail_correction"]).m_as(KJ))
    assert len(outputs["neighbour_overlap"]) == 2
    assert outputs["n_uncorrelated"] == [window["reduced_energies"].shape[1] for window in windows(first)]


def test_results_survive_a_keyed_chain(first: ProtocolDAGResult):
    chain = keyed_chains.to_json(first)
    again = keyed_chains.from_json(chain)
    assert analysis(again)["estimate"] == analysis(first)["estimate"]
    assert np.array_equal(windows(again)[0]["reduced_energies"], windows(first)[0]["reduced_energies"])


def test_a_seed_makes_runs_equal():
    one, other = run(edge(seed=11)), run(edge(seed=11))
    assert analysis(one)["estimate"].m == pytest.approx(analysis(other)["estimate"].m, abs=1e-6)
    for window, again in zip(windows(one), windows(other), strict=True):
        assert window["positions"] == pytest.approx(again["positions"], abs=1e-4)
    assert len(edge(seed=11).gather([one, other]).data["repeats"]) == 1


def test_without_a_seed_runs_are_independent(first: ProtocolDAGResult):
    second = run(edge())
    assert analysis(first)["lineage"] != analysis(second)["lineage"]
    assert abs(windows(first)[0]["positions"] - windows(second)[0]["positions"]).max() > 0.01
    assert len(edge().gather([first, second]).data["repeats"]) == 2


def test_windows_of_a_run_differ(first: ProtocolDAGResult):
    one, other, _ = (window["positions"] for window in windows(first))
    assert abs(one - other).max() > 0.01


def test_an_extension_goes_on_from_the_last_positions_and_pools_samples(first: ProtocolDAGResult):
    transformation = edge(production_length=1.0 * PS)
    dag = transformation.create(extends=first)
    assert not [node for node in dag.protocol_units if isinstance(node, NobleGasSetupUnit)]
    units = [node for node in dag.protocol_units if isinstance(node, NobleGasWindowUnit)]
    for node in units:
        before = windows(first)[node.inputs["window"]]
        assert np.array_equal(node.inputs["earlier"]["positions"], before["positions"])

    second = run(transformation, extends=first)
    assert analysis(second)["lineage"][:-1] == analysis(first)["lineage"]
    for before, after in zip(windows(first), windows(second), strict=True):
        n = before["reduced_energies"].shape[1]
        assert after["reduced_energies"].shape[1] > n
        assert np.array_equal(after["reduced_energies"][:, :n], before["reduced_energies"])
    gathered = transformation.gather([first, second])
    assert len(gathered.data["repeats"]) == 1
    assert gathered.get_estimate() == transformation.gather([second]).get_estimate()


@pytest.mark.parametrize(
    "other",
    [
        lambda: edge("argon", "xenon"),
        lambda: edge(temperature=130.0 * unit.kelvin),
        lambda: edge(relative_lambdas=[0.0, 0.4, 1.0]),
        lambda: edge(relative_lambdas=[0.0, 0.25, 0.5, 1.0]),
    ],
)
def test_a_run_of_something_else_cannot_be_extended(first: ProtocolDAGResult, other: Callable[[], Transformation]):
    with pytest.raises(InvalidInput, match="to extend") as raised:
        other().create(extends=first)
    assert raised.value.field == "extends"


def test_a_run_of_another_protocol_cannot_be_extended():
    well = harmonic_system(1.0)
    harmonic = run(NonTransformation(system=well, protocol=HarmonicProtocol(HarmonicSettings()), name="rest"))
    with pytest.raises(InvalidInput, match="NobleGasAnalysisUnit"):
        edge().create(extends=harmonic)


def test_disappearing_is_the_reverse_of_insertion():
    outputs = analysis(run(edge("argon", None, seed=1)))
    inserted = analysis(run(edge(None, "argon", seed=2)))
    assert outputs["tail_correction"] == -inserted["tail_correction"]
    difference = (outputs["estimate"] + inserted["estimate"]).m_as(KJ)
    error = np.hypot(outputs["uncertainty"].m_as(KJ), inserted["uncertainty"].m_as(KJ))
    assert abs(difference) < 4 * error


@pytest.mark.parametrize(("solute", "compared"), [(None, True), ("argon", True), ("xenon", False)])
def test_nontransformation_is_zero_and_reports_energy_and_pressure(solute: str | None, compared: bool):
    transformation = NonTransformation(
        system=noble_gas_system(solute), protocol=NobleGasProtocol(settings()), name="rest"
    )
    results = [run(transformation) for _ in range(2)]
    results.append(run(transformation, extends=results[0]))
    gathered = transformation.gather(results)
    assert gathered.get_estimate().m_as(KJ) == 0.0
    assert gathered.get_uncertainty().m_as(KJ) == 0.0
    assert len(gathered.data["repeats"]) == 2
    assert gathered.data["potential_energy"].m_as(KJ) == pytest.approx(-4.9, abs=0.4)
    assert gathered.data["pressure"].is_compatible_with(unit.bar)
    assert (gathered.data["expected_potential_energy"] is not None) is compared
    if compared:
        assert gathered.data["expected_potential_energy"].m_as(KJ) == pytest.approx(-4.86, abs=0.1)
        assert gathered.data["expected_pressure"].m_as(unit.bar) == pytest.approx(20.0, abs=30.0)


def system(**components: Any) -> ChemicalSystem:
    return ChemicalSystem(components)


def argon_solvent(**changes: Any) -> SolventComponent:
    return SolventComponent(**({"smiles": "[Ar]", "ion_concentration": 0.0 * unit.molar} | changes))


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        (lambda: system(), "one solvent"),
        (lambda: system(solute=solute_component("krypton")), "one solvent"),
        (lambda: system(solvent=argon_solvent(smiles="O")), "not a known species"),
        (lambda: system(solvent=argon_solvent(ion_concentration=0.15 * unit.molar)), "ions"),
        (lambda: system(solvent=harmonic_system(1.0)["well"]), "not a known species"),
        (lambda: system(solvent=argon_solvent(), a=solute_component("neon"), b=solute_component("xenon")), "at most"),
        (lambda: system(solvent=argon_solvent(), other=argon_solvent()), "one solvent"),
        (lambda: noble_gas_system("argon", solvent="krypton"), "different solvents"),
    ],
)
def test_states_it_cannot_simulate_are_refused(state: Callable[[], ChemicalSystem], complaint: str):
    protocol = NobleGasProtocol(settings())
    with pytest.raises(InvalidInput, match=complaint) as raised:
        Transformation(stateA=noble_gas_system("argon"), stateB=state(), protocol=protocol, name="bad").create()
    assert raised.value.field == "stateB"


def test_validation_finds_what_creation_would(first: ProtocolDAGResult):
    protocol = NobleGasProtocol(settings())
    argon, krypton = noble_gas_system("argon"), noble_gas_system("krypton")
    protocol._validate(stateA=argon, stateB=krypton, mapping=None, extends=first)
    with pytest.raises(InvalidInput, match="one solvent"):
        protocol._validate(stateA=argon, stateB=system(), mapping=None)
    with pytest.raises(InvalidInput, match="to extend"):
        protocol._validate(stateA=krypton, stateB=argon, mapping=None, extends=first)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"n_solvent": 60}, "cutoff"),
        ({"cutoff": 1.0 * unit.nanometer}, "cutoff"),
        ({"sampling_interval": 0.055 * PS}, "sampling_interval"),
        ({"production_length": 0.004 * PS}, "production_length"),
        ({"production_length": 0.2 * PS}, "production_length"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, Any], field: str):
    with pytest.raises(InvalidInput) as raised:
        edge(**changes).create()
    assert raised.value.field == field


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0.0 * unit.kelvin},
        {"temperature": 1.0 * unit.nanometer},
        {"timestep": -0.01 * PS},
        {"friction": 1.0 * PS},
        {"reduced_density": 0.0},
        {"n_solvent": 1},
        {"insertion_lambdas": [0.0, 0.5]},
        {"relative_lambdas": [0.0, 0.6, 0.5, 1.0]},
        {"relocation_trials": -1},
        {"seed": 2**48},
        {"unknown": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        settings(**wrong)


def test_quantities_are_converted():
    made = settings(timestep=5.0 * unit.femtosecond, cutoff=8.0 * unit.angstrom)
    assert made.timestep.m_as(PS) == pytest.approx(0.005)
    assert made.cutoff.m_as(unit.nanometer) == pytest.approx(0.8)


def test_an_unknown_platform_is_an_error_of_the_unit():
    with pytest.raises(AssertionError, match="no platform 'Abacus'"):
        run(edge(platform="Abacus"))


@pytest.mark.parametrize(
    ("name", "smiles"),
    [("neon", "[Ne]"), ("argon", "[Ar]"), ("krypton", "[Kr]"), ("xenon", "[Xe]"), ("methane", "C")],
)
def test_components_of_all_species(name: str, smiles: str):
    component = solute_component(name)
    assert isinstance(component, SmallMoleculeComponent)
    assert (component.name, component.smiles) == (name, smiles)
    assert noble_gas_system(name).key == noble_gas_system(name).key


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="unknown species 'radon'"):
        noble_gas_system("radon")
