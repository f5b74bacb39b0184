"""alchemiscale's own client against our API, over HTTP: its scripts work unmodified. See `tests.compat.released`."""

import re
from typing import Any

import networkx as nx
import pytest

from alchemiscale_prefect.chemistry import base
from tests import protocols
from tests.compat.released import LEAVES_OPEN, MISSING, Client, Key, alchemiscale, key_of, refused, scope_of
from tests.integration.sdk.conftest import FOREIGN, KEY, SCOPES, USER

pytestmark = LEAVES_OPEN

# --- who is there ---


def test_it_logs_in(client: Client, api_url: str) -> None:
    client._api_check()
    assert isinstance(client.get_info(), dict)
    assert client.list_scopes() == client.get_scopes() == sorted(map(scope_of, SCOPES))
    # a token that is none any more is replaced by a new one
    client._jwtoken, client._headers = "nonsense", {"Authorization": "Bearer nonsense"}
    assert len(client.query_networks()) == 3
    for identifier, key in ((USER, "incorrect credential"), ("nobody", KEY)):
        stranger = alchemiscale.AlchemiscaleClient(api_url, identifier, key, use_local_cache=False, max_retries=0)
        with refused("Status Code 401 : Unauthorized$"):
            stranger.get_info()


# --- networks ---


@pytest.mark.parametrize("compress", [True, False, 9])
def test_it_submits_and_gets_back(client: Client, home: Any, compress: bool | int) -> None:
    network = protocols.chain_network(3, name=f"compressed {compress}")
    key = client.create_network(network, home, compress=compress)
    assert key == key_of(f"{network.key}-{home}")
    assert client.create_network(network, home, compress=compress, visualize=False) == key
    assert client.check_exists(key)
    assert client.get_network(key, compress=bool(compress), visualize=False) == network
    edges, nodes = client.get_network_transformations(key), client.get_network_chemicalsystems(key)
    assert {edge.gufe_key for edge in edges} == {edge.key for edge in network.edges}
    assert {node.gufe_key for node in nodes} == {node.key for node in network.nodes}
    fetched = [client.get_transformation(edge, visualize=False) for edge in edges]
    assert set(fetched) == set(network.edges)
    assert {client.get_chemicalsystem(node, visualize=False) for node in nodes} == set(network.nodes)
    for edge, obj in zip(edges, fetched, strict=True):
        ends = [obj.system] if isinstance(obj, base.NonTransformation) else [obj.stateA, obj.stateB]
        assert [end.gufe_key for end in client.get_transformation_chemicalsystems(edge)] == [end.key for end in ends]
        assert key in client.get_transformation_networks(edge)
        assert edge in client.get_chemicalsystem_transformations(client.get_transformation_chemicalsystems(edge)[0])
    assert key in client.get_chemicalsystem_networks(nodes[0])


def test_it_caches_what_it_got(client: Client, network: base.AlchemicalNetwork, network_key: Key) -> None:
    assert client.get_network(network_key, visualize=False) is network
    settings = {**client._settings(), "api_url": "http://127.0.0.1:1"}
    # another client finds it on disk: nothing is at its address
    another = alchemiscale.AlchemiscaleClient(**settings)
    assert another.get_network(network_key, visualize=False) is network
    another._cache.close()


def test_it_queries(client: Client, network: base.AlchemicalNetwork, home: Any) -> None:
    assert len(client.query_networks()) == 3
    assert len(client.query_networks(state=None)) == 6
    assert len(client.query_networks(name="bench.*", scope=home, state="active|inactive")) == 1
    assert client.query_networks(name="bench") == []
    assert client.query_networks(scope=scope_of(FOREIGN)) == []
    transformation = next(edge for edge in sorted(network.edges) if not isinstance(edge, base.NonTransformation))
    assert len(client.query_transformations()) == 3 * len(network.edges)
    assert {key.gufe_key for key in client.query_transformations(name=transformation.name)} == {transformation.key}
    assert len(client.query_chemicalsystems(scope=home)) == len(network.nodes)
    assert client.query_chemicalsystems(name="no such name") == []


