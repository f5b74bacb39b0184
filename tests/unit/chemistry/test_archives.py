"""AlchemicalArchive: gufe's own, or on gufe 0.4 the one that stands in for it."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from alchemiscale_prefect.chemistry.base import (
    AlchemicalArchive,
    AlchemicalNetwork,
    ProtocolDAGResult,
)
from alchemiscale_prefect.chemistry.versions import GUFE_VERSION
from tests import protocols
from tests.protocol_runs import run_transformation

Entries = list[tuple[Any, list[ProtocolDAGResult]]]
NETWORK = protocols.chain_network(2, name="archived")


@pytest.fixture(autouse=True)
def _allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALCHEMISCALE_ALLOWED_MODULES", "tests")


@pytest.fixture
def entries(tmp_path: Path) -> Entries:
    edges = sorted(NETWORK.edges, reverse=True)
    return [(edges[0], [run_transformation(edges[0], tmp_path) for _ in range(2)]), *((edge, []) for edge in edges[1:])]


def test_an_archive_orders_what_it_has(entries: Entries) -> None:
    archive = AlchemicalArchive(NETWORK, entries, metadata={"a": 1})
    assert archive.network is NETWORK
    assert (archive.metadata, archive.version_gufe) == ({"a": 1}, GUFE_VERSION)
    assert [entry[0] for entry in archive.transformation_results] == sorted(NETWORK.edges)
    edge, results = entries[0]
    assert {entry[0]: entry[1] for entry in archive.transformation_results}[edge] == sorted(results)
    same = AlchemicalArchive(NETWORK, [(edge, [*results, results[0]]), *reversed(entries[1:])], metadata={"a": 1})
    assert same == archive
    assert AlchemicalArchive(NETWORK, entries).metadata == {}


@pytest.mark.filterwarnings("ignore:mode='.' specified with StringIO")  # gufe says so of every open file
def test_an_archive_is_written_and_read(entries: Entries, tmp_path: Path) -> None:
    archive = AlchemicalArchive(NETWORK, entries, metadata={"nested": [{"a": None}, 1.5], "text": "ü"})
    text = archive.to_json()
    chain = json.loads(text)
    assert chain[-1][0] == str(archive.key)
    assert {"network", "transformation_results", "metadata", "version_gufe"} <= set(chain[-1][1])
    file = tmp_path / "archive.json"
    assert archive.to_json(file) is None
    with io.StringIO() as stream:
        archive.to_json(stream)
        stream.seek(0)
        read = [AlchemicalArchive.from_json(file), AlchemicalArchive.from_json(stream)]
    read.append(AlchemicalArchive.from_json(content=text))
    for again in read:
        assert again == archive
        assert again.network == NETWORK
        assert again.metadata == archive.metadata
        found = [[str(result.key) for result in entry[1]] for entry in again.transformation_results]
        assert found == [[str(result.key) for result in entry[1]] for entry in archive.transformation_results]


def test_what_does_not_belong_into_an_archive_is_refused(entries: Entries) -> None:
    other = protocols.transformation(name="of another network")
    with pytest.raises(ValueError, match=r"not in the network|was not found in"):
        AlchemicalArchive(NETWORK, [*entries, (other, [])])
    with pytest.raises(ValueError, match=r"twice|Duplicate"):
        AlchemicalArchive(NETWORK, [*entries, entries[0]])


def test_an_archive_of_another_gufe_is_read_with_a_warning() -> None:
    text = AlchemicalArchive(AlchemicalNetwork(), [], version_gufe="0.1.0").to_json()
    with pytest.warns(UserWarning, match=r"0\.1\.0"):
        assert AlchemicalArchive.from_json(content=text).version_gufe == "0.1.0"


def test_what_is_no_archive_is_not_read_as_one() -> None:
    text = AlchemicalArchive(AlchemicalNetwork(), []).to_json()
    with pytest.raises(ValueError, match="file"):
        AlchemicalArchive.from_json()
    with pytest.raises(ValueError, match="file"):
        AlchemicalArchive.from_json(file="somewhere", content=text)
