"""Tasks and their actioning."""

from itertools import chain

import networkx as nx
import pytest

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, Scope, ScopedKey, TaskStatusEnum
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from tests.integration.sdk.conftest import FOREIGN, SCOPES

WRONG_NETWORK = "Status Code 400 : Bad Request : `network` ScopedKey does not correspond to an `AlchemicalNetwork`"
SETTABLE = ("waiting", "invalid", "deleted")


@pytest.fixture
def not_a_network(network_key: ScopedKey) -> str:
    return str(network_key).replace("AlchemicalNetwork", "NotANetwork")


@pytest.fixture
def tasks(client: AlchemiscaleClient, transformation_key: ScopedKey) -> list[ScopedKey]:
    return client.create_tasks(transformation_key, count=3)


@pytest.fixture
def many(client: AlchemiscaleClient, network_key: ScopedKey) -> list[ScopedKey]:
    """Three Tasks for each of ten Transformations."""
    transformations = client.get_network_transformations(network_key)[:10]
    return client.create_transformations_tasks([key for key in transformations for _ in range(3)])


# --- creating ---


def test_create_tasks(client: AlchemiscaleClient, transformation_key: ScopedKey) -> None:
    created = client.create_tasks(transformation_key, count=3)
    assert set(created) == set(client.get_transformation_tasks(transformation_key))
    assert {key.qualname for key in created} == {"Task"}
    assert client.get_tasks_status(created) == ["waiting"] * 3
    extending = client.create_tasks(transformation_key, count=4, extends=created[0])
    assert set(created + extending) == set(client.get_transformation_tasks(transformation_key))
    assert set(extending) == set(client.get_transformation_tasks(transformation_key, extends=created[0]))
    assert client.get_transformation_tasks(transformation_key, extends=created[1]) == []


def test_create_tasks_extends_qualname_not_task(
    client: AlchemiscaleClient, transformation_key: ScopedKey, tasks: list[ScopedKey]
) -> None:
    wrong = str(tasks[0]).replace("Task", "NotTask")
    with pytest.raises(AlchemiscaleClientError, match=r"Status Code 400 : Bad Request : `extends` ScopedKey \("):
        client.create_tasks(transformation_key, count=4, extends=wrong)
    assert len(client.get_transformation_tasks(transformation_key)) == 3


def test_create_tasks_that_extend_a_deleted_one(
    client: AlchemiscaleClient, transformation_key: ScopedKey, tasks: list[ScopedKey]
) -> None:
    client.set_tasks_status(tasks[:1], "deleted")
    with pytest.raises(AlchemiscaleClientError, match="Cannot extend a `deleted` or `invalid` Task"):
        client.create_tasks(transformation_key, extends=tasks[0])


def test_create_transformations_tasks(client: AlchemiscaleClient, network_key: ScopedKey) -> None:
    transformations = client.get_network_transformations(network_key)[:5]
    created = client.create_transformations_tasks(transformations * 3)
    # one per entry, in the order of the entries
    assert [client.get_task_transformation(task) for task in created] == transformations * 3
    parents: list[ScopedKey | None] = [None, *created[1:5]]
    extending = client.create_transformations_tasks(transformations, extends=parents)
    edges = {
        (task, parent)
        for key in transformations
        for task, parent in client.get_transformation_tasks(key, return_as="graph").edges  # type: ignore[union-attr]
    }
    assert edges == set(zip(extending[1:], parents[1:], strict=True))


def test_create_transformations_tasks_in_several_scopes(client: AlchemiscaleClient) -> None:
    transformations = [client.query_transformations(scope=scope)[0] for scope in SCOPES]
    created = client.create_transformations_tasks(transformations)
    assert [task.scope for task in created] == SCOPES


def test_create_transformations_tasks_of_unequal_lengths(
    client: AlchemiscaleClient, transformation_key: ScopedKey
) -> None:
    with pytest.raises(AlchemiscaleClientError, match="Status Code 400"):
        client.create_transformations_tasks([transformation_key] * 2, extends=[None])
    assert client.get_transformation_tasks(transformation_key) == []