def test_it_sets_states(client: Client, network_key: Key) -> None:
    other = client.query_networks(scope=network_key.scope, state="inactive")[0]
    assert client.set_network_state(network_key, "inactive") == network_key
    assert client.get_network_state(network_key) == "inactive"
    assert client.set_networks_state([other, network_key], ["active", "invalid"]) == [other, network_key]
    assert client.get_networks_state([network_key, other, key_of(f"AlchemicalNetwork-{MISSING}")]) == [
        *("invalid", "active"),
        None,
    ]
    assert client.set_network_state(key_of(f"AlchemicalNetwork-{MISSING}"), "active") is None
    with refused(r"Status Code 400 : Bad Request : 'notastate' is not a valid state. Valid values include: \['"):
        client.set_network_state(network_key, "notastate")
    # an enum member, its documentation says so, is accepted: it never gets as far as JSON in this client
    with pytest.raises(TypeError, match="NetworkStateEnum"):
        client.set_network_state(network_key, alchemiscale.storage.models.NetworkStateEnum.active)


def test_it_weighs_networks(client: Client, network_key: Key) -> None:
    missing = key_of(f"AlchemicalNetwork-{MISSING}")
    networks = client.query_networks()
    assert client.get_network_weight(network_key) == 0.5
    assert client.set_network_weight(network_key, 0.9) == network_key
    assert client.get_network_weight(network_key) == 0.9
    assert client.get_network_weight(missing) is None
    assert client.set_network_weight(missing, 0.9) is None
    assert client.set_networks_weight([*networks, missing], [0.0, 0.25, 1.0, 0.5], batch_size=2) == [*networks, None]
    assert client.get_networks_weight([missing, *networks], batch_size=3) == [None, 0.0, 0.25, 1.0]
    with refused("Status Code 400 : Bad Request : all `weights` must be"):
        client.set_network_weight(network_key, 1.5)
    with refused("Status Code 400 : Bad Request : all `weights` must be"):
        client.set_networks_weight(networks, [0.5, 0.5, -1.0])
    assert client.get_networks_weight(networks) == [0.0, 0.25, 1.0]


# --- Tasks ---


def test_it_makes_tasks(client: Client, network_key: Key, tasks: list[Key]) -> None:
    transformations = client.get_network_transformations(network_key)
    (child,) = client.create_tasks(client.get_task_transformation(tasks[0]), extends=tasks[0])
    many = client.create_transformations_tasks(transformations * 2)
    # one per entry, in the order of the entries
    assert [client.get_task_transformation(task) for task in many] == transformations * 2
    (grandchild,) = client.create_transformations_tasks([client.get_task_transformation(child)], extends=[child])
    transformation = client.get_task_transformation(child)
    found = client.get_transformation_tasks(transformation, extends=tasks[0])
    assert set(found) == {child, grandchild}
    graph = client.get_transformation_tasks(transformation, return_as="graph")
    assert isinstance(graph, nx.DiGraph)
    assert set(graph.edges) == {(child, tasks[0]), (grandchild, child)}
    everything = {*tasks, child, grandchild, *many}
    assert set(client.get_network_tasks(network_key)) == set(client.query_tasks()) == everything
    assert client.query_tasks(scope=scope_of(SCOPES[1])) == []
    assert network_key in client.get_task_networks(child)
    with refused(r"Status Code 400 : Bad Request : `extends` ScopedKey \("):
        client.create_tasks(transformation, extends=network_key)
    with refused("Status Code 400 : Bad Request : 'notastatus' is not a valid TaskStatusEnum"):
        client.get_network_tasks(network_key, status="notastatus")
    with refused("Status Code 400 : Bad Request : 'No such object in database'"):
        client.get_task_transformation(f"Task-{MISSING}")


def test_it_actions_tasks(client: Client, network_key: Key, tasks: list[Key]) -> None:
    assert client.action_tasks(tasks[:2], network_key) == tasks[:2]
    assert client.action_tasks(tasks, network_key, weight=[0.1, 0.2, 0.3]) == [None, None, tasks[2]]
    weights = dict(zip(tasks, [0.1, 0.2, 0.3], strict=True))
    assert client.get_network_actioned_tasks(network_key, task_weights=True) == weights
    assert set(client.get_network_actioned_tasks(network_key)) == set(tasks)
    assert client.get_task_actioned_networks(tasks[0]) == [network_key]
    assert client.get_task_actioned_networks(tasks[0], task_weights=True) == {network_key: 0.1}
    other = client.query_networks(scope=network_key.scope, state="inactive")[0]
    assert client.get_networks_actioned_tasks([other, network_key], task_weights=True) == [{}, weights]
    assert [set(found) for found in client.get_networks_actioned_tasks([network_key, other])] == [set(tasks), set()]
    assert client.cancel_tasks([*tasks[:2], key_of(f"Task-{MISSING}")], network_key) == [*tasks[:2], None]
    assert client.get_network_actioned_tasks(network_key) == tasks[2:]
    wrong = str(network_key).replace("AlchemicalNetwork", "NotANetwork")
    for call in (client.action_tasks, client.cancel_tasks):
        with refused("Status Code 400 : Bad Request : `network` ScopedKey does not correspond to an `AlchemicalNetw"):
            call(tasks, wrong)
    with refused("Status Code 400 : Bad Request"):
        client.action_tasks(tasks, network_key, weight=2.0)


