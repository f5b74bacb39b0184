"""Backups: round trips through real tools, whole or not at all, without secrets on a command line."""

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from alchemiscale_prefect.domain.errors import Conflict, InvalidInput
from alchemiscale_prefect.store import backup, schema
from alchemiscale_prefect.store.database import Database


def rows(database: Database) -> dict[str, list[Any]]:
    """Every row of every table."""
    with database.transaction() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(text(f"select t::text from {table.name} t order by 1"))
            ]
            for table in schema.metadata.sorted_tables
        }


@pytest.fixture
def filled(database: Database) -> Database:
    """A database with something in it, also what text formats stumble over."""
    with database.transaction() as connection:
        connection.execute(text("insert into scope (org, campaign, project, gufe_line) values ('o', 'c', 'p', '1')"))
        connection.execute(
            text(
                "insert into gufe_object "
                "(scope_id, key, qualname, module, name, content, digest, refers_to, gufe_version) "
                "select id, 'Thing-1', 'Thing', 'm', :name, :content, '\\x00', '{}', '1.12' from scope"
            ),
            {"name": "a\tname \\ with 'quotes', „Umlaute“\nand lines", "content": bytes(range(256))},
        )
    return database


def test_a_backup_gives_back_every_row_and_the_schema(
    filled: Database, empty_database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    backup.backup(filled, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]
    backup.restore(empty_database, file)
    assert rows(empty_database) == rows(filled)
    assert schema.revisions(empty_database) == schema.revisions(filled)
    assert schema.differences(empty_database) == []
    schema.check_row_security(empty_database)
    # identities go on where they were
    with empty_database.transaction() as connection:
        connection.execute(text("insert into scope (org, campaign, project, gufe_line) values ('o', 'c', 'q', '1')"))


def test_a_database_that_is_not_empty_is_replaced_on_demand_only(filled: Database, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    backup.backup(filled, file)
    kept = rows(filled)
    with filled.transaction() as connection:
        connection.execute(text("update scope set project = 'changed'"))
        connection.execute(text("create table later (scope_id int references scope (id))"))
    changed = rows(filled)
    with pytest.raises(Conflict, match="--replace"):
        backup.restore(filled, file)
    assert rows(filled) == changed
    backup.restore(filled, file, replace=True)
    assert rows(filled) == kept
    with filled.transaction() as connection:
        assert connection.execute(text("select to_regclass('later')")).scalar_one() is None


def test_a_backup_that_is_cut_short_changes_nothing(filled: Database, tmp_path: Path) -> None:
    file, cut = tmp_path / "backup", tmp_path / "cut"
    backup.backup(filled, file)
    whole = file.read_bytes()
    kept = rows(filled)
    for length in (len(whole) - 200, len(whole) // 2, 100, 0):
        cut.write_bytes(whole[:length])
        with pytest.raises(InvalidInput):
            backup.restore(filled, cut, replace=True)
        assert rows(filled) == kept


def test_a_backup_never_takes_the_place_of_a_file(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    file.write_text("precious")
    with pytest.raises(Conflict, match="is there already"):
        backup.backup(database, file)
    assert file.read_text() == "precious"
    with pytest.raises(InvalidInput, match="cannot be written"):
        backup.backup(database, tmp_path / "no" / "folder")


def test_what_is_no_backup_is_refused(empty_database: Database, tmp_path: Path) -> None:
    file = tmp_path / "text"
    for content in (b"", b"drop table task;", b"PGDMP" + b"\0" * 100):
        file.write_bytes(content)
        with pytest.raises(InvalidInput, match="no backup"):
            backup.restore(empty_database, file)
    with pytest.raises(InvalidInput, match="cannot be read"):
        backup.restore(empty_database, tmp_path / "none")


def test_missing_tools_are_named_with_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="postgresql-client-99"):
        backup.find_tools(99, 15)
    monkeypatch.setattr(backup, "_installed", list)
    with pytest.raises(InvalidInput, match="postgresql-client-16"):
        backup.find_tools(16, 15)


def test_tools_of_the_server_s_version_are_preferred_and_older_ones_never_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = [backup.Tools(Path(f"/{major}"), major) for major in (18, 16, 15, 17)]
    monkeypatch.setattr(backup, "_installed", lambda: there)
    assert backup.find_tools(16, 15).major == 16
    assert backup.find_tools(14, 16).major == 16
    assert backup.find_tools(16, 17).major == 17


def test_the_password_is_in_the_environment_and_on_no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], *, env: dict[str, str], **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append((command, env))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(backup.subprocess, "run", run)
    database = Database("postgresql://me:s%40cret@db.example:6543/mine?sslmode=require")
    backup._run(["pg_dump"], database)
    ((command, environment),) = calls
    assert "s@cret" not in " ".join(command)
    assert {name: value for name, value in environment.items() if name.startswith("PG") and name not in os.environ} == {
        "PGUSER": "me",
        "PGPASSWORD": "s@cret",
        "PGHOST": "db.example",
        "PGPORT": "6543",
        "PGDATABASE": "mine",
        "PGSSLMODE": "require",
        "PGAPPNAME": "alchemiscale-prefect",
    }


def test_a_parameter_that_the_tools_cannot_be_given_is_refused() -> None:
    with pytest.raises(InvalidInput, match="keepalives"):
        backup.libpq_variables({"host": "h", "keepalives": "1"})