# --- finding ---


def test_query_tasks(client: AlchemiscaleClient, scope: Scope, many: list[ScopedKey]) -> None:
    assert set(client.query_tasks()) == set(client.query_tasks(scope=scope)) == set(many)
    assert client.query_tasks(scope=SCOPES[1]) == []
    client.set_tasks_status(many[:10], "invalid")
    assert set(client.query_tasks(status="waiting")) == set(many[10:])
    assert set(client.query_tasks(status="invalid")) == set(many[:10])
    assert client.query_tasks(status="complete") == []


def test_get_network_tasks(client: AlchemiscaleClient, network_key: ScopedKey, many: list[ScopedKey]) -> None:
    assert sorted(client.get_network_tasks(network_key)) == sorted(many)
    client.set_tasks_status(many[:10], "invalid")
    assert set(client.get_network_tasks(network_key, status="waiting")) == set(many[10:])
    assert set(client.get_network_tasks(network_key, status="invalid")) == set(many[:10])
    assert client.get_network_tasks(network_key, status="complete") == []


def test_get_network_tasks_invalid_status_enum(client: AlchemiscaleClient, network_key: ScopedKey) -> None:
    invalid = "Status Code 400 : Bad Request : 'notastatus' is not a valid TaskStatusEnum"
    with pytest.raises(AlchemiscaleClientError, match=invalid):
        client.get_network_tasks(network_key, status="notastatus")


def test_get_task_networks(client: AlchemiscaleClient, network_key: ScopedKey, tasks: list[ScopedKey]) -> None:
    for task in tasks:
        networks = client.get_task_networks(task)
        assert network_key in networks
        assert len(networks) == 2
        for network in networks:
            assert task in client.get_network_tasks(network)


def test_get_transformation_tasks(client: AlchemiscaleClient, transformation_key: ScopedKey) -> None:
    tasks = client.create_tasks(transformation_key, count=3)
    children = client.create_tasks(transformation_key, count=4, extends=tasks[0])
    grandchildren = client.create_tasks(transformation_key, extends=children[0])
    find = client.get_transformation_tasks
    assert set(find(transformation_key, extends=tasks[0])) == {*children, *grandchildren}
    assert set(find(transformation_key, extends=children[0])) == set(grandchildren)

    graph = find(transformation_key, return_as="graph")
    assert isinstance(graph, nx.DiGraph)
    assert set(graph.nodes) == {*tasks, *children, *grandchildren}
    assert set(graph.edges) == {*((child, tasks[0]) for child in children), (grandchildren[0], children[0])}

    client.set_tasks_status(children[2:], "invalid")
    assert set(find(transformation_key, extends=tasks[0], status="waiting")) == {*children[:2], *grandchildren}
    assert set(find(transformation_key, extends=tasks[0], status="invalid")) == set(children[2:])


def test_get_task_transformation(client: AlchemiscaleClient) -> None:
    transformations = client.query_transformations()[:10]
    created = [client.create_tasks(key, count=2) for key in transformations]
    for key, task in ((key, task) for key, tasks in zip(transformations, created, strict=True) for task in tasks):
        assert client.get_task_transformation(task) == key


def test_get_task_transformation_transformation_no_exists(client: AlchemiscaleClient) -> None:
    missing = "Task-00000000000000000000000000000000-test_org-test_campaign-test_project"
    with pytest.raises(AlchemiscaleClientError, match="Status Code 400 : Bad Request : 'No such object in database'"):
        client.get_task_transformation(missing)


# --- statuses ---


@pytest.mark.parametrize("status", TaskStatusEnum)
def test_get_tasks_status(client: AlchemiscaleClient, tasks: list[ScopedKey], status: TaskStatusEnum) -> None:
    if status in SETTABLE:
        assert client.set_tasks_status(tasks, status) == tasks
        assert client.get_tasks_status(tasks) == [status.value] * 3
    else:
        refused = f"Status Code 400 : Bad Request : Cannot set status to 'TaskStatusEnum.{status}', must be one of"
        with pytest.raises(AlchemiscaleClientError, match=refused):
            client.set_tasks_status(tasks, status)
        assert client.get_tasks_status(tasks) == ["waiting"] * 3