def test_it_sets_statuses_and_priorities(client: Client, network_key: Key, tasks: list[Key]) -> None:
    missing = key_of(f"Task-{MISSING}")
    assert client.set_tasks_status([tasks[0], missing], "invalid") == [tasks[0], None]
    assert client.get_tasks_status([*tasks, missing], batch_size=2) == ["invalid", "waiting", "waiting", None]
    assert client.set_tasks_status(tasks, alchemiscale.storage.models.TaskStatusEnum.waiting) == [None, *tasks[1:]]
    with refused("Status Code 400 : Bad Request : Cannot set status to 'TaskStatusEnum.running', must be one of"):
        client.set_tasks_status(tasks, "running")
    assert client.set_tasks_priority([missing, *tasks], 2**63 - 1, batch_size=1) == [None, *tasks]
    assert client.get_tasks_priority([missing, *tasks]) == [None] + 3 * [2**63 - 1]
    with refused("Status Code 400 : Bad Request : priority must be between"):
        client.set_tasks_priority(tasks, 0)
    counts = {"waiting": 2, "invalid": 1}
    assert client.get_network_status(network_key) == counts
    assert client.get_networks_status([network_key, key_of(f"AlchemicalNetwork-{MISSING}")]) == [counts, {}]
    assert client.get_transformation_status(client.get_task_transformation(tasks[0]), visualize=False) == counts
    assert client.get_scope_status(network_key.scope) == client.get_scope_status(visualize=False) == counts
    assert client.get_scope_status(network_key.scope, network_state="deleted", visualize=False) == {}
    assert client.get_scope_status(scope_of(FOREIGN), visualize=False) == {}


def test_it_takes_keys_that_a_script_read_from_a_file(client: Client, network_key: Key, tasks: list[Key]) -> None:
    network, task = str(network_key), str(tasks[0])
    transformation = str(client.get_task_transformation(task))
    system = str(client.get_transformation_chemicalsystems(transformation)[0])
    assert client.check_exists(network)
    assert client.get_network(network, visualize=False).key == network_key.gufe_key
    assert str(client.get_transformation(transformation, visualize=False).key) in transformation
    assert str(client.get_chemicalsystem(system, visualize=False).key) in system
    assert client.action_tasks(tasks, network) == tasks
    assert client.set_network_weight(network, 0.25) == network_key
    assert client.get_network_weight(network) == 0.25
    assert client.get_network_status(network, visualize=False) == {"waiting": 3}
    assert set(client.get_network_tasks(network)) == set(client.get_transformation_tasks(transformation)) == set(tasks)
    assert len(client.create_tasks(transformation, count=2)) == 2
    assert client.get_task_networks(task)
    assert client.cancel_tasks(tasks=tasks, network=network) == tasks
    assert client.get_task_results(task, visualize=False) == []


def test_it_is_told_what_it_may_not_do(client: Client, network: base.AlchemicalNetwork) -> None:
    for ask in (
        lambda: client.create_network(network, scope_of(FOREIGN), visualize=False),
        lambda: client.get_network(key_of(f"{network.key}-{FOREIGN}"), visualize=False),
        lambda: client.check_exists(key_of(f"{network.key}-{FOREIGN}")),
    ):
        with refused("Status Code 401 : Unauthorized : Targeted scope"):
            ask()
    with refused("Status Code 422 : Unprocessable .* : input does not appear to be a `ScopedKey`"):
        client.check_exists("lol")
    for ask in (client.get_network, client.get_transformation, client.get_chemicalsystem):
        with refused(re.escape("Status Code 400 : Bad Request : 'No such object in database'")):
            ask(f"{ask.__name__}-{MISSING}", visualize=False)
