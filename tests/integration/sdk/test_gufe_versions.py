"""Networks and results written by another version of gufe, under keys that ours would not give them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import zstandard
from sqlalchemy import text

from alchemiscale_prefect import AlchemiscaleClient, ScopedKey
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from alchemiscale_prefect.chemistry.versions import GUFE_LINE, GUFE_VERSION
from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.errors import InvalidKeyedChain
from alchemiscale_prefect.services import submission
from tests import protocols
from tests.chains import with_other_keys
from tests.integration.sdk.conftest import SCOPES

Work = Callable[[], int]
HERE, THERE, _ = SCOPES
OTHER_VERSION = f"{GUFE_LINE}.99"


@pytest.fixture
def written() -> AlchemicalNetwork:
    protocol = protocols.ExtendingProtocol(protocols.FanOutSettings(n_samples=2))
    return protocols.chain_network(2, protocol, name="of another time")


@pytest.fixture
def document(written: AlchemicalNetwork) -> Any:
    return with_other_keys(json.loads(keyed_chains.to_json(written)))


@pytest.fixture
def written_key(system: System, document: Any) -> ScopedKey:
    somebody = Principal.writing("somebody", IdentityKind.user, [HERE])
    return submission.create_network(system.database, somebody, document, HERE, gufe_version=OTHER_VERSION)


@pytest.fixture
def complete(client: AlchemiscaleClient, written_key: ScopedKey, work: Work) -> list[ScopedKey]:
    """A complete Task of each Transformation."""
    tasks = client.create_transformations_tasks(client.get_network_transformations(written_key))
    client.action_tasks(tasks, written_key)
    assert work() == len(tasks) == 3
    return tasks


def test_results_are_under_the_keys_of_the_server(
    client: AlchemiscaleClient, written: AlchemicalNetwork, written_key: ScopedKey, complete: list[ScopedKey]
) -> None:
    assert client.get_network(written_key) == written
    theirs = set(client.get_network_transformations(written_key))
    assert {key.gufe_key for key in theirs}.isdisjoint(str(edge.key) for edge in written.edges)
    results = client.get_network_results(written_key)
    assert set(results) == theirs
    assert all(result is not None for result in results.values())
    archive = client.get_network_archive(written_key)
    assert archive is not None
    assert archive.network == written
    assert {edge for edge, _ in archive.transformation_results} == written.edges
    assert [len(found) for _, found in archive.transformation_results] == [1, 1, 1]


def test_copies_and_extensions_keep_the_keys_and_with_them_the_results(
    client: AlchemiscaleClient, written: AlchemicalNetwork, written_key: ScopedKey, complete: list[ScopedKey]
) -> None:
    theirs = {key.gufe_key for key in client.get_network_transformations(written_key)}
    renamed = client.copy_network(written_key, THERE, name="renamed")
    assert {key.gufe_key for key in client.get_network_transformations(renamed)} == theirs
    assert client.get_network(renamed) == AlchemicalNetwork(written.edges, name="renamed")
    assert client.get_network_status(renamed, visualize=False) == {"complete": 3}

    more = protocols.transformation(name="more")
    larger = client.extend_network(written_key, [more])
    assert {key.gufe_key for key in client.get_network_transformations(larger)} == theirs | {str(more.key)}
    assert client.get_network(larger) == AlchemicalNetwork([*written.edges, more], name=written.name)
    assert client.get_network_status(larger, visualize=False) == {"complete": 3}


def test_a_result_is_read_as_what_its_run_wrote(
    client: AlchemiscaleClient, system: System, written_key: ScopedKey, complete: list[ScopedKey], work: Work
) -> None:
    task = complete[0]
    with system.database.transaction() as connection:
        location, version = connection.execute(
            text("select location, gufe_version from result r join task t on t.id = r.task_id where t.key = :key"),
            {"key": task.gufe_key},
        ).one()
    assert version == GUFE_VERSION
    (before,) = client.get_task_results(task)
    chain = json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(system.objects.get(location)))
    changed = json.dumps(with_other_keys(chain)).encode()
    system.objects.put(location, zstandard.ZstdCompressor().compress(changed))

    def recorded(version: str | None) -> None:
        with system.database.transaction() as connection:
            connection.execute(
                text("update result set gufe_version = :version where location = :location"),
                {"version": version, "location": location},
            )

    settings = {**client._settings(), "use_local_cache": False, "cache_directory": None}
    with AlchemiscaleClient(**settings) as another:
        recorded(None)
        with pytest.raises(InvalidKeyedChain, match="does not fit its key"):
            another.get_task_results(task)
        recorded(OTHER_VERSION)
        (found,) = another.get_task_results(task)
        assert found.protocol_unit_results[-1].outputs == before.protocol_unit_results[-1].outputs

    # and a Task that extends it starts from it
    (child,) = client.create_tasks(client.get_task_transformation(task), extends=task)
    client.action_tasks([child], written_key)
    assert work() == 1
    assert client.get_tasks_status([child]) == ["complete"]