def test_set_tasks_status(
    client: AlchemiscaleClient, network_key: ScopedKey, transformation_key: ScopedKey, tasks: list[ScopedKey]
) -> None:
    missing = ScopedKey.of("Task-FAKE1", tasks[0].scope)
    foreign = ScopedKey.of("Task-FAKE1", FOREIGN)
    children = client.create_tasks(transformation_key, count=2, extends=tasks[0])
    client.action_tasks([*tasks, *children], network_key)
    assert client.set_tasks_status([missing, tasks[0], foreign], "deleted") == [None, tasks[0], None]
    assert client.get_tasks_status([missing, *tasks, *children, foreign], batch_size=2) == [
        *(None, "deleted", "waiting", "waiting"),
        *("deleted", "deleted", None),
    ]
    assert set(client.get_network_actioned_tasks(network_key)) == set(tasks[1:])
    # deleted is final
    assert client.set_tasks_status(tasks, "waiting") == [None, *tasks[1:]]


def test_get_tasks_priority(client: AlchemiscaleClient, tasks: list[ScopedKey]) -> None:
    missing = ScopedKey.of("Task-FAKE1", tasks[0].scope)
    assert client.get_tasks_priority([*tasks, missing]) == [10, 10, 10, None]


def test_set_tasks_priority(client: AlchemiscaleClient, tasks: list[ScopedKey]) -> None:
    for priority in (1, 2**63 - 1):
        assert client.set_tasks_priority(tasks, priority) == tasks
        assert client.get_tasks_priority(tasks) == [priority] * 3


@pytest.mark.parametrize("priority", [-1, 0, 2**63])
def test_set_tasks_priority_out_of_range(client: AlchemiscaleClient, tasks: list[ScopedKey], priority: int) -> None:
    with pytest.raises(AlchemiscaleClientError, match="Status Code 400 : Bad Request : priority must be between"):
        client.set_tasks_priority(tasks, priority)
    assert client.get_tasks_priority(tasks) == [10] * 3


def test_set_tasks_priority_missing_tasks(client: AlchemiscaleClient, tasks: list[ScopedKey]) -> None:
    fake = [ScopedKey.of(f"Task-FAKE{n}", tasks[0].scope) for n in range(2)]
    assert client.set_tasks_priority(fake + tasks, 10) == [None, None, *tasks]


# --- actions ---


@pytest.mark.parametrize("task_weights", [True, False])
def test_get_network_actioned_tasks(
    client: AlchemiscaleClient, network_key: ScopedKey, tasks: list[ScopedKey], task_weights: bool
) -> None:
    assert len(client.get_network_actioned_tasks(network_key, task_weights=task_weights)) == 0
    client.action_tasks(tasks[:2], network_key)
    found = client.get_network_actioned_tasks(network_key, task_weights=task_weights)
    assert set(found) == set(tasks[:2])
    if task_weights:
        assert isinstance(found, dict)
        assert list(found.values()) == [0.5, 0.5]


def test_get_network_actioned_tasks_network_scopedkey_wrong_qualname(
    client: AlchemiscaleClient, not_a_network: str
) -> None:
    with pytest.raises(AlchemiscaleClientError, match=WRONG_NETWORK):
        client.get_network_actioned_tasks(not_a_network)


@pytest.mark.parametrize("actioned", [True, False])
def test_get_task_actioned_networks(client: AlchemiscaleClient, transformation_key: ScopedKey, actioned: bool) -> None:
    networks = client.get_transformation_networks(transformation_key)
    (task,) = client.create_tasks(transformation_key)
    if actioned:
        for network in networks:
            client.action_tasks([task], network)
    assert set(client.get_task_actioned_networks(task)) == (set(networks) if actioned else set())
    weights = client.get_task_actioned_networks(task, task_weights=True)
    assert weights == (dict.fromkeys(networks, 0.5) if actioned else {})


