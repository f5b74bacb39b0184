"""The same Protocol source on both lines of gufe."""

import gufe
import pytest
from gufe.tokenization import TOKENIZABLE_REGISTRY

from alchemiscale_prefect.chemistry import base, keyed_chains, versions
from alchemiscale_prefect.chemistry.allowed_modules import AllowedModules
from alchemiscale_prefect.chemistry.base import (
    BaseForceFieldSettings,
    Quantity,
    Settings,
    SettingsBaseModel,
    ThermoSettings,
    unit,
)
from tests import protocols


class NestedSettings(SettingsBaseModel):
    run: protocols.FanOutSettings
    steps: list[int]


class FullSettings(Settings):
    run: protocols.FanOutSettings


class FullProtocol(protocols.FanOutProtocol):
    _settings_cls = FullSettings


def test_on_gufe_1_every_name_is_gufe_s_own() -> None:
    for name in ("AlchemicalNetwork", "Transformation", "NonTransformation", "ChemicalSystem", "SolventComponent"):
        assert getattr(base, name) is getattr(gufe, name)
    for name in (
        "Protocol",
        "ProtocolUnit",
        "ProtocolDAG",
        "ProtocolDAGResult",
        "ProtocolResult",
        "ProtocolUnitResult",
    ):
        if versions.GUFE_LINE == "0":
            assert issubclass(getattr(base, name), gufe.tokenization.GufeTokenizable)
        else:
            assert getattr(base, name) is getattr(gufe, name)
    assert gufe.__version__.removeprefix("v") == versions.GUFE_VERSION


@pytest.mark.parametrize(
    ("version", "line"), [("0.4", "0"), ("v0.4", "0"), ("1.12.0", "1"), ("1.13.0rc1", "1"), ("2.0", "2")]
)
def test_the_line_is_the_major_version(version: str, line: str) -> None:
    assert versions.line_of(version) == line


@pytest.mark.parametrize("given", [310.15 * unit.kelvin, "310.15 kelvin", Quantity(37, "celsius")])
def test_a_quantity_field_is_held_in_its_unit(given: object) -> None:
    settings = protocols.FanOutSettings(temperature=given)

    assert settings.temperature.m == pytest.approx(310.15)
    assert str(settings.temperature.u) == "kelvin"


@pytest.mark.parametrize("given", [3.0 * unit.nanometer, 300, None])
def test_a_quantity_field_refuses_what_is_no_such_quantity(given: object) -> None:
    with pytest.raises(ValueError, match="temperature"):
        protocols.FanOutSettings(temperature=given)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="temprature"):
        protocols.FanOutSettings(temprature=300 * unit.kelvin)


def test_assignment_is_validated_until_the_protocol_has_the_settings_and_refused_then() -> None:
    settings = NestedSettings(run=protocols.FanOutSettings(), steps=[1, 2])
    settings.run.temperature = "25 kelvin"
    assert settings.run.temperature == 25 * unit.kelvin
    with pytest.raises(ValueError, match="kelvin"):
        settings.run.temperature = 1 * unit.meter

    frozen = settings.frozen_copy()

    assert frozen == settings
    assert frozen.is_frozen
    assert not settings.is_frozen
    with pytest.raises(AttributeError, match="n_samples"):
        frozen.run.n_samples = 9
    with pytest.raises(AttributeError, match="steps"):
        frozen.steps = []
    thawed = frozen.unfrozen_copy()
    thawed.run.n_samples = 9
    assert thawed != frozen


def test_a_protocol_s_settings_are_its_own() -> None:
    settings = protocols.FanOutSettings()
    protocol = protocols.FanOutProtocol(settings)
    key = protocol.key

    settings.n_samples = 11

    assert protocol.settings.n_samples == 3
    assert protocols.FanOutProtocol(protocols.FanOutSettings()).key == key
    assert protocols.FanOutProtocol(settings).key != key
    with pytest.raises(AttributeError):
        protocol.settings.n_samples = 11


def test_a_protocol_takes_its_own_settings_class_only() -> None:
    with pytest.raises(ValueError, match="`FanOutProtocol` expected a `FanOutSettings` instance"):
        protocols.FanOutProtocol(protocols.FailingSettings())


def test_gufe_s_full_settings_with_nested_models_come_back(allowed: AllowedModules) -> None:
    settings = FullSettings(
        forcefield_settings=BaseForceFieldSettings(),
        thermo_settings=ThermoSettings(temperature=300 * unit.kelvin, pressure="1 bar"),
        run=protocols.FanOutSettings(noise="1 kilocalorie_per_mole"),
    )
    protocol = FullProtocol(settings)
    key = protocol.key
    data = keyed_chains.compress(protocol)
    del protocol
    TOKENIZABLE_REGISTRY.pop(key, None)

    decoded = keyed_chains.decompress(data, expected_key=str(key), allowed=allowed)

    assert decoded.settings == settings
    assert decoded.key == key
    assert decoded.settings.thermo_settings.pressure == 1 * unit.bar
    assert decoded.settings.run.noise.m == pytest.approx(4.184)


def test_networks_are_hashable_and_compare_by_content() -> None:
    one, two = protocols.chain_network(2, name="same"), protocols.chain_network(2, name="same")

    assert one == two
    assert len({one, two, protocols.chain_network(2, name="other")}) == 2
    assert one != "a string"
    for edge in one.edges:
        assert edge in two.edges
        assert edge.stateA in two.nodes
