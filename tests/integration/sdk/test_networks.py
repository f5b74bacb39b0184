"""Networks, Transformations and ChemicalSystems: submit, find, fetch."""

from itertools import chain

import pytest

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, NetworkStateEnum, Scope, ScopedKey
from alchemiscale_prefect.chemistry.base import (
    AlchemicalNetwork,
    ChemicalSystem,
    NonTransformation,
    Transformation,
)
from tests import protocols
from tests.integration.sdk.conftest import FOREIGN, SCOPES, USER

MISSING = "00000000000000000000000000000000-test_org-test_campaign-test_project"
NO_SUCH_OBJECT = "^Status Code 400 : Bad Request : 'No such object in database'$"


def keys_of(objects: object) -> set[str]:
    return {str(obj.key) for obj in objects}  # type: ignore[attr-defined]


def gufe_keys(keys: list[ScopedKey]) -> list[str]:
    return [key.gufe_key for key in keys]


# --- who is there ---


def test_wrong_credential(api_url: str) -> None:
    client = AlchemiscaleClient(api_url, USER, "incorrect credential", use_local_cache=False, max_retries=0)
    with pytest.raises(AlchemiscaleClientError, match=r"^Status Code 401 : Unauthorized") as info:
        client.get_info()
    assert (info.value.status_code, info.value.code) == (401, "not_authenticated")


def test_get_info(client: AlchemiscaleClient) -> None:
    assert isinstance(client.get_info(), dict)


def test_api_check(client: AlchemiscaleClient) -> None:
    client._api_check()


def test_list_scopes(client: AlchemiscaleClient) -> None:
    assert client.list_scopes() == client.get_scopes() == sorted(SCOPES)


# --- submission ---


def test_create_network(client: AlchemiscaleClient, scope: Scope, network: AlchemicalNetwork) -> None:
    smaller = AlchemicalNetwork(edges=sorted(network.edges)[4:-2], name="smaller")
    key = client.create_network(smaller, scope, state="active")
    assert key == ScopedKey.of(str(smaller.key), scope)
    assert key in client.query_networks()
    assert client.check_exists(key)
    assert client.get_network_state(key) == "active"
    assert len(client.get_network_transformations(key)) == len(smaller.edges)


def test_a_network_comes_back_equal_in_another_process(
    client: AlchemiscaleClient, client_no_cache: AlchemiscaleClient, scope: Scope
) -> None:
    def made() -> AlchemicalNetwork:
        return protocols.chain_network(2, name="once")

    key = client.create_network(made(), scope)
    # nothing of it is alive here now, so it is built anew from what the API has
    assert client_no_cache.get_network(key) == made()


def test_a_network_submitted_again_keeps_its_state_and_weight(
    client: AlchemiscaleClient, network: AlchemicalNetwork, network_key: ScopedKey, scope: Scope
) -> None:
    client.set_network_state(network_key, "inactive")
    client.set_network_weight(network_key, 0.25)
    assert client.create_network(network, scope) == network_key
    assert client.get_network_state(network_key) == "inactive"
    assert client.get_network_weight(network_key) == 0.25


def test_a_network_without_edges(client: AlchemiscaleClient, client_no_cache: AlchemiscaleClient, scope: Scope) -> None:
    network = AlchemicalNetwork(nodes=[protocols.salt_water(0.3, "alone")], name="no edges")
    key = client.create_network(network, scope, compress=False, visualize=False)
    assert client.get_network_transformations(key) == []
    assert gufe_keys(client.get_network_chemicalsystems(key)) == [str(next(iter(network.nodes)).key)]
    assert client_no_cache.get_network(key) == network


def test_a_foreign_scope_is_refused(client: AlchemiscaleClient, network: AlchemicalNetwork) -> None:
    with pytest.raises(AlchemiscaleClientError, match="Status Code 401 : Unauthorized : Targeted scope") as info:
        client.create_network(network, FOREIGN)
    assert (info.value.code, info.value.field) == ("not_authorized", "scope")


def test_check_exists(client: AlchemiscaleClient, scope: Scope) -> None:
    assert client.check_exists(client.query_networks()[0])
    assert client.check_exists(str(client.query_networks()[0]))
    assert not client.check_exists(ScopedKey.of("AlchemicalNetwork-lol", scope))
    unprocessable = r"Status Code 422 : Unprocessable .* : input does not appear to be a `ScopedKey`"
    with pytest.raises(AlchemiscaleClientError, match=unprocessable):
        client.check_exists("lol")


