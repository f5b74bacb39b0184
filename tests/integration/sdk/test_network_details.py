"""Client: what a listing of networks shows."""

import pytest

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, ScopedKey
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from tests.integration.sdk.conftest import SCOPES, USER


def test_the_details_of_networks_are_in_the_order_asked_for(
    client: AlchemiscaleClient,
    network: AlchemicalNetwork,
    incomplete: AlchemicalNetwork,
    network_key: ScopedKey,
    transformation_key: ScopedKey,
) -> None:
    client.create_tasks(transformation_key, count=3)
    client.set_network_weight(network_key, 0.25)
    missing = ScopedKey.of("AlchemicalNetwork-" + "0" * 32, SCOPES[0])
    part = ScopedKey.of(str(incomplete.key), SCOPES[1])
    of_part, none, whole = client.get_networks_details([part, str(missing), network_key], batch_size=2)
    assert none is None
    assert whole is not None
    assert of_part is not None
    assert (whole.network, whole.name, whole.state, whole.weight) == (network_key, network.name, "active", 0.25)
    assert (whole.transformations, whole.status, whole.ancestor) == (len(network.edges), {"waiting": 3}, None)
    assert (of_part.network, of_part.name, of_part.state, of_part.weight) == (part, "incomplete", "inactive", 0.5)
    assert (of_part.transformations, of_part.status) == (len(incomplete.edges), {})
    assert whole.datetime_created.tzinfo is not None
    assert whole.creator not in ("", USER)


def test_the_details_of_networks_in_a_foreign_scope_are_refused(other_client: AlchemiscaleClient) -> None:
    key = ScopedKey.of("AlchemicalNetwork-" + "0" * 32, SCOPES[0])
    with pytest.raises(AlchemiscaleClientError) as refusal:
        other_client.get_networks_details([key])
    assert (refusal.value.status_code, refusal.value.code) == (401, "not_authorized")
