"""Networks and results over the wire: written, read, checked, kept on disk."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, ResultFormat, Scope, ScopedKey
from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, ProtocolDAGResult, Transformation
from alchemiscale_prefect.chemistry.versions import GUFE_VERSION
from alchemiscale_prefect.domain.errors import InvalidKeyedChain, ModuleNotAllowed
from tests import protocols
from tests.protocol_runs import run_transformation
from tests.unit.sdk.conftest import Answer, ScriptedServer

SCOPE = Scope("my_org", "my_campaign", "my_project")


@pytest.fixture(scope="module")
def network() -> AlchemicalNetwork:
    return protocols.chain_network(3)


def chain(obj: Any) -> Any:
    return json.loads(keyed_chains.to_json(obj))


def key_of(obj: Any) -> ScopedKey:
    return ScopedKey.of(str(obj.key), SCOPE)


def cache_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/??/*"))


# --- submission ---


@pytest.mark.parametrize("compress", [True, False, 9])
def test_a_network_is_sent_as_its_keyed_chain(
    client: AlchemiscaleClient, server: ScriptedServer, network: AlchemicalNetwork, compress: bool | int
) -> None:
    server.answers = [Answer(body=key_of(network).to_dict())]
    assert client.create_network(network, SCOPE, state="inactive", compress=compress) == key_of(network)
    assert server.sent() == [
        (
            "POST",
            "/networks",
            {
                "network": chain(network),
                "scope": {"org": "my_org", "campaign": "my_campaign", "project": "my_project"},
                "state": "inactive",
                "gufe_version": GUFE_VERSION,
            },
        )
    ]
    assert ("Content-Encoding" in server.received[0].headers) == bool(compress)


def test_a_network_that_cannot_be_sent(client: AlchemiscaleClient, server: ScriptedServer) -> None:
    network = protocols.chain_network(1)
    system = protocols.salt_water(0.1, "one")
    protocol = protocols.FanOutProtocol(protocols.FanOutSettings())
    circular = AlchemicalNetwork(edges=[Transformation(stateA=system, stateB=system, protocol=protocol)])
    wildcards = r"`scope` 'my_org-\*-\*' contains wildcards \('\*'\); `scope` must be \*specific\*"
    for arguments, message in [
        ((network, Scope("my_org")), wildcards),
        ((network, SCOPE, "notastate"), "'notastate' is not a valid state"),
        ((circular, SCOPE), "NonTransformation"),
        ((system, SCOPE), "`network` must be an AlchemicalNetwork, not a ChemicalSystem"),
        ((network, SCOPE, "active", 10), "`compress` must be a bool or an integer between 0 and 9"),
    ]:
        with pytest.raises(ValueError, match=message):
            client.create_network(*arguments)  # type: ignore[arg-type]
    assert not server.received
    assert server.logins == 0


# --- retrieval ---


def test_a_network_comes_back_and_is_asked_for_once(
    client: AlchemiscaleClient, server: ScriptedServer, network: AlchemicalNetwork
) -> None:
    key = key_of(network)
    server.answers = [Answer(body=chain(network))]
    found = client.get_network(key)
    # equal objects alive in one process are one object, of which gufe keeps the first
    assert found is protocols.registered(network)
    assert client.get_network(str(key)) is protocols.registered(network)
    assert [request.path for request in server.received] == [f"/networks/{key}"]


def test_another_client_finds_it_on_disk(
    client: AlchemiscaleClient, server: ScriptedServer, network: AlchemicalNetwork
) -> None:
    server.answers = [Answer(body=chain(network))]
    client.get_network(key_of(network))
    another = AlchemiscaleClient(**client._settings())
    assert another.get_network(key_of(network)) == network
    assert len(server.received) == 1


def test_without_a_cache_it_is_asked_for_again(
    client: AlchemiscaleClient, server: ScriptedServer, network: AlchemicalNetwork, tmp_path: Path
) -> None:
    settings = {**client._settings(), "use_local_cache": False, "cache_directory": None}
    server.answers = [Answer(body=chain(network))] * 2
    for _ in range(2):
        with AlchemiscaleClient(**settings) as another:
            another.get_network(key_of(network), compress=False, visualize=False)
    assert [request.headers["Accept-Encoding"] for request in server.received] == ["identity"] * 2
    assert cache_files(tmp_path) == []


@pytest.mark.parametrize("damage", [b"", b"\x00\x00\x00\x00", b"something else"])
def test_what_the_cache_has_damaged_is_fetched_anew(
    client: AlchemiscaleClient, server: ScriptedServer, network: AlchemicalNetwork, tmp_path: Path, damage: bytes
) -> None:
    key = key_of(network)
    server.answers = [Answer(body=chain(network))] * 2
    client.get_network(key)
    (file,) = cache_files(tmp_path)
    file.write_bytes(damage)
    another = AlchemiscaleClient(**client._settings())
    warning = rf"Error decompressing cached AlchemicalNetwork \({key}\), deleting entry and retrieving new content\."
    with pytest.warns(UserWarning, match=warning):
        assert another.get_network(key) == network
    another.close()
    assert len(server.received) == 2
    assert AlchemiscaleClient(**client._settings()).get_network(key) == network
    assert len(server.received) == 2


@pytest.mark.parametrize("first_line", [b"", b"\n", f"{GUFE_VERSION}\n".encode(), b"0.1\n"])
def test_what_is_on_disk_but_not_what_its_key_says_is_fetched_anew(
    client: AlchemiscaleClient, server: ScriptedServer, network: AlchemicalNetwork, first_line: bytes
) -> None:
    client._cache.set(str(key_of(network)), first_line + keyed_chains.compress(protocols.chain_network(1)))
    server.answers = [Answer(body=chain(network))]
    with pytest.warns(UserWarning, match="deleting entry and retrieving new content"):
        assert client.get_network(key_of(network)) == network


def test_an_object_that_is_not_what_its_key_says_is_refused(
    client: AlchemiscaleClient, server: ScriptedServer, network: AlchemicalNetwork
) -> None:
    other = protocols.chain_network(2)
    forged = chain(network)
    forged[-1][1]["name"] = "another"
    server.answers = [Answer(body=chain(other)), Answer(body=forged)]
    for _ in range(2):
        with pytest.raises(InvalidKeyedChain, match=str(network.key)):
            AlchemiscaleClient(**{**client._settings(), "use_local_cache": False}).get_network(key_of(network))


def test_a_document_with_a_foreign_module_is_refused_before_any_import(
    client: AlchemiscaleClient, server: ScriptedServer, network: AlchemicalNetwork
) -> None:
    document = chain(network)
    document[0][1]["__module__"] = "antigravity"
    server.answers = [Answer(body=document)]
    with pytest.raises(ModuleNotAllowed, match="antigravity"):
        client.get_network(key_of(network))


def test_transformations_and_chemical_systems(
    client: AlchemiscaleClient, server: ScriptedServer, network: AlchemicalNetwork
) -> None:
    edge = next(iter(network.edges))
    system = next(iter(network.nodes))
    server.answers = [Answer(body=chain(edge)), Answer(body=chain(system))]
    assert client.get_transformation(key_of(edge)) == edge
    assert client.get_chemicalsystem(str(key_of(system)), visualize=False) == system
    assert [request.path for request in server.received] == [
        f"/transformations/{key_of(edge)}",
        f"/chemicalsystems/{key_of(system)}",
    ]


def test_an_object_that_is_not_there(client: AlchemiscaleClient, server: ScriptedServer) -> None:
    server.answers = [Answer(400, {"detail": "'No such object in database'", "code": "not_found"})] * 2
    for _ in range(2):
        with pytest.raises(AlchemiscaleClientError, match="Status Code 400 : Bad Request : 'No such object in"):
            client.get_transformation("Transformation-0-my_org-my_campaign-my_project")
    assert len(server.received) == 2


# --- results ---


@pytest.fixture(scope="module")
def edge() -> Transformation:
    return protocols.transformation(name="with results")


@pytest.fixture(scope="module")
def results(edge: Transformation, tmp_path_factory: pytest.TempPathFactory) -> list[ProtocolDAGResult]:
    return [run_transformation(edge, tmp_path_factory.mktemp("run")) for _ in range(2)]


def reference(n: int) -> ScopedKey:
    return ScopedKey.of(f"ProtocolDAGResultRef-{n:032x}", SCOPE)


def listed(*numbers: int) -> Answer:
    return Answer(body=[str(reference(n)) for n in numbers])


def sent(result: ProtocolDAGResult) -> Answer:
    return Answer(body=keyed_chains.compress(result), headers={"Content-Type": "application/zstd"})


@pytest.fixture
def one_by_one(client: AlchemiscaleClient) -> AlchemiscaleClient:
    """A client that asks for one thing at a time, so that a scripted server knows what comes."""
    client._transport.max_workers = 1
    return client


def test_results_of_a_transformation_in_each_format(
    one_by_one: AlchemiscaleClient, server: ScriptedServer, edge: Transformation, results: list[ProtocolDAGResult]
) -> None:
    server.answers = [listed(1, 2), sent(results[0]), sent(results[1]), Answer(body=chain(edge))]
    result = one_by_one.get_transformation_results(key_of(edge))
    assert server.received[1].headers["Accept"] == "application/zstd"
    assert [request.path for request in server.received] == [
        f"/transformations/{key_of(edge)}/results",
        f"/transformations/{key_of(edge)}/results/{reference(1)}",
        f"/transformations/{key_of(edge)}/results/{reference(2)}",
        f"/transformations/{key_of(edge)}",
    ]
    assert result.get_estimate().m_as("kilojoule_per_mole") == pytest.approx(-12.5, abs=1.0)  # type: ignore[union-attr]
    assert result.n_protocol_dag_results == 2  # type: ignore[union-attr]

    # the results are on disk now, the Transformation in memory: only the listing is asked for
    server.answers = [listed(1, 2)] * 3
    singles = one_by_one.get_transformation_results(key_of(edge), return_as="ProtocolResults")
    assert [single.n_protocol_dag_results for single in singles] == [1, 1]  # type: ignore[union-attr]
    raw = one_by_one.get_transformation_results(key_of(edge), return_as=ResultFormat.PROTOCOL_DAG_RESULTS)
    assert raw == results
    with pytest.warns(DeprecationWarning, match="Use 'return_as' instead") as record:
        assert one_by_one.get_transformation_results(key_of(edge), return_protocoldagresults=True) == results
    assert len(record) == 1
    assert len(server.received) == 7


def test_no_results(client: AlchemiscaleClient, server: ScriptedServer, edge: Transformation) -> None:
    server.answers = [Answer(body=[])] * 4
    assert client.get_transformation_results(key_of(edge)) is None
    assert client.get_transformation_results(key_of(edge), return_as="ProtocolResults") == []
    assert client.get_transformation_results(key_of(edge), return_as="ProtocolDAGResults") == []
    assert client.get_transformation_failures(key_of(edge)) == []
    assert len(server.received) == 4


def test_failures_have_their_tracebacks(one_by_one: AlchemiscaleClient, server: ScriptedServer, tmp_path: Path) -> None:
    failing = protocols.transformation(protocols.FailingProtocol(protocols.FailingSettings()), name="failing")
    failure = run_transformation(failing, tmp_path / "run")
    server.answers = [listed(3), sent(failure)]
    (found,) = one_by_one.get_transformation_failures(key_of(failing))
    assert not found.ok()
    assert "Particle coordinate is NaN" in found.protocol_unit_failures[0].traceback
    assert server.received[1].path == f"/transformations/{key_of(failing)}/failures/{reference(3)}"


def test_results_of_a_task(
    one_by_one: AlchemiscaleClient, server: ScriptedServer, edge: Transformation, results: list[ProtocolDAGResult]
) -> None:
    task = ScopedKey.of("Task-0f", SCOPE)
    server.answers = [Answer(body=str(key_of(edge))), listed(1), sent(results[0])]
    assert one_by_one.get_task_results(task) == results[:1]
    server.answers = [Answer(body=str(key_of(edge))), Answer(body=[])]
    assert one_by_one.get_task_failures(str(task)) == []
    assert [request.path for request in server.received] == [
        f"/tasks/{task}/transformation",
        f"/tasks/{task}/results",
        f"/transformations/{key_of(edge)}/results/{reference(1)}",
        f"/tasks/{task}/transformation",
        f"/tasks/{task}/failures",
    ]


def test_results_of_a_network_have_every_transformation(
    one_by_one: AlchemiscaleClient, server: ScriptedServer, edge: Transformation, results: list[ProtocolDAGResult]
) -> None:
    network, empty = ScopedKey.of("AlchemicalNetwork-1", SCOPE), ScopedKey.of("Transformation-2", SCOPE)
    transformations = Answer(body=[str(key_of(edge)), str(empty)])
    server.answers = [transformations, listed(1, 2), Answer(body=chain(edge)), *map(sent, results), Answer(body=[])]
    found = one_by_one.get_network_results(network)
    assert list(found) == [key_of(edge), empty]
    assert found[key_of(edge)].n_protocol_dag_results == 2  # type: ignore[union-attr]
    assert found[empty] is None

    server.answers = [transformations, listed(1, 2), Answer(body=[])]
    raw = one_by_one.get_network_results(network, return_as="ProtocolDAGResults")
    assert raw == {key_of(edge): results, empty: []}
    server.answers = [transformations, Answer(body=[]), Answer(body=[])]
    assert one_by_one.get_network_failures(network) == {key_of(edge): [], empty: []}


def test_a_damaged_result_on_disk_is_fetched_anew(
    one_by_one: AlchemiscaleClient,
    server: ScriptedServer,
    edge: Transformation,
    results: list[ProtocolDAGResult],
    tmp_path: Path,
) -> None:
    server.answers = [listed(1), sent(results[0])]
    one_by_one.get_transformation_results(key_of(edge), return_as="ProtocolDAGResults")
    (file,) = cache_files(tmp_path)
    file.write_bytes(file.read_bytes()[:-1])
    server.answers = [listed(1), sent(results[0])]
    with pytest.warns(UserWarning, match="Error decompressing cached ProtocolDAGResultRef"):
        found = one_by_one.get_transformation_results(key_of(edge), return_as="ProtocolDAGResults")
    assert found == results[:1]
    assert len(server.received) == 4


def test_progress_is_shown_on_a_terminal_only(
    one_by_one: AlchemiscaleClient,
    server: ScriptedServer,
    network: AlchemicalNetwork,
    edge: Transformation,
    results: list[ProtocolDAGResult],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def calls(visualize: bool) -> str:
        one_by_one._cache.clear()
        server.answers = [
            Answer(body=key_of(network).to_dict()),
            listed(1),
            sent(results[0]),
        ]
        one_by_one.create_network(network, SCOPE, visualize=visualize)
        one_by_one.get_transformation_results(key_of(edge), return_as="ProtocolDAGResults", visualize=visualize)
        return capsys.readouterr().out

    assert calls(True) == ""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    assert calls(False) == ""
    shown = calls(True)
    assert f"Submitting '{key_of(network)}'..." in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert "1/1" in shown