def test_action_tasks(
    client: AlchemiscaleClient, network_key: ScopedKey, transformation_key: ScopedKey, tasks: list[ScopedKey]
) -> None:
    assert client.action_tasks(tasks[::-1], network_key) == tasks[::-1]
    assert set(client.get_network_actioned_tasks(network_key)) == set(tasks)
    # once is enough
    assert client.action_tasks(tasks, network_key) == [None] * 3
    extending = client.create_tasks(transformation_key, count=4, extends=tasks[0])
    assert client.action_tasks(extending, network_key) == extending


def test_action_tasks_that_cannot_be(
    client: AlchemiscaleClient, network_key: ScopedKey, incomplete: AlchemicalNetwork, tasks: list[ScopedKey]
) -> None:
    part = ScopedKey.of(str(incomplete.key), network_key.scope)
    beyond = set(client.get_network_transformations(network_key)) - set(client.get_network_transformations(part))
    (elsewhere,) = client.create_tasks(beyond.pop())
    (other_scope,) = client.create_tasks(client.query_transformations(scope=SCOPES[1])[0])
    client.set_tasks_status(tasks[:1], "invalid")
    missing = ScopedKey.of("Task-FAKE1", network_key.scope)
    asked = [tasks[0], tasks[1], elsewhere, other_scope, missing]
    assert client.action_tasks(asked, part) == [None, tasks[1], None, None, None]


def test_action_tasks_network_scopedkey_wrong_qualname(
    client: AlchemiscaleClient, tasks: list[ScopedKey], not_a_network: str
) -> None:
    with pytest.raises(AlchemiscaleClientError, match=WRONG_NETWORK):
        client.action_tasks(tasks, not_a_network)


@pytest.mark.parametrize("weight", [None, 1.0, [0.25, 0.5, 0.75]])
def test_action_tasks_with_weights(
    client: AlchemiscaleClient, network_key: ScopedKey, tasks: list[ScopedKey], weight: float | list[float] | None
) -> None:
    client.action_tasks(tasks, network_key, weight)
    expected = weight if isinstance(weight, list) else [0.5 if weight is None else weight] * 3
    for _ in range(2):
        assert client.get_network_actioned_tasks(network_key, task_weights=True) == dict(
            zip(tasks, expected, strict=True)
        )
        # actioning them again without a weight leaves theirs
        client.action_tasks(tasks, network_key, weight=None)


@pytest.mark.parametrize("weight", [-1, 1.5, [0.5, 0.5, 2.0], [0.5]])
def test_action_tasks_with_weights_that_make_no_sense(
    client: AlchemiscaleClient, network_key: ScopedKey, tasks: list[ScopedKey], weight: float | list[float]
) -> None:
    with pytest.raises(AlchemiscaleClientError, match="Status Code 400 : Bad Request"):
        client.action_tasks(tasks, network_key, weight)
    assert client.get_network_actioned_tasks(network_key) == []


def test_action_tasks_update_weights(
    client: AlchemiscaleClient, network_key: ScopedKey, transformation_key: ScopedKey, tasks: list[ScopedKey]
) -> None:
    client.action_tasks(tasks, network_key)
    client.action_tasks(tasks, network_key, [1.0, 0.7, 0.4])
    more = client.create_tasks(transformation_key, count=2)
    assert client.action_tasks(tasks + more, network_key) == [None, None, None, *more]
    weights = client.get_network_actioned_tasks(network_key, task_weights=True)
    assert weights == dict(zip(tasks + more, [1.0, 0.7, 0.4, 0.5, 0.5], strict=True))


def test_cancel_tasks(client: AlchemiscaleClient, network_key: ScopedKey, tasks: list[ScopedKey]) -> None:
    client.action_tasks(tasks[::-1], network_key)
    assert client.cancel_tasks(tasks[1:2], network_key) == tasks[1:2]
    assert set(client.get_network_actioned_tasks(network_key)) == {tasks[0], tasks[2]}
    assert client.cancel_tasks(tasks[1:2], network_key) == [None]
    assert client.get_tasks_status(tasks) == ["waiting"] * 3


