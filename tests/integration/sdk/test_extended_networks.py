"""Living networks: larger ones made of smaller ones, with what these have computed."""

from collections.abc import Callable

import pytest

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, Scope, ScopedKey
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, NonTransformation, Transformation
from tests import protocols
from tests.integration.sdk.conftest import FOREIGN

Work = Callable[[], int]


@pytest.fixture
def edge() -> Transformation:
    return protocols.transformation(name="the first edge")


@pytest.fixture
def more() -> list[Transformation]:
    """Further edges, which share a ChemicalSystem with the first."""
    wetter = protocols.salt_water(0.5, "wetter")
    first = protocols.transformation()
    return [
        Transformation(stateA=first.stateB, stateB=wetter, protocol=first.protocol, name="the second edge"),
        NonTransformation(system=wetter, protocol=first.protocol, name="at rest"),
    ]


def test_an_extended_network_has_the_results_of_its_ancestor(
    client: AlchemiscaleClient, scope: Scope, work: Work, edge: Transformation, more: list[Transformation]
) -> None:
    network = AlchemicalNetwork([edge], name="living")
    first = client.create_network(network, scope)
    client.set_network_weight(first, 0.75)
    done, waiting = client.create_tasks(ScopedKey.of(str(edge.key), scope), count=2)
    client.action_tasks([done], first)
    assert work() == 1
    client.action_tasks([waiting], first)

    second = client.extend_network(str(first), more)

    expected = AlchemicalNetwork([edge, *more], name="living")
    assert second == ScopedKey.of(str(expected.key), scope)
    assert client.get_network(second) == expected
    assert client.get_network_weight(second) == 0.75
    assert client.get_network_ancestors(second) == [first]
    # the same Tasks and results, none of them made again; actioned where they were
    assert set(client.get_network_tasks(second)) == {done, waiting}
    shared = ScopedKey.of(str(edge.key), scope)
    assert client.get_network_results(second)[shared] is not None
    assert client.get_network_actioned_tasks(second) == []
    assert client.get_network_actioned_tasks(first) == [waiting]
    assert client.action_tasks([waiting], second) == [waiting]

    third = client.extend_network(second, [], name="grown up")
    assert client.get_network(third) == AlchemicalNetwork(expected.edges, name="grown up")
    assert client.get_network_ancestors(str(third)) == [second, first]
    assert client.get_network_ancestors(first) == []


def test_nothing_new_makes_no_network(
    client: AlchemiscaleClient, scope: Scope, edge: Transformation, more: list[Transformation]
) -> None:
    key = client.create_network(AlchemicalNetwork([edge, *more], name="whole"), scope)
    before = client.query_networks(state=None)
    for added in ([], [edge], iter([edge, *more])):
        assert client.extend_network(key, added, visualize=False) == key
    assert client.extend_network(key, more, name="whole") == key
    assert client.query_networks(state=None) == before
    # one that was made otherwise stays as it is
    part = client.create_network(AlchemicalNetwork([edge], name="whole"), scope)
    assert client.extend_network(part, more) == key
    assert client.get_network_ancestors(key) == []


def test_nodes_without_edges_stay(client: AlchemiscaleClient, scope: Scope, edge: Transformation) -> None:
    alone = protocols.salt_water(0.9, "alone")
    network = AlchemicalNetwork([protocols.transformation(name="another")], nodes=[alone])
    key = client.create_network(network, scope)
    larger = client.extend_network(key, [edge])
    assert client.get_network(larger) == AlchemicalNetwork([*network.edges, edge], nodes=[alone])
    assert client.get_network(larger).nodes >= {alone}


def test_what_cannot_be_added(
    client: AlchemiscaleClient,
    other_client: AlchemiscaleClient,
    scope: Scope,
    network_key: ScopedKey,
    edge: Transformation,
) -> None:
    circular = Transformation(stateA=edge.stateA, stateB=edge.stateA, protocol=edge.protocol)
    before = client.query_networks(state=None)
    for wrong, message in [
        ([edge.stateA], "`transformations` must be Transformations, not a ChemicalSystem"),
        (edge, "`transformations` must be a list of Transformations; got one"),
        ([circular], "use a NonTransformation instead"),
    ]:
        with pytest.raises(ValueError, match=message):
            client.extend_network(network_key, wrong)  # type: ignore[arg-type]
    missing = ScopedKey.of("AlchemicalNetwork-0123456789abcdef", scope)
    for somebody, key, message in [
        (client, missing, "Status Code 400 : Bad Request : 'No such object in database'"),
        (other_client, network_key, "Targeted scope"),
        (client, ScopedKey.of(network_key.gufe_key, FOREIGN), "Targeted scope"),
    ]:
        with pytest.raises(AlchemiscaleClientError, match=message):
            somebody.extend_network(key, [edge])
    assert client.query_networks(state=None) == before
