import pytest

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, NonTransformation, Transformation
from alchemiscale_prefect.chemistry.networks import check_no_self_transformations, transformations_by_key
from tests import protocols

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