def test_check_exists_in_a_foreign_scope(client: AlchemiscaleClient) -> None:
    with pytest.raises(AlchemiscaleClientError, match="Status Code 401"):
        client.check_exists(ScopedKey.of("AlchemicalNetwork-lol", FOREIGN))


# --- states ---


@pytest.mark.parametrize("state", [*NetworkStateEnum, *(state.value for state in NetworkStateEnum)])
def test_set_network_state(client: AlchemiscaleClient, network_key: ScopedKey, state: NetworkStateEnum | str) -> None:
    assert client.get_network_state(network_key) == "active"
    assert client.set_network_state(network_key, state) == network_key
    assert client.get_network_state(network_key) == state


def test_set_network_state_no_network(client: AlchemiscaleClient) -> None:
    assert client.set_network_state(f"AlchemicalNetwork-{MISSING}", "active") is None


def test_set_network_state_invalid_state(client: AlchemiscaleClient, network_key: ScopedKey) -> None:
    invalid = r"Status Code 400 : Bad Request : 'notastate' is not a valid state. Valid values include: \['"
    with pytest.raises(AlchemiscaleClientError, match=invalid):
        client.set_network_state(network_key, "notastate")
    assert client.get_network_state(network_key) == "active"


def test_set_networks_state(client: AlchemiscaleClient, scope: Scope, network: AlchemicalNetwork) -> None:
    keys = [client.create_network(AlchemicalNetwork(network.edges, name=f"copy {n}"), scope) for n in range(3)]
    assert client.set_networks_state(keys, ["active", "inactive", "deleted"]) == keys
    assert client.get_networks_state([*keys, f"AlchemicalNetwork-{MISSING}"]) == ["active", "inactive", "deleted", None]
    with pytest.raises(AlchemiscaleClientError, match="Status Code 400"):
        client.set_networks_state(keys, ["active"])
    with pytest.raises(AlchemiscaleClientError, match="Status Code 400"):
        client.set_networks_state(keys, ["active", "active", "notastate"])
    assert client.get_networks_state(keys) == ["active", "inactive", "deleted"]


@pytest.mark.parametrize("state", NetworkStateEnum)
def test_get_network_state(client: AlchemiscaleClient, scope: Scope, state: NetworkStateEnum) -> None:
    key = client.create_network(protocols.chain_network(2, name=f"in state {state}"), scope, state)
    assert client.get_network_state(key) == client.get_network_state(str(key)) == state.value


def test_get_networks_state(client: AlchemiscaleClient, network_key: ScopedKey) -> None:
    (inactive,) = client.query_networks(scope=network_key.scope, state="inactive")
    asked = [inactive, f"AlchemicalNetwork-{MISSING}", network_key, str(inactive)]
    assert client.get_networks_state(asked) == ["inactive", None, "active", "inactive"]
    assert client.get_networks_state([]) == []


def test_get_network_state_no_network(client: AlchemiscaleClient) -> None:
    assert client.get_network_state(f"AlchemicalNetwork-{MISSING}") is None


# --- queries ---


def test_query_networks(client: AlchemiscaleClient, scope: Scope, network: AlchemicalNetwork) -> None:
    every = client.query_networks(state=None)
    assert len(every) == 6
    assert {key.scope for key in every} == set(SCOPES)
    active = client.query_networks(state="active")
    assert len(active) == 3
    assert set(client.query_networks()) == set(active)
    assert len(client.query_networks(state="inactive")) == 3
    assert len(client.query_networks(scope=scope, state="active|inactive")) == 2
    assert len(client.query_networks(name=network.name, state="active|inactive")) == 3
    assert len(client.query_networks(name="bench.*")) == 3
    assert client.query_networks(name="bench") == []
    assert client.query_networks(scope=FOREIGN) == []


def test_query_transformations(
    client: AlchemiscaleClient, scope: Scope, network: AlchemicalNetwork, transformation: Transformation
) -> None:
    assert len(client.query_transformations()) == len(network.edges) * 3
    assert set(gufe_keys(client.query_transformations(scope=scope))) == keys_of(network.edges)
    assert len(client.query_transformations(name=transformation.name)) == 3
    assert gufe_keys(client.query_transformations(transformation.name, scope)) == [str(transformation.key)]
    assert client.query_transformations(name=f"{transformation.name[:-1]}.") == []


