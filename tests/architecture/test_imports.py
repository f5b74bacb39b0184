"""Importing is light: each statement runs in an interpreter of its own, and what it loaded is looked at."""

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.architecture.project import ROOMS, ROOT

HEAVY = {
    "fastapi",
    "gufe",
    "numpy",
    "obstore",
    "openff",
    "openmm",
    "prefect",
    "psycopg",
    "pymbar",
    "rdkit",
    "scipy",
    "sqlalchemy",
}

# Prefect finds our blocks by importing this room.
LOADED_ON_PURPOSE = {"blocks": {"prefect"}}

# What no module of a room may load, neither itself nor through what it imports.
NEVER_LOADED = {
    "domain": HEAVY,
    "wire": HEAVY,
    "chemistry": {"fastapi", "prefect", "psycopg", "sqlalchemy"},
    "protocols": {"fastapi", "prefect", "psycopg", "sqlalchemy"},
    "sdk": {"fastapi", "prefect", "psycopg", "sqlalchemy"},
    "execution": {"fastapi", "prefect", "psycopg", "sqlalchemy"},
    "flows": {"fastapi", "psycopg", "sqlalchemy"},
    "blocks": {"fastapi", "gufe", "openmm", "psycopg", "sqlalchemy"},
    "orchestration": {"fastapi", "gufe", "openmm", "psycopg", "sqlalchemy"},
    "store": {"fastapi", "gufe", "openmm", "prefect"},
    "services": {"fastapi", "gufe", "openmm"},
    "api": {"alchemiscale_prefect.chemistry", "gufe", "openmm"},
}

REPORT = """
import json, sys, time
started = time.perf_counter()
{statement}
print(json.dumps([time.perf_counter() - started, sorted(sys.modules)]))
"""

EVERY_MODULE = """
import importlib, pkgutil
import alchemiscale_prefect.{room} as room
for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
    if not any(part in module.name for part in {left_out}):
        importlib.import_module(module.name)
"""

# Alembic runs the first; the control pool's flows work with our tables, which compute flow runs never reach; the last
# can be imported on gufe 0.4 only
LEFT_OUT = [
    ".migrations.",
    ".flows.reconcile",
    ".flows.strategy",
    *([] if version("gufe").startswith("0.") else [".gufe04"]),
]


def loaded_by(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter; the names of all modules that it loaded."""
    command = [sys.executable, "-W", "ignore", "-c", REPORT.format(statement=statement)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    seconds, modules = json.loads(run.stdout.splitlines()[-1])
    print(f"{seconds:6.3f} s  {statement.strip()}")
    return set(modules)


@pytest.mark.parametrize(
    "name", ["alchemiscale_prefect", "alchemiscale_prefect.settings", *(f"alchemiscale_prefect.{r}" for r in ROOMS)]
)
def test_importing_the_package_or_a_room_loads_nothing_heavy(name: str) -> None:
    allowed = LOADED_ON_PURPOSE.get(name.rpartition(".")[2], set())
    assert loaded_by(f"import {name}") & HEAVY <= allowed


@pytest.mark.parametrize("room", sorted(NEVER_LOADED))
def test_no_module_of_a_room_loads_what_the_room_must_do_without(room: str) -> None:
    assert not loaded_by(EVERY_MODULE.format(room=room, left_out=LEFT_OUT)) & NEVER_LOADED[room]


def test_the_public_names_come_lazily_and_without_a_server() -> None:
    loaded = loaded_by("import alchemiscale_prefect as ap; ap.AlchemiscaleClient, ap.Scope, ap.ScopedKey")
    assert "alchemiscale_prefect.sdk" in loaded
    assert not loaded & {"fastapi", "prefect", "psycopg", "sqlalchemy"}


def test_a_heavy_import_would_be_seen() -> None:
    assert {"numpy", "sqlalchemy"} <= loaded_by("import numpy, sqlalchemy") & HEAVY
