"""The command line: doctor, with everything well, and with each thing broken in turn."""

import json
import os
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.services import server_checks
from alchemiscale_prefect.store.database import Database
from tests.command_line import CommandLine, Ended
from tests.integration.sdk.conftest import KEY, USER, WORKER

NOTHING_LISTENS = "http://127.0.0.1:1"
MINE = ("ALCHEMISCALE_", "PREFECT_")


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(MINE):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ALCHEMISCALE_PROFILE", str(tmp_path / "no profile"))


@pytest.fixture
def whole(system: System, api_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a machine that is everything at once, apart from Prefect."""
    return {
        "ALCHEMISCALE_URL": api_url,
        "ALCHEMISCALE_ID": USER,
        "ALCHEMISCALE_KEY": KEY,
        "ALCHEMISCALE_DATABASE_URL": system.database.engine.url.render_as_string(hide_password=False),
        "ALCHEMISCALE_OBJECT_STORE": str(tmp_path / "objects"),
        "ALCHEMISCALE_JWT_SECRET": secrets.token_hex(32),
        "ALCHEMISCALE_COMPUTE_API_URL": api_url,
        "ALCHEMISCALE_COMPUTE_IDENTIFIER": WORKER,
        "ALCHEMISCALE_COMPUTE_KEY": KEY,
        "ALCHEMISCALE_COMPUTE_SHARED_BASEDIR": str(tmp_path / "shared"),
        "ALCHEMISCALE_COMPUTE_SCRATCH_BASEDIR": str(tmp_path / "scratch"),
    }


def examined(environment: dict[str, str], **changes: str) -> tuple[Ended, dict[str, Any]]:
    """How doctor ended, and each of its checks by name."""
    ended = CommandLine({**environment, **changes})("doctor", "--json")
    # the API of these tests logs into the same standard output
    document = json.loads(ended.out[ended.out.index("{\n") :])
    assert ended.code == (0 if document["ok"] else 1)
    assert ended.err == ""
    for check in document["checks"]:
        assert (check["fix"] is not None) == (check["status"] in ("warning", "failed")), check
    return ended, {check["name"]: check for check in document["checks"]}


def test_a_machine_where_all_is_well(whole: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_checks, "SPACE_WARNING", 0)
    ended, found = examined(whole)
    assert ended.code == 0
    expected_ok = {
        *("API", "API's clock", "credentials", "permissions", "API's own needs", "gufe", "allowed modules"),
        *("database", "schema", "row-level security", "counts of Tasks", "database's clock"),
        *("object store", "space for objects", "token secrets", "compute settings"),
        *("compute API", "compute API's clock", "compute credentials", "compute permissions"),
        *("shared folder", "scratch folder"),
    }
    assert {name for name, check in found.items() if check["status"] == "ok"} >= expected_ok - {
        "shared folder",
        "scratch folder",
    }
    assert set(found) - expected_ok == {"database password", "Prefect API", "GPU", "hosts", "fair share"}
    text_of_it = CommandLine(whole).text("doctor")
    assert len(text_of_it.splitlines()) >= len(found)
    assert KEY not in text_of_it + ended.out


def test_a_chemist_s_machine_is_told_what_was_skipped_and_why(whole: dict[str, str]) -> None:
    chemist = {
        name: value
        for name, value in whole.items()
        if name in ("ALCHEMISCALE_URL", "ALCHEMISCALE_ID", "ALCHEMISCALE_KEY")
    }
    ended, found = examined(chemist)
    assert ended.code == 0
    skipped = {name for name, check in found.items() if check["status"] == "skipped"}
    assert skipped == {"database", "object store", "token secrets", "Prefect API", "compute settings"}
    assert "ALCHEMISCALE_DATABASE_URL" in found["database"]["detail"]
    _, found = examined({})
    assert found["API"]["status"] == "skipped"


# what is set otherwise → the check that fails, and what it says
BROKEN = (
    ({"ALCHEMISCALE_URL": NOTHING_LISTENS}, "API", "refused"),
    ({"ALCHEMISCALE_KEY": "another key"}, "credentials", USER),
    ({"ALCHEMISCALE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "database", "refused"),
    ({"ALCHEMISCALE_DATABASE_URL": "nonsense"}, "database", "postgresql://"),
    ({"ALCHEMISCALE_OBJECT_STORE": "/proc/none"}, "object store", ""),
    ({"ALCHEMISCALE_JWT_SECRET": "short"}, "token secrets", "fewer"),
    ({"ALCHEMISCALE_JWT_EXPIRE_SECONDS": "soon"}, "token secrets", "ALCHEMISCALE_JWT_EXPIRE_SECONDS"),
    ({"ALCHEMISCALE_ALLOWED_MODULES": "not-a-name"}, "allowed modules", "not-a-name"),
    ({"ALCHEMISCALE_COMPUTE_KEY": "another key"}, "compute credentials", WORKER),
    ({"ALCHEMISCALE_COMPUTE_N_RETRIES": "many"}, "compute settings", "ALCHEMISCALE_COMPUTE_N_RETRIES"),
    ({"ALCHEMISCALE_COMPUTE_SHARED_BASEDIR": "/proc/none"}, "shared folder", "/proc/none"),
    ({"ALCHEMISCALE_COMPUTE_REQUIRE_GPU": "true", "ALCHEMISCALE_COMPUTE_GPUS": "none"}, "GPU", "no GPU"),
)


def test_each_thing_that_is_set_wrong_is_found_and_nothing_else(whole: dict[str, str]) -> None:
    for changes, name, words in BROKEN:
        ended, found = examined(whole, **changes)
        assert [check["name"] for check in found.values() if check["status"] == "failed"] == [name], changes
        assert words in found[name]["detail"]
        assert ended.code == 1
    for name in ("ALCHEMISCALE_KEY", "ALCHEMISCALE_DATABASE_URL", "ALCHEMISCALE_COMPUTE_KEY"):
        # a machine on which it was forgotten
        rest = {other: value for other, value in whole.items() if other != name}
        _, found = examined(rest)
        failed = {check["name"] for check in found.values() if check["status"] == "failed"}
        assert failed <= {"API", "compute settings"}, name


def test_a_database_that_is_not_as_it_should_be_is_found(whole: dict[str, str], system: System) -> None:
    def broken_by(statement: str) -> set[str]:
        with system.database.transaction() as connection:
            connection.execute(text(statement))
        _, found = examined(whole)
        return {check["name"] for check in found.values() if check["status"] == "failed"}

    assert broken_by(
        "insert into task_count (scope_id, transformation_id, waiting) "
        "select scope_id, id, 3 from transformation limit 1"
    ) == {"counts of Tasks"}
    # the API itself has what it needs to be asked about as well
    assert broken_by("update alembic_version set version_num = '0001'") == {"schema", "API's own needs"}


def test_a_clock_that_is_off_a_full_disk_and_weak_secrets_are_told(
    whole: dict[str, str], system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    now: Callable[[Database], datetime] = Database.now
    monkeypatch.setattr(Database, "now", lambda self: now(self) - timedelta(minutes=5))
    monkeypatch.setattr(server_checks, "SPACE_FAILURE", 2**70)
    _, found = examined(whole, ALCHEMISCALE_JWT_SECRET="ab" * 20)
    assert found["database's clock"]["status"] == "failed"
    assert re.match(r"(29|30)\d s behind", found["database's clock"]["detail"])
    assert found["space for objects"]["status"] == "failed"
    assert found["token secrets"]["status"] == "warning"


def test_who_may_only_read_is_warned(whole: dict[str, str], system: System) -> None:
    with system.database.transaction() as connection:
        connection.execute(text("update identity_scope set permission = 'read'"))
    _, found = examined(whole)
    assert found["permissions"]["status"] == "warning"
    with system.database.transaction() as connection:
        connection.execute(text("delete from identity_scope"))
    _, found = examined(whole)
    assert found["permissions"]["status"] == "failed"