def test_query_chemicalsystems(
    client: AlchemiscaleClient, scope: Scope, network: AlchemicalNetwork, chemicalsystem: ChemicalSystem
) -> None:
    assert len(client.query_chemicalsystems()) == len(network.nodes) * 3
    assert set(gufe_keys(client.query_chemicalsystems(scope=scope))) == keys_of(network.nodes)
    assert len(client.query_chemicalsystems(name=chemicalsystem.name)) == 3
    assert gufe_keys(client.query_chemicalsystems(chemicalsystem.name, scope)) == [str(chemicalsystem.key)]


# --- what belongs together ---


def test_get_network_transformations(
    client: AlchemiscaleClient, network: AlchemicalNetwork, network_key: ScopedKey
) -> None:
    found = client.get_network_transformations(network_key)
    assert len(found) == len(network.edges)
    assert set(gufe_keys(found)) == keys_of(network.edges)
    assert client.get_network_transformations(f"AlchemicalNetwork-{MISSING}") == []


def test_get_transformation_networks(
    client: AlchemiscaleClient,
    network: AlchemicalNetwork,
    incomplete: AlchemicalNetwork,
    transformation_key: ScopedKey,
) -> None:
    found = client.get_transformation_networks(transformation_key)
    assert set(gufe_keys(found)) == keys_of([network, incomplete])
    for key in found:
        assert transformation_key in client.get_network_transformations(key)


def test_get_network_chemicalsystems(
    client: AlchemiscaleClient, network: AlchemicalNetwork, network_key: ScopedKey
) -> None:
    found = client.get_network_chemicalsystems(network_key)
    assert len(found) == len(network.nodes)
    assert set(gufe_keys(found)) == keys_of(network.nodes)


def test_get_chemicalsystem_networks(client: AlchemiscaleClient, chemicalsystem: ChemicalSystem, scope: Scope) -> None:
    key = ScopedKey.of(str(chemicalsystem.key), scope)
    found = client.get_chemicalsystem_networks(key)
    assert len(found) == 2
    for network in found:
        assert key in client.get_network_chemicalsystems(network)


def test_get_transformation_chemicalsystems(
    client: AlchemiscaleClient, transformation: Transformation, transformation_key: ScopedKey
) -> None:
    found = client.get_transformation_chemicalsystems(transformation_key)
    assert gufe_keys(found) == [str(transformation.stateA.key), str(transformation.stateB.key)]


def test_get_transformation_chemicalsystems_of_a_nontransformation(
    client: AlchemiscaleClient, nontransformation: NonTransformation, scope: Scope
) -> None:
    found = client.get_transformation_chemicalsystems(ScopedKey.of(str(nontransformation.key), scope))
    assert gufe_keys(found) == [str(nontransformation.system.key)]


def test_get_chemicalsystem_transformations(
    client: AlchemiscaleClient, network: AlchemicalNetwork, chemicalsystem: ChemicalSystem, scope: Scope
) -> None:
    found = client.get_chemicalsystem_transformations(ScopedKey.of(str(chemicalsystem.key), scope))
    its = [edge for edge in network.edges if chemicalsystem in (edge.stateA, edge.stateB)]
    assert set(gufe_keys(found)) == keys_of(its)


# --- retrieval ---


def test_get_network(client_no_cache: AlchemiscaleClient, network: AlchemicalNetwork, network_key: ScopedKey) -> None:
    found = client_no_cache.get_network(network_key)
    assert found == network
    assert found is protocols.registered(network)


def test_cached_network(client: AlchemiscaleClient, network: AlchemicalNetwork, network_key: ScopedKey) -> None:
    assert client.get_network(network_key) is protocols.registered(network)
    assert len(client._cache) == 1
    # another client with the same cache needs no API, so none is there for it
    settings = {**client._settings(), "api_url": "http://127.0.0.1:1"}
    assert AlchemiscaleClient(**settings).get_network(network_key) is protocols.registered(network)


def test_get_network_bad_network_key(client: AlchemiscaleClient) -> None:
    with pytest.raises(AlchemiscaleClientError, match=NO_SUCH_OBJECT) as info:
        client.get_network(f"AlchemicalNetwork-{MISSING}")
    assert info.value.code == "not_found"


def test_get_transformation(
    client_no_cache: AlchemiscaleClient, transformation: Transformation, transformation_key: ScopedKey
) -> None:
    assert client_no_cache.get_transformation(transformation_key) is protocols.registered(transformation)


def test_get_transformation_that_is_a_nontransformation(
    client: AlchemiscaleClient, nontransformation: NonTransformation, scope: Scope
) -> None:
    found = client.get_transformation(ScopedKey.of(str(nontransformation.key), scope), compress=False)
    assert isinstance(found, NonTransformation)
    assert found == nontransformation


