import pytest

from alchemiscale_prefect.chemistry.allowed_modules import DEFAULT_PREFIXES, AllowedModules
from alchemiscale_prefect.domain.errors import InvalidInput, ModuleNotAllowed


@pytest.mark.parametrize(
    "module",
    [
        "gufe",
        "gufe.components.solventcomponent",
        "openfe.protocols.openmm_rfe.hybridtop_protocols",
        "feflow.protocols.nonequilibrium_cycling",
        "stratocaster.strategies.connectivity",
        "openff.units",
        "alchemiscale_prefect.protocols.noble_gas",
        "alchemiscale_prefect.strategies.connectivity",
    ],
)
def test_the_packages_of_the_field_are_allowed(module: str) -> None:
    assert AllowedModules().allows(module)


@pytest.mark.parametrize(
    "module",
    [
        "gufe_evil",
        "gufeevil.gufe",
        "os",
        "builtins",
        "subprocess",
        "openfecli",
        "alchemiscale_prefect",
        "alchemiscale_prefect.cli",
        "alchemiscale_prefect.flows.run_task",
        "alchemiscale_prefect.protocols_evil",
        "gufe.__main__",
        "gufe.",
        ".gufe",
        "gufe..network",
        "gufe network",
        "gufe/../os",
        "",
        "__main__",
    ],
)
def test_everything_else_is_refused(module: str) -> None:
    allowed = AllowedModules()

    assert not allowed.allows(module)
    with pytest.raises(ModuleNotAllowed, match="ALCHEMISCALE_ALLOWED_MODULES"):
        allowed.check(module)


def test_the_environment_adds_modules_to_the_default_ones() -> None:
    allowed = AllowedModules.from_environment({"ALCHEMISCALE_ALLOWED_MODULES": " my_protocols, their.package ,,gufe"})

    assert allowed.prefixes == (*DEFAULT_PREFIXES, "my_protocols", "their.package")
    assert allowed.allows("my_protocols.binding")
    assert allowed.allows("their.package")
    assert not allowed.allows("their.other")


def test_without_the_variable_the_default_modules_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALCHEMISCALE_ALLOWED_MODULES", raising=False)

    assert AllowedModules.from_environment() == AllowedModules()


def test_a_script_s_own_module_can_be_allowed_by_name() -> None:
    assert AllowedModules.from_environment({"ALCHEMISCALE_ALLOWED_MODULES": "__main__"}).allows("__main__")


@pytest.mark.parametrize("text", ["gufe;os", "*", "my-package", "a b"])
def test_a_variable_that_holds_no_module_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="ALCHEMISCALE_ALLOWED_MODULES"):
        AllowedModules.from_environment({"ALCHEMISCALE_ALLOWED_MODULES": text})
