"""The command line: networks."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from gufe.tokenization import JSON_HANDLER
from rich.console import Console

from alchemiscale_prefect import AlchemiscaleClient, Scope, ScopedKey
from alchemiscale_prefect.chemistry import documents, keyed_chains
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from alchemiscale_prefect.cli import demo_report
from alchemiscale_prefect.cli.output import plain
from tests import protocols
from tests.command_line import CommandLine
from tests.integration.sdk.conftest import SCOPES


@pytest.fixture
def finished(client: AlchemiscaleClient, scope: Scope, work: Callable[[], int]) -> ScopedKey:
    """A network of one Transformation with two results."""
    network = AlchemicalNetwork(edges=[protocols.transformation(name="=salted")], name="finished")
    key = client.create_network(network, scope, visualize=False)
    client.action_tasks(client.create_tasks(client.get_network_transformations(key)[0], count=2), key)
    assert work() == 2
    return key


def test_a_network_in_any_form_of_file_is_submitted_once(
    cli: CommandLine, client: AlchemiscaleClient, tmp_path: Path
) -> None:
    network = protocols.chain_network(2, name="of a file")
    chain, dumped, small = tmp_path / "chain.json", tmp_path / "dict.json", tmp_path / "chain.json.gz"
    chain.write_bytes(keyed_chains.to_json(network))
    dumped.write_text(json.dumps(network.to_dict(), cls=JSON_HANDLER.encoder))
    small.write_bytes(gzip.compress(chain.read_bytes()))
    key = str(ScopedKey.of(str(network.key), SCOPES[1]))
    made = cli.json("network", "submit", chain, "--scope", SCOPES[1], "--state", "inactive", "--tasks", 2)
    assert made == {"network": key, "tasks": {"existing": 0, "created": 6, "actioned": 6}}
    again = cli.json("network", "submit", dumped, "--scope", SCOPES[1], "-t", 2)
    assert again == {"network": key, "tasks": {"existing": 6, "created": 0, "actioned": 0}}
    assert cli.text("network", "submit", small, "--scope", SCOPES[1]) == f"{key}\n"
    assert client.get_network_state(key) == "inactive"
    error = cli.refused("network", "submit", chain, "--scope", "other_org-other_campaign-other_project")
    assert error["code"] == "not_authorized"
    assert cli.refused("network", "submit", chain, "--scope", "test_org-*-*")["field"] == "scope"


def test_networks_are_listed_whole_also_in_a_pipe(
    cli: CommandLine, network: AlchemicalNetwork, network_key: ScopedKey, scope: Scope
) -> None:
    assert len(cli.json("network", "list")["networks"]) == 3
    assert len(cli.json("network", "list", "--state", "any")["networks"]) == 6
    (found,) = cli.json("network", "list", "--scope", scope, "--name", "bench.*")["networks"]
    assert (found["network"], found["name"], found["state"], found["weight"], found["status"]) == (
        *(str(network_key), network.name, "active", 0.5),
        {},
    )
    header, row = cli.text("network", "list", "--scope", scope).splitlines()
    assert header.split() == ["network", "name", "state", "weight", "Transformations", "Tasks"]
    assert row.split()[0] == str(network_key)
    assert cli.text("network", "list", "--name", "nothing") == "no networks\n"
    assert cli.refused("network", "list", "--name", "(")["code"] == "invalid_input"


def test_the_state_and_weight_of_a_network_are_shown_and_set(
    cli: CommandLine, client: AlchemiscaleClient, network_key: ScopedKey, transformation_key: ScopedKey
) -> None:
    client.action_tasks(client.create_tasks(transformation_key, count=2), network_key)
    assert cli.text("network", "state", network_key) == "active\n"
    assert cli.json("network", "state", network_key, "invalid") == {"network": str(network_key), "state": "invalid"}
    assert len(client.get_network_actioned_tasks(network_key)) == 2
    assert cli.text("network", "state", network_key, "inactive", "--stop-tasks") == "inactive\n"
    assert client.get_network_actioned_tasks(network_key) == []
    assert cli.text("network", "weight", network_key) == "0.5\n"
    assert cli.json("network", "weight", network_key, 0)["weight"] == 0.0

    shown = cli.json("network", "status", network_key)
    assert (shown["state"], shown["weight"], shown["units_total"]) == ("inactive", 0.0, 0)
    assert shown["status"] == {"waiting": 2}
    text = cli.text("network", "status", network_key)
    assert str(network_key) in text
    assert ["waiting", "2"] in [line.split() for line in text.splitlines()]


def test_a_network_that_is_not_there_is_named(
    cli: CommandLine, network: AlchemicalNetwork, network_key: ScopedKey
) -> None:
    nowhere = str(network_key).replace(str(network.key), "AlchemicalNetwork-" + "0" * 32)
    for command in ("status", "watch", "state", "weight", "results"):
        error = cli.refused("network", command, nowhere)
        assert (error["code"], error["field"]) == ("not_found", "network")
        assert nowhere in error["detail"]


def test_estimates_come_without_results_into_a_table_or_a_file(
    cli: CommandLine, finished: ScopedKey, tmp_path: Path
) -> None:
    document = cli.json("network", "results", finished)
    (edge,) = document["transformations"]
    assert (edge["name"], edge["repeats"], len(edge["estimates"])) == ("=salted", 2, 2)
    assert edge["estimate"] == pytest.approx(sum(edge["estimates"]) / 2)
    (row,) = cli.text("network", "results", finished).splitlines()[1:]
    assert row.split() == ["=salted", "2", f"{edge['estimate']:g}"[:7].rstrip("0"), *row.split()[3:]]
    assert row.split()[-1] == "kJ/mol"

    for name in ("out.json", "sub/out.csv"):
        file = tmp_path / name
        assert cli.json("network", "results", finished, "--out", file)["file"] == str(file)
    assert json.loads((tmp_path / "out.json").read_text()) == document
    with (tmp_path / "sub" / "out.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    # no formula for a spreadsheet
    assert line["name"] == "'=salted"
    assert [float(value) for value in line["estimates"].split(";")] == edge["estimates"]
    assert float(line["estimate"]) == edge["estimate"]
    assert cli.refused("network", "results", finished, "--out", "/proc/none/out.csv")["field"] == "out"


def test_results_themselves_are_fetched_into_a_folder(cli: CommandLine, finished: ScopedKey, tmp_path: Path) -> None:
    written = cli.json("network", "results", finished, "--raw", tmp_path / "raw")["files"]
    assert len(written) == 2
    for file in map(Path, written):
        found = keyed_chains.decompress(file.read_bytes())
        assert file.name == f"{found.key}.json.zst"
    assert "2 ProtocolDAGResults" in cli.text("network", "results", finished, "--raw", tmp_path / "raw")


def test_a_network_is_watched_until_it_is_done(
    cli: CommandLine, client: AlchemiscaleClient, finished: ScopedKey, work: Callable[[], int]
) -> None:
    assert cli.json("network", "watch", finished) == {"network": str(finished), "status": {"complete": 2}}
    assert "complete" in cli.text("network", "watch", finished)
    edge = protocols.transformation(protocols.FailingProtocol(protocols.FailingSettings(message="no")))
    failing = client.create_network(AlchemicalNetwork(edges=[edge], name="fails"), finished.scope, visualize=False)
    client.action_tasks(client.create_tasks(client.get_network_transformations(failing)[0]), failing)
    assert work() == 1
    ended = cli("network", "watch", failing, "--interval", 0.1, "--json")
    assert (ended.code, json.loads(ended.out)["status"]) == (1, {"error": 1})


def test_a_network_is_copied_merged_and_extended(
    cli: CommandLine, client: AlchemiscaleClient, finished: ScopedKey, tmp_path: Path
) -> None:
    copied = cli.json("network", "copy", finished, "--scope", SCOPES[1], "--name", "copied")["network"]
    assert client.get_network_status(copied, visualize=False) == {"complete": 2}
    merged = cli.text("network", "merge", finished, copied, "--name", "merged", "--scope", SCOPES[2]).strip()
    assert cli.json("network", "status", merged)["name"] == "merged"
    file = tmp_path / "more.json"
    file.write_bytes(keyed_chains.to_json(protocols.chain_network(1, name="more")))
    made = cli.json("network", "extend", finished, file, "--name", "grown", "--tasks", 2)
    assert made["tasks"] == {"existing": 2, "created": 4, "actioned": 4}
    shown = cli.json("network", "status", made["network"])
    assert (shown["ancestor"], shown["transformations"]) == (str(finished), 3)
    assert str(finished) in cli.text("network", "status", made["network"])


def test_a_network_with_its_results_goes_into_one_file(cli: CommandLine, finished: ScopedKey, tmp_path: Path) -> None:
    file = tmp_path / "archive.json.zst"
    written = cli.json("network", "archive", finished, "--out", file)
    assert written["bytes"] == file.stat().st_size
    assert type(documents.read(file)).__qualname__ == "AlchemicalArchive"


def test_the_demo_s_report_is_a_document_and_tables(client: AlchemiscaleClient, finished: ScopedKey) -> None:
    report = demo_report.collect(client, finished)
    document = json.loads(json.dumps(plain(report.document())))
    (edge,) = document["transformations"]
    assert (edge["name"], edge["repeats"], edge["reference"]) == ("=salted", 2, None)
    assert (document["cycles"], document["failed"]) == ([], [])
    text = io.StringIO()
    demo_report.show(report, Console(file=text, width=80))
    assert f"{edge['estimate']:.2f}" in text.getvalue()