def test_get_transformation_bad_transformation_key(client: AlchemiscaleClient) -> None:
    with pytest.raises(AlchemiscaleClientError, match=NO_SUCH_OBJECT):
        client.get_transformation(f"Transformation-{MISSING}")


def test_get_chemicalsystem(client: AlchemiscaleClient, chemicalsystem: ChemicalSystem, scope: Scope) -> None:
    assert client.get_chemicalsystem(ScopedKey.of(str(chemicalsystem.key), scope)) is protocols.registered(
        chemicalsystem
    )


def test_get_chemicalsystem_bad_chemicalsystem_key(client: AlchemiscaleClient) -> None:
    with pytest.raises(AlchemiscaleClientError, match=NO_SUCH_OBJECT):
        client.get_chemicalsystem(f"ChemicalSystem-{MISSING}")


def test_get_network_in_a_foreign_scope(client: AlchemiscaleClient, network: AlchemicalNetwork) -> None:
    with pytest.raises(AlchemiscaleClientError, match="Status Code 401 : Unauthorized : Targeted scope"):
        client.get_network(ScopedKey.of(str(network.key), FOREIGN))


# --- weights ---


def test_get_network_weight(client: AlchemiscaleClient, network_key: ScopedKey) -> None:
    assert client.get_network_weight(network_key) == 0.5
    assert client.get_network_weight(f"AlchemicalNetwork-{MISSING}") is None


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 1])
def test_set_network_weight(client: AlchemiscaleClient, network_key: ScopedKey, weight: float) -> None:
    for value in (weight, abs(weight - 0.5)):
        assert client.set_network_weight(network_key, value) == network_key
        assert client.get_network_weight(network_key) == value


@pytest.mark.parametrize("weight", [-1.0, -1.5, 1.01])
def test_set_network_weight_out_of_range(client: AlchemiscaleClient, network_key: ScopedKey, weight: float) -> None:
    with pytest.raises(AlchemiscaleClientError, match="Status Code 400 : Bad Request : all `weights` must be"):
        client.set_network_weight(network_key, weight)
    assert client.get_network_weight(network_key) == 0.5


def test_get_networks_weight(client: AlchemiscaleClient) -> None:
    keys = [client.query_networks(scope=scope)[0] for scope in SCOPES]
    for key, weight in zip(keys, (0.0, 0.25, 1.0), strict=True):
        client.set_network_weight(key, weight)
    asked = [keys[2], f"AlchemicalNetwork-{MISSING}", *keys]
    assert client.get_networks_weight(asked, batch_size=2) == [1.0, None, 0.0, 0.25, 1.0]


@pytest.mark.parametrize("weights", [[0.0, 0.5, 1.0], [1, 0, 1], [0.25] * 3])
def test_set_networks_weight(client: AlchemiscaleClient, weights: list[float]) -> None:
    keys = [client.query_networks(scope=scope)[0] for scope in SCOPES]
    assert client.set_networks_weight(keys, weights, batch_size=2) == keys
    assert client.get_networks_weight(keys) == weights
    missing = f"AlchemicalNetwork-{MISSING}"
    assert client.set_networks_weight([missing, str(keys[0])], [0.5, 0.75]) == [None, keys[0]]
    assert client.get_networks_weight(keys) == [0.75, *weights[1:]]


@pytest.mark.parametrize("wrong", [-0.1, 1.01])
def test_set_networks_weight_out_of_range(client: AlchemiscaleClient, wrong: float) -> None:
    keys = [client.query_networks(scope=scope)[0] for scope in SCOPES]
    with pytest.raises(AlchemiscaleClientError, match="Status Code 400 : Bad Request : all `weights` must be"):
        client.set_networks_weight(keys, [0.25, 0.25, wrong])
    assert client.get_networks_weight(keys) == [0.5] * 3


def test_set_network_weight_no_network(client: AlchemiscaleClient) -> None:
    assert client.set_network_weight(f"AlchemicalNetwork-{MISSING}", 0.7) is None


def test_objects_that_networks_share_are_stored_once(
    client: AlchemiscaleClient, network: AlchemicalNetwork, scope: Scope
) -> None:
    before = client.query_transformations(), client.query_chemicalsystems()
    for n in range(2):
        client.create_network(AlchemicalNetwork(sorted(network.edges)[n : n + 5], name=f"part {n}"), scope)
    assert (client.query_transformations(), client.query_chemicalsystems()) == before
    assert len(set(chain(*before))) == len(list(chain(*before)))
