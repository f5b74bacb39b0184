"""The command line: what it refuses before it asks anybody."""

import json
from pathlib import Path

import pytest

from tests.command_line import CommandLine

TASK = "Task-" + "0" * 32 + "-org-campaign-project"
NETWORK = "AlchemicalNetwork-" + "0" * 32 + "-org-campaign-project"


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A user of an API that is not there: a port that nothing can listen on."""
    return CommandLine(
        {"ALCHEMISCALE_URL": "http://127.0.0.1:0", "ALCHEMISCALE_ID": "somebody", "ALCHEMISCALE_KEY": "a key"}
    )


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ("task status Task-1", "task"),
        ("task status Transformation-1-a-b-c", "task"),
        (f"task create {TASK}", "transformation"),
        (f"task retry --network {TASK}", "network"),
        (f"network status {TASK}", "network"),
        ("network list --scope a-b", "scope"),
        ("network list --scope *-b-c", "campaign"),
    ],
)
def test_a_wrong_key_or_scope_is_refused_by_the_name_of_its_argument(cli: CommandLine, words: str, field: str) -> None:
    error = cli.refused(*words.split())
    assert error["code"].startswith("invalid_")
    assert error["field"] == field


@pytest.mark.parametrize(
    "words",
    [
        "task status",
        f"task status {TASK} --network {NETWORK}",
        f"task status {TASK} --status nonsense",
        "task create",
        f"task set {NETWORK}",
        f"task set {NETWORK} {NETWORK}_2 --count 1",
        "task retry",
        f"task action {NETWORK}",
        f"task action {NETWORK} {TASK} --all",
        f"task priority {TASK} 0",
        f"network weight {NETWORK} 1.5",
        f"network state {NETWORK} --stop-tasks",
        f"network results {NETWORK} --out x.txt",
        f"network results {NETWORK} --out x.csv --raw folder",
        "network submit no-such-file.json --scope a-b-c",
        "network nonsense",
        "nonsense",
    ],
)
def test_a_call_that_cannot_be_meant_is_a_usage_error(cli: CommandLine, words: str) -> None:
    assert cli.refused(*words.split(), code=2)["code"] == "usage"


def test_standard_input_without_keys_is_refused(cli: CommandLine) -> None:
    for text in ('{"networks": ["x"]}', '{"tasks": [', "[1]"):
        assert cli.refused("task", "status", "-", stdin=text)["field"] == "task"


def test_an_api_that_is_not_there_is_told_in_a_line(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alchemiscale_prefect.cli.connection.MAX_RETRIES", 0)
    error = cli.refused("network", "list")
    assert error["code"] == "connection_error"
    assert "http://127.0.0.1:0" in error["detail"]


def test_without_credentials_it_says_which_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ALCHEMISCALE_URL", "ALCHEMISCALE_ID", "ALCHEMISCALE_KEY"):
        monkeypatch.delenv(variable, raising=False)
    error = CommandLine({"ALCHEMISCALE_PROFILE": str(tmp_path / "none.json")}).refused("network", "list")
    assert (error["code"], error["field"]) == ("invalid_input", "api_url")
    assert "ALCHEMISCALE_URL" in error["detail"]


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"a": 1}', "[[", "no JSON", "\x1f\x8bnot gzip"])
def test_a_file_without_a_network_is_refused(cli: CommandLine, tmp_path: Path, text: str) -> None:
    file = tmp_path / "network.json"
    file.write_text(text, encoding="latin-1")
    error = cli.refused("network", "submit", file, "--scope", "a-b-c")
    assert error["code"].startswith("invalid_")


def test_a_file_with_something_else_is_refused_by_what_it_is(cli: CommandLine, tmp_path: Path) -> None:
    from alchemiscale_prefect.chemistry import keyed_chains
    from tests.protocols import salt_water

    file = tmp_path / "system.json"
    file.write_bytes(keyed_chains.to_json(salt_water(0.1, "salted")))
    assert "ChemicalSystem" in cli.refused("network", "submit", file, "--scope", "a-b-c")["detail"]


def test_a_file_that_names_a_module_out_of_bounds_imports_nothing(cli: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "evil.json"
    file.write_text(json.dumps({"__qualname__": "Popen", "__module__": "subprocess", "args": ["false"]}))
    assert cli.refused("network", "submit", file, "--scope", "a-b-c")["code"] == "module_not_allowed"
