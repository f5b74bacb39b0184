"""Full calculations with known answers."""

from math import hypot

import pytest

from alchemiscale_prefect.chemistry.base import Transformation, unit
from alchemiscale_prefect.protocols.demo import reference_values
from alchemiscale_prefect.protocols.noble_gas import NobleGasProtocol, NobleGasSettings, noble_gas_system
from tests.unit.protocols.running import run


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(None, "argon"), ("argon", "krypton")])
def test_free_energy_agrees_with_its_reference(before: str | None, after: str):
    # a fixed seed: the test answers whether the calculation is right, not how the dice fall
    settings = NobleGasSettings(seed=1, production_length=6.0 * unit.picosecond)
    transformation = Transformation(
        stateA=noble_gas_system(before),
        stateB=noble_gas_system(after),
        protocol=NobleGasProtocol(settings),
        name=f"{before} -> {after}",
    )
    result = transformation.gather([run(transformation)])
    value, error = reference_values()[f"{before or 'nothing'} -> {after}"]
    estimate, uncertainty = (
        quantity.m_as(unit.kilojoule_per_mole) for quantity in (result.get_estimate(), result.get_uncertainty())
    )
    # four: OpenMM throws other dice on another kind of CPU
    assert abs(estimate - value) < 4 * hypot(uncertainty, error)
    assert uncertainty < 0.3
