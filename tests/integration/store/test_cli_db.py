"""The command line: the database."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from alchemiscale_prefect.store import schema
from alchemiscale_prefect.store.database import Database
from tests.command_line import CommandLine
from tests.integration.databases import Server


def command_line(url: object) -> CommandLine:
    return CommandLine({"ALCHEMISCALE_DATABASE_URL": str(url)})


def test_a_database_is_made_upgraded_checked_backed_up_and_restored(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.url.set(database="alchemiscale_test_of_the_command_line").render_as_string(hide_password=False)
    postgres.drop(url)
    cli = command_line(url)
    head = schema.ScriptDirectory.from_config(schema.configuration()).get_current_head()
    try:
        assert cli.json("db", "init") == {"created": True, "schema": head, "was": None}
        assert cli.text("db", "init") == f"schema {head} already\n"
        assert cli.json("db", "upgrade") == {"schema": head, "was": head}
        report = cli.json("db", "check")
        assert report["ok"]
        assert {check["status"] for check in report["checks"]} == {"ok"}
        assert set(report["checks"][0]) == {"name", "status", "detail", "fix"}
        assert cli.text("db", "check", "--mend").startswith("ok")

        file = tmp_path / "backup"
        assert cli.json("db", "backup", file) == {"file": str(file), "bytes": file.stat().st_size}
        assert cli.refused("db", "backup", file)["code"] == "conflict"
        assert cli.refused("db", "restore", file)["code"] == "conflict"
        restored = cli.json("db", "restore", file, "--replace")
        assert restored == {"file": str(file), "schema": head, "needed": head}

        database = Database(url)
        with database.transaction() as connection:
            connection.execute(text("alter table task drop column creator"))
        database.close()
        ended = cli("db", "check")
        assert ended.code == 1
        assert "FAILED" in ended.out
        assert "→" in ended.out
    finally:
        postgres.drop(url)


def test_a_database_out_of_reach_is_told_in_a_line() -> None:
    cli = command_line("postgresql://nobody:secret@127.0.0.1:1/nothing")
    for command in ("init", "upgrade"):
        error = cli.refused("db", command)
        assert error["code"] == "unavailable"
        assert "secret" not in error["detail"]
    assert cli("db", "check").code == 1


def test_a_database_that_is_not_there_is_named_with_what_makes_it(postgres: Server, tmp_path: Path) -> None:
    cli = command_line(postgres.url.set(database="alchemiscale_none").render_as_string(hide_password=False))
    (tmp_path / "a backup").touch()
    for words in (("upgrade",), ("backup", tmp_path / "new"), ("restore", tmp_path / "a backup")):
        error = cli.refused("db", *words)
        assert error["code"] == "unavailable"
        assert '"alchemiscale_none" does not exist' in error["detail"]
        assert "db init" in error["detail"]
    (database, *_) = json.loads(cli("db", "check", "--json").out)["checks"]
    assert "db init" in database["fix"]


def test_what_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALCHEMISCALE_DATABASE_URL", raising=False)
    for command in ("upgrade", "check"):
        error = CommandLine({}).refused("db", command)
        assert (error["code"], error["field"]) == ("invalid_input", "ALCHEMISCALE_DATABASE_URL")
    assert command_line("mysql://x/y").refused("db", "check")["field"] == "database_url"
    assert command_line("nonsense").refused("db", "check")["field"] == "database_url"


def test_the_program_itself_ends_with_its_exit_codes(database_url: str) -> None:
    def ended(*words: str, url: str = database_url) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "alchemiscale_prefect", *words],
            env={"ALCHEMISCALE_DATABASE_URL": url, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
        )

    well = ended("db", "upgrade")
    assert (well.returncode, well.stderr) == (0, "")
    refused = ended("db", "upgrade", url=str(make_url(database_url).set(drivername="sqlite")))
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith("error: ")
    assert len(refused.stderr.splitlines()) == 1
    assert ended("db", "nonsense").returncode == 2
