"""Where a compute flow run has its settings from."""

from typing import Any

import pytest

from alchemiscale_prefect.blocks.credentials import AlchemiscaleCompute, load_compute_settings
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.settings import ComputeSettings

NEEDED = {
    "api_url": "http://block",
    "identifier": "block",
    "key": "secret",
    "shared_basedir": "/a",
    "scratch_basedir": "/b",
}


def _set(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"ALCHEMISCALE_COMPUTE_{name.upper()}", str(value))


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> AlchemiscaleCompute:
    block = AlchemiscaleCompute(**NEEDED, n_retries=7, max_parallel_units=5)  # type: ignore[arg-type]
    monkeypatch.setattr(AlchemiscaleCompute, "load", lambda _name: block)
    return block


def test_every_setting_is_in_the_block() -> None:
    # but the host's name, which is another for each
    assert ComputeSettings.model_fields.keys() - AlchemiscaleCompute.model_fields.keys() == {"host"}
    for name, field in AlchemiscaleCompute.model_fields.items():
        assert ComputeSettings.model_fields[name].description == field.description is not None


def test_the_block_fills_in_what_the_environment_does_not_say(
    saved: AlchemiscaleCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, api_url="http://environment", n_retries=1)
    settings = load_compute_settings()
    assert (settings.api_url, settings.n_retries) == ("http://environment", 1)
    assert (settings.identifier, settings.max_parallel_units) == ("block", 5)
    assert settings.key.get_secret_value() == "secret"


def test_an_environment_that_says_all_that_must_be_said_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_name: str) -> Any:
        raise AssertionError("the block was read")

    monkeypatch.setattr(AlchemiscaleCompute, "load", unreachable)
    _set(monkeypatch, **NEEDED)
    assert load_compute_settings().n_retries == 3


def test_what_is_missing_or_wrong_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> Any:
        raise ValueError(f"no block document {name}")

    monkeypatch.setattr(AlchemiscaleCompute, "load", unknown)
    _set(monkeypatch, **{**NEEDED, "n_retries": "many"})
    with pytest.raises(InvalidInput, match="ALCHEMISCALE_COMPUTE_N_RETRIES is wrong"):
        load_compute_settings()
    monkeypatch.delenv("ALCHEMISCALE_COMPUTE_N_RETRIES")
    monkeypatch.delenv("ALCHEMISCALE_COMPUTE_KEY")
    with pytest.raises(InvalidInput, match=r"set ALCHEMISCALE_COMPUTE_KEY, or save an AlchemiscaleCompute block"):
        load_compute_settings()
