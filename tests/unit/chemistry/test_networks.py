"""Networks: checked before they are sent, and made of what the server has."""

import json
from typing import Any

import pytest

from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.chemistry.allowed_modules import AllowedModules
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, NonTransformation, Transformation
from alchemiscale_prefect.chemistry.networks import (
    check_no_self_transformations,
    extended,
    network_pair,
    transformations_by_key,
)
from alchemiscale_prefect.chemistry.versions import GUFE_LINE
from alchemiscale_prefect.domain.errors import GufeVersionConflict
from tests import protocols
from tests.chains import network_chain, with_other_keys

PROTOCOL = protocols.FanOutProtocol(protocols.FanOutSettings())


def test_a_network_with_a_non_transformation_passes() -> None:
    check_no_self_transformations(protocols.chain_network(3))
    check_no_self_transformations(AlchemicalNetwork())


def test_a_transformation_of_a_system_into_itself_is_named_and_refused() -> None:
    good = protocols.transformation()
    wrong = Transformation(
        stateA=protocols.salt_water(0.15, "salted"),
        stateB=protocols.salt_water(0.15, "salted"),
        protocol=PROTOCOL,
        name="there and back",
    )

    with pytest.raises(ValueError, match=rf"{wrong.key} \(there and back\); use a NonTransformation") as caught:
        check_no_self_transformations(AlchemicalNetwork(edges=[good, wrong]))
    assert str(good.key) not in str(caught.value)


def test_edges_are_found_by_their_key() -> None:
    system = protocols.salt_water(0.1, "salted")
    edges = [protocols.transformation(name=str(index)) for index in range(5)]
    edges.append(NonTransformation(system=system, protocol=PROTOCOL))
    network = AlchemicalNetwork(edges=edges)

    found = transformations_by_key(network)

    assert found == {str(edge.key): edge for edge in edges}
    assert list(found) == sorted(found)


# --- networks made of what the server has ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, "", "a name", 'ünïcode "quoted"'])
def test_a_network_of_keys_has_the_key_that_gufe_gives_it(name: str | None) -> None:
    alone = protocols.salt_water(0.9, "alone")
    edges = protocols.chain_network(3).edges
    network = AlchemicalNetwork(edges=edges, nodes=[alone], name=name)

    key, document = network_pair(
        (str(node.key) for node in network.nodes), map(str, transformations_by_key(network)), name
    )

    assert [key, document] == chain_of(network)[-1]


def test_a_network_is_extended_under_the_keys_that_it_has(allowed: AllowedModules) -> None:
    network = protocols.chain_network(2, name="small")
    more = protocols.transformation(name="more")
    stored = with_other_keys(chain_of(network))

    text = extended(json.dumps(stored).encode(), [more], None)

    assert text is not None
    chain = json.loads(text)
    kept = [pair for pair in stored if pair[0] != stored[-1][0]]
    assert [pair for pair in chain if pair in kept] == kept
    decoded = keyed_chains.from_json(text, allowed=allowed, gufe_version=f"{GUFE_LINE}.99")
    assert decoded == AlchemicalNetwork([*network.edges, more], name="small")


def test_extending_by_nothing_gives_nothing() -> None:
    network = protocols.chain_network(2, name="small")
    text = keyed_chains.to_json(network)
    assert extended(text, [], None) is None
    assert extended(text, sorted(network.edges)[:1], "small") is None
    renamed = extended(text, [], "large")
    assert renamed is not None
    assert json.loads(renamed)[-1][0] == str(AlchemicalNetwork(network.edges, name="large").key)


def test_a_network_of_the_other_line_is_not_extended() -> None:
    chain = network_chain(line="0" if GUFE_LINE == "1" else "1")
    with pytest.raises(GufeVersionConflict, match="not interchangeable"):
        extended(json.dumps(chain).encode(), [protocols.transformation()], None)


def chain_of(network: AlchemicalNetwork) -> list[list[Any]]:
    chain: list[list[Any]] = json.loads(keyed_chains.to_json(network))
    return chain