def test_cancel_tasks_wrong_qualname(client: AlchemiscaleClient, tasks: list[ScopedKey], not_a_network: str) -> None:
    with pytest.raises(AlchemiscaleClientError, match=WRONG_NETWORK):
        client.cancel_tasks(tasks[1:2], not_a_network)


# --- counts ---


def test_get_scope_status(
    client: AlchemiscaleClient, other_client: AlchemiscaleClient, network: AlchemicalNetwork
) -> None:
    for scope in SCOPES:
        client.create_tasks(client.query_transformations(scope=scope)[0], count=3)
    for scope in SCOPES:
        assert client.get_scope_status(scope) == {"waiting": 3}
    # somebody else's Tasks are not counted
    other_client.create_network(network, FOREIGN)
    other_client.create_tasks(other_client.query_transformations()[0])
    assert client.get_scope_status(FOREIGN) == {}
    assert client.get_scope_status(Scope()) == client.get_scope_status() == {"waiting": 9}


def test_get_scope_status_network_state(client: AlchemiscaleClient, network: AlchemicalNetwork, scope: Scope) -> None:
    for key in client.query_networks(scope=scope, state=None):
        client.set_network_state(key, "deleted")
    edges = sorted(network.edges)
    # one Transformation is in both
    parts = [AlchemicalNetwork(edges[:4], name="0 - 3"), AlchemicalNetwork(edges[3:], name="3 - …")]
    first, second = (
        client.create_network(part, scope, state=state)
        for part, state in zip(parts, ("active", "inactive"), strict=True)
    )
    both = {*client.get_network_transformations(first), *client.get_network_transformations(second)}
    client.create_transformations_tasks(list(chain(*([key] * 3 for key in both))))
    assert client.get_scope_status(scope) == {"waiting": len(parts[0].edges) * 3}
    assert client.get_scope_status(scope, network_state="inactive") == {"waiting": len(parts[1].edges) * 3}
    assert client.get_scope_status(scope, network_state=None) == {"waiting": len(network.edges) * 3}
    client.set_network_state(second, "active")
    assert client.get_scope_status(scope) == {"waiting": len(network.edges) * 3}
    client.set_networks_state([first, second], ["inactive", "deleted"])
    assert client.get_scope_status(scope) == {}


def test_get_network_status(client: AlchemiscaleClient, capsys: pytest.CaptureFixture[str]) -> None:
    networks = [client.query_networks(scope=scope)[0] for scope in SCOPES]
    for network in networks[:2]:
        client.create_tasks(client.get_network_transformations(network)[0], count=3)
    assert [client.get_network_status(network) for network in networks] == [{"waiting": 3}, {"waiting": 3}, {}]
    assert str(networks[0])[:40] in capsys.readouterr().out
    assert client.get_network_status(networks[0], visualize=False) == {"waiting": 3}
    assert capsys.readouterr().out == ""


def test_get_networks_status(client: AlchemiscaleClient) -> None:
    networks = [client.query_networks(scope=scope)[0] for scope in SCOPES]
    for network in networks[:2]:
        client.create_tasks(client.get_network_transformations(network)[0], count=3)
    missing = "AlchemicalNetwork-00000000000000000000000000000000-test_org-test_campaign-test_project"
    assert client.get_networks_status([*networks, missing]) == [{"waiting": 3}, {"waiting": 3}, {}, {}]


def test_get_transformation_status(
    client: AlchemiscaleClient, transformation_key: ScopedKey, tasks: list[ScopedKey]
) -> None:
    client.set_tasks_status(tasks[:1], "invalid")
    assert client.get_transformation_status(transformation_key) == {"waiting": 2, "invalid": 1}


def test_network_progress_before_anything_runs(
    client: AlchemiscaleClient, network_key: ScopedKey, tasks: list[ScopedKey]
) -> None:
    client.action_tasks(tasks, network_key)
    progress = client.get_network_progress(network_key)
    assert (progress.status, progress.units_done, progress.units_total) == ({"waiting": 3}, 0, 0)
