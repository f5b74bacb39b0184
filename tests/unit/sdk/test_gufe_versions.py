"""Objects written by another version of gufe, which gave them other keys: taken where the API says so."""

import json
from typing import Any

import pytest

from alchemiscale_prefect import AlchemiscaleClient, Scope, ScopedKey
from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from alchemiscale_prefect.chemistry.versions import GUFE_LINE, GUFE_VERSION
from alchemiscale_prefect.domain.errors import InvalidKeyedChain
from alchemiscale_prefect.wire import objects as wire
from tests import protocols
from tests.chains import with_other_keys
from tests.unit.sdk.conftest import Answer, ScriptedServer

SCOPE = Scope("my_org", "my_campaign", "my_project")
OTHER_VERSION = f"{GUFE_LINE}.99"


@pytest.fixture
def network() -> AlchemicalNetwork:
    return protocols.chain_network(2)


@pytest.fixture
def document(network: AlchemicalNetwork) -> Any:
    return with_other_keys(json.loads(keyed_chains.to_json(network)))


@pytest.fixture
def key(document: Any) -> ScopedKey:
    return ScopedKey.of(document[-1][0], SCOPE)


def test_an_object_of_another_version_is_taken_and_kept_with_its_version(
    client: AlchemiscaleClient, server: ScriptedServer, network: AlchemicalNetwork, document: Any, key: ScopedKey
) -> None:
    server.answers = [Answer(body=document, headers={wire.GUFE_VERSION: f"{OTHER_VERSION}, {GUFE_VERSION}"})]
    found = client.get_network(key)
    assert found == network
    assert str(found.key) != key.gufe_key
    # another client has it from the disk, and knows as much
    assert AlchemiscaleClient(**client._settings()).get_network(key) == network
    assert len(server.received) == 1


@pytest.mark.parametrize("headers", [{}, {wire.GUFE_VERSION: GUFE_VERSION}])
def test_an_object_of_this_version_must_fit_its_key(
    client: AlchemiscaleClient, server: ScriptedServer, document: Any, key: ScopedKey, headers: dict[str, str]
) -> None:
    server.answers = [Answer(body=document, headers=headers)]
    with pytest.raises(InvalidKeyedChain, match="does not fit its key"):
        client.get_network(key)
