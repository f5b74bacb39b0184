"""Which of OpenMM's platforms is taken."""

import subprocess
import sys

import pytest

from alchemiscale_prefect.protocols import platforms


@pytest.fixture(autouse=True)
def _no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENMM_DEFAULT_PLATFORM", raising=False)


def test_the_fastest_is_the_fastest_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [platform.getName() for platform in platforms._by_speed()]
    assert names[-1] == "Reference"
    monkeypatch.setattr(platforms, "_failure", lambda name: None if name == "Reference" else "no device")
    assert platforms.choose("fastest").getName() == "Reference"


def test_what_openmm_is_told_to_use_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow run whose pool promises a GPU is told so; without one it fails, and computes on no CPU instead."""
    monkeypatch.setenv("OPENMM_DEFAULT_PLATFORM", "Reference")
    assert platforms.choose("fastest").getName() == "Reference"
    assert platforms.choose("CPU").getName() == "CPU"
    monkeypatch.setenv("OPENMM_DEFAULT_PLATFORM", "Abacus")
    with pytest.raises(ValueError, match=r"no platform 'Abacus' here: choose one of .*CPU"):
        platforms.choose("fastest")


def test_a_platform_is_tried() -> None:
    assert platforms.first_that_works(["Abacus", "Reference"]) == "Reference"


@pytest.mark.parametrize(
    ("names", "code", "said"), [(["Abacus", "Reference"], 0, "Reference\n"), (["Abacus"], 1, "Abacus: this OpenMM has")]
)
def test_as_a_program_it_says_which(names: list[str], code: int, said: str) -> None:
    command = [sys.executable, "-m", "alchemiscale_prefect.protocols.platforms", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert said in done.stdout + done.stderr
