"""The layers hold, and each contract that says so can fail."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.project import PACKAGE, ROOMS, ROOT, configuration

CONTRACTS = {contract["name"]: contract for contract in configuration()["tool"]["importlinter"]["contracts"]}

# For each contract: a module of a room, and a line that must not stand in it.
BREACHES = {
    "Rooms import downwards only": ("domain/scopes.py", "import alchemiscale_prefect.wire.fields"),
    "Only chemistry imports gufe": ("strategies/breach.py", "import gufe"),
    "The API server is gufe-free": ("store/breach.py", "import alchemiscale_prefect.chemistry.base"),
    "Only store imports the database and the object store": ("execution/breach.py", "import psycopg"),
    "Only orchestration, flows and blocks import Prefect": ("services/breach.py", "from prefect import flow"),
    "Compute needs no database and no server": ("execution/breach.py", "import fastapi"),
    "Only api imports FastAPI": ("sdk/breach.py", "from fastapi import FastAPI"),
}

# The rooms that a contract of the form "only … imports …" leaves out, because they may.
EXEMPT = {
    "Only chemistry imports gufe": {"chemistry"},
    "Only store imports the database and the object store": {"store"},
    "Only orchestration, flows and blocks import Prefect": {"orchestration", "flows", "blocks"},
    "Only api imports FastAPI": {"api", "web", "local", "cli"},
}


def lint_imports(folder: Path) -> dict[str, bool]:
    """Check the contracts on the package in `folder`; for each contract whether it was kept."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    run = subprocess.run(
        [*command, "--config", str(ROOT / "pyproject.toml")],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    verdicts = dict(re.findall(r"^(.+?) (KEPT|BROKEN)\b", run.stdout, re.MULTILINE))
    assert verdicts, run.stdout + run.stderr
    assert run.returncode == (1 if "BROKEN" in verdicts.values() else 0), run.stdout
    return {name: verdict == "KEPT" for name, verdict in verdicts.items()}


@pytest.fixture
def copy_of_the_package(tmp_path: Path) -> Path:
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_every_contract_is_kept() -> None:
    assert lint_imports(ROOT) == dict.fromkeys(CONTRACTS, True)


@pytest.mark.parametrize("contract", sorted(CONTRACTS))
def test_a_breach_breaks_its_contract(contract: str, copy_of_the_package: Path) -> None:
    module, line = BREACHES[contract]
    path = copy_of_the_package / PACKAGE.name / module
    path.write_text((path.read_text() if path.exists() else "") + f"\n{line}\n")
    assert lint_imports(copy_of_the_package)[contract] is False


def test_the_layers_name_every_room() -> None:
    layers = " | ".join(CONTRACTS["Rooms import downwards only"]["layers"])
    assert {f"alchemiscale_prefect.{room}" for room in ROOMS} <= set(re.split(r"[ |:]+", layers))


@pytest.mark.parametrize("contract", sorted(EXEMPT))
def test_an_only_contract_binds_every_other_room(contract: str) -> None:
    bound = {f"alchemiscale_prefect.{room}" for room in ROOMS if room not in EXEMPT[contract]}
    assert bound <= set(CONTRACTS[contract]["source_modules"])
