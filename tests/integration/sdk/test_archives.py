"""Archives: a network and its results in one object."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, Scope, ScopedKey
from alchemiscale_prefect.chemistry.base import AlchemicalArchive, AlchemicalNetwork, NonTransformation
from alchemiscale_prefect.chemistry.versions import GUFE_VERSION
from tests import protocols
from tests.integration.sdk.conftest import FOREIGN

Work = Callable[[], int]


def test_an_archive_has_every_transformation_and_every_ok_result(
    client: AlchemiscaleClient, scope: Scope, work: Work, tmp_path: Path
) -> None:
    edge = protocols.transformation(name="computed")
    failing = protocols.transformation(protocols.FailingProtocol(protocols.FailingSettings()), name="failing")
    rest = NonTransformation(system=edge.stateA, protocol=edge.protocol, name="at rest")
    network = AlchemicalNetwork([edge, failing, rest], name="archived")
    key = client.create_network(network, scope)
    computed, failed = (ScopedKey.of(str(one.key), scope) for one in (edge, failing))
    tasks = [*client.create_tasks(computed, count=2), *client.create_tasks(failed)]
    client.action_tasks(tasks, key)
    work()

    archive = client.get_network_archive(str(key), metadata={"doi": "10.0/0", "numbers": [1, 2.5, None]})

    assert isinstance(archive, AlchemicalArchive)
    assert archive.network == network
    assert archive.version_gufe == GUFE_VERSION
    assert archive.metadata == {"doi": "10.0/0", "numbers": [1, 2.5, None]}
    found = {entry[0]: list(entry[1]) for entry in archive.transformation_results}
    expected = client.get_transformation_results(computed, return_as="ProtocolDAGResults")
    assert found == {edge: sorted(expected), failing: [], rest: []}  # type: ignore[arg-type, type-var]

    file = tmp_path / "archive.json"
    archive.to_json(file)
    assert json.loads(file.read_text())[-1][0] == str(archive.key)
    again = AlchemicalArchive.from_json(file)
    assert again == archive
    assert again.transformation_results[0][0] in network.edges


def test_get_network_archives(client: AlchemiscaleClient, scope: Scope, network_key: ScopedKey) -> None:
    (inactive,) = client.query_networks(scope=scope, state="inactive")
    missing = ScopedKey.of("AlchemicalNetwork-0123456789abcdef", scope)
    archives = client.get_network_archives(
        [inactive, missing, str(network_key)], metadata=[None, {"n": 1}, {"n": 2}], visualize=False
    )
    assert [archive and str(archive.network.key) for archive in archives] == [
        inactive.gufe_key,
        None,
        network_key.gufe_key,
    ]
    assert [archive and archive.metadata for archive in archives] == [{}, None, {"n": 2}]
    assert client.get_network_archive(missing) is None
    assert client.get_network_archives([]) == []
    with pytest.raises(AlchemiscaleClientError, match="not accessible"):
        client.get_network_archive(ScopedKey.of(network_key.gufe_key, FOREIGN))


def test_get_network_archives_validation(network_key: ScopedKey) -> None:
    one = str(network_key)
    other = one.replace("test_org", "test_org_1")
    with AlchemiscaleClient("http://127.0.0.1:9", "nobody", "no key", use_local_cache=False, max_retries=0) as client:
        for call, message in [
            (lambda: client.get_network_archives([one, network_key]), "duplicate"),
            (
                lambda: client.get_network_archives([one], metadata={"a": 1}),  # type: ignore[arg-type]
                "`metadata` must be a list/sequence of dictionaries or None",
            ),
            (
                lambda: client.get_network_archives([one], metadata="a"),  # type: ignore[arg-type]
                "`metadata` must be a list/sequence of dictionaries or None",
            ),
            (lambda: client.get_network_archives([one, other], metadata=[None]), "same length"),
            (
                lambda: client.get_network_archives([one, other], metadata=[{}, ["a"]]),  # type: ignore[list-item]
                f"Metadata for '{other}' must be a dictionary/mapping or None",
            ),
            (
                lambda: client.get_network_archive(one, metadata={"a": object()}),
                f"Unable to serialize metadata for '{one}': ",
            ),
        ]:
            with pytest.raises(ValueError, match=message):
                call()
