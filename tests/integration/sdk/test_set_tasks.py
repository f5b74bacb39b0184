"""`set_tasks`: so many Tasks for each Transformation, however often and by however many it is asked for."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, NetworkStateEnum, Scope, ScopedKey
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.domain.errors import InvalidInput, InvalidScopedKey
from tests.integration.sdk.conftest import FOREIGN, SCOPES


def test_set_tasks_makes_what_is_missing_and_no_more(client: AlchemiscaleClient, network_key: ScopedKey) -> None:
    transformations = client.get_network_transformations(network_key)
    first, second, third = transformations[:3]
    two = client.create_tasks(first, count=2)
    four = client.create_tasks(second, count=4)
    found = client.set_tasks([third, first, second], 3)
    assert list(found) == [third, first, second]
    assert (found[first].existing, len(found[first].created)) == (two, 1)
    assert (found[second].existing, found[second].created) == (four, [])
    assert (found[third].existing, len(found[third].created)) == ([], 3)
    assert client.get_transformation_tasks(first) == two + found[first].created
    # asked for again
    again = client.set_tasks([third, first, second], 3)
    assert all(tasks.created == [] for tasks in again.values())
    assert again[first].existing == two + found[first].created
    # of a network: all of its Transformations, in one call
    whole = client.set_tasks(network_key, 3)
    assert set(whole) == set(transformations)
    assert sum(len(tasks.created) for tasks in whole.values()) == 3 * (len(transformations) - 3)
    # and it actions nothing
    assert client.get_network_actioned_tasks(network_key) == []


def test_set_tasks_of_one(client: AlchemiscaleClient, transformation_key: ScopedKey, network_key: ScopedKey) -> None:
    (tasks,) = client.set_tasks(transformation_key).values()
    assert len(tasks.created) == 1
    assert client.set_tasks(f" {transformation_key}\n")[transformation_key].existing == tasks.created
    assert client.set_tasks([str(transformation_key)] * 2)[transformation_key].existing == tasks.created
    assert client.set_tasks([]) == {}
    assert set(client.set_tasks([network_key])) == set(client.get_network_transformations(network_key))


def test_set_tasks_counts_what_is_a_repeat(client: AlchemiscaleClient, transformation_key: ScopedKey) -> None:
    kept, deleted, invalid, failed = client.create_tasks(transformation_key, count=4)
    (extending,) = client.create_tasks(transformation_key, extends=kept)
    client.set_tasks_status([deleted], "deleted")
    client.set_tasks_status([invalid], "invalid")
    tasks = client.set_tasks(transformation_key, 3)[transformation_key]
    assert tasks.existing == [kept, failed]
    assert len(tasks.created) == 1
    assert extending not in tasks.created


def test_set_tasks_counts_tasks_in_error(
    system: System, client: AlchemiscaleClient, transformation_key: ScopedKey
) -> None:
    (task,) = client.set_tasks(transformation_key)[transformation_key].created
    with system.database.transaction() as connection:
        connection.execute(text("update task set status = 'error' where key = :key"), {"key": task.gufe_key})
    assert client.set_tasks(transformation_key)[transformation_key].created == []


def test_set_tasks_in_several_scopes(client: AlchemiscaleClient) -> None:
    transformations = [client.query_transformations(scope=scope)[0] for scope in SCOPES]
    found = client.set_tasks(transformations, 2)
    assert [task.scope for tasks in found.values() for task in tasks.created] == [s for s in SCOPES for _ in range(2)]


def test_set_tasks_of_many_callers_at_once(client: AlchemiscaleClient, network_key: ScopedKey) -> None:
    transformations = client.get_network_transformations(network_key)

    def ask(number: int) -> int:
        # in different orders, and of different numbers
        rotated = transformations[number:] + transformations[:number]
        found = client.set_tasks(rotated, 1 + number % 4)
        return sum(len(tasks.created) for tasks in found.values())

    with ThreadPoolExecutor(8) as pool:
        created = sum(pool.map(ask, range(12)))
    assert created == 4 * len(transformations)
    assert len(client.get_network_tasks(network_key)) == created


def test_what_set_tasks_refuses_changes_nothing(
    client: AlchemiscaleClient, network_key: ScopedKey, transformation_key: ScopedKey
) -> None:
    missing = ScopedKey.from_str(str(transformation_key).replace("-", "-0", 1))
    elsewhere = ScopedKey.of(transformation_key.gufe_key, FOREIGN)
    refused: list[tuple[object, int, str]] = [
        ([transformation_key, missing], 1, f"No such object in database: {missing}"),
        ([transformation_key, elsewhere], 1, "not accessible"),
        ([transformation_key, network_key], 1, "Got an unsupported `Transformation` type"),
        (str(network_key).replace("-", "-0", 1), 1, "No such object in database"),
        (transformation_key, 0, "count"),
        (transformation_key, 100_001, "count"),
        (network_key, 90_000, "Tasks would be made"),
    ]
    for transformations, count, message in refused:
        with pytest.raises(AlchemiscaleClientError, match=message):
            client.set_tasks(transformations, count)  # type: ignore[arg-type]
    with pytest.raises(InvalidScopedKey, match="`transformations`"):
        client.set_tasks(["no key"])
    assert client.get_network_tasks(network_key) == []
    # neither, and both, say nothing
    for body in ({"count": 1}, {"count": 1, "network": str(network_key), "transformations": [str(transformation_key)]}):
        with pytest.raises(AlchemiscaleClientError, match="either `transformations` or `network`"):
            client._post("/bulk/transformations/tasks/set", body)


def test_of_several_keys_the_missing_one_is_named(client: AlchemiscaleClient, transformation_key: ScopedKey) -> None:
    task = ScopedKey.of("Task-00000000000000000000000000000000", transformation_key.scope)
    with pytest.raises(AlchemiscaleClientError, match=f"'No such object in database: {task}'"):
        client.create_tasks(transformation_key, extends=task)
    gone = ScopedKey.of("Transformation-00000000000000000000000000000000", transformation_key.scope)
    with pytest.raises(AlchemiscaleClientError, match=f"'No such object in database: {gone}'"):
        client.create_transformations_tasks([transformation_key, gone])
    with pytest.raises(AlchemiscaleClientError, match="'No such object in database'"):
        client.create_tasks(gone)


# --- weights and actions of many networks ---


@pytest.fixture
def networks(client: AlchemiscaleClient) -> list[ScopedKey]:
    """Of three scopes."""
    return client.query_networks(state=None)


def test_get_and_set_networks_weight(
    client: AlchemiscaleClient, networks: list[ScopedKey], network_key: ScopedKey
) -> None:
    missing = ScopedKey.from_str(str(network_key).replace("-", "-0", 1))
    assert client.get_networks_weight([*networks, missing]) == [0.5] * 6 + [None]
    weights = [0.0, 0.1, 0.2, 0.3, 0.4, 1]
    assert client.set_networks_weight([*networks, missing], [*weights, 0.7], batch_size=2) == [*networks, None]
    shuffled = [*networks[::-1], missing, *networks[:1]]
    expected = [*weights[::-1], None, 0.0]
    for batch_size in (1, 3, 1000):
        assert client.get_networks_weight(list(map(str, shuffled)), batch_size=batch_size) == expected
    assert [client.get_network_weight(key) for key in (networks[4], missing)] == [0.4, None]
    assert client.set_network_weight(missing, 0.1) is None
    assert client.get_networks_weight([]) == client.set_networks_weight([], []) == []


def test_networks_weights_that_are_refused_change_nothing(
    client: AlchemiscaleClient, networks: list[ScopedKey]
) -> None:
    with pytest.raises(AlchemiscaleClientError, match="Status Code 400 : Bad Request : all `weights` must be between"):
        # in the last of three requests
        client.set_networks_weight(networks, [0.1, 0.1, 0.1, 0.1, 0.1, 1.5], batch_size=2)
    with pytest.raises(InvalidInput, match="there are 6 networks and 1 weights"):
        client.set_networks_weight(networks, [0.1])
    with pytest.raises(InvalidInput, match="`batch_size`"):
        client.set_networks_weight(networks, [0.1] * 6, batch_size=0)
    with pytest.raises(AlchemiscaleClientError, match="not accessible"):
        client.set_networks_weight([networks[0], ScopedKey.of(networks[0].gufe_key, FOREIGN)], [0.1, 0.1])
    assert client.get_networks_weight(networks) == [0.5] * 6


def test_get_networks_actioned_tasks(
    client: AlchemiscaleClient, networks: list[ScopedKey], network_key: ScopedKey, transformation_key: ScopedKey
) -> None:
    tasks = client.create_tasks(transformation_key, count=3)
    client.action_tasks(tasks, network_key, weight=[0.1, 0.2, 0.3])
    other = next(key for key in networks if key != network_key)
    asked = [other, network_key, str(network_key)]
    assert client.get_networks_actioned_tasks(asked) == [[], tasks, tasks]
    weights = dict(zip(tasks, [0.1, 0.2, 0.3], strict=True))
    assert client.get_networks_actioned_tasks(asked, task_weights=True) == [{}, weights, weights]
    assert client.get_networks_actioned_tasks([]) == []
    missing = str(network_key).replace("-", "-0", 1)
    with pytest.raises(AlchemiscaleClientError, match=f"'No such object in database: {missing}'"):
        client.get_networks_actioned_tasks([network_key, missing])


def test_the_state_of_networks_takes_strings_and_members(client: AlchemiscaleClient, scope: Scope) -> None:
    first, second = client.query_networks(scope=scope, state=None)
    states = [NetworkStateEnum.invalid, "deleted"]
    assert client.set_networks_state([first, second], states) == [first, second]  # type: ignore[list-item]
    assert client.get_networks_state([second, first, second]) == ["deleted", "invalid", "deleted"]
    with pytest.raises(AlchemiscaleClientError, match="`stop_tasks` goes with"):
        client.set_network_state(first, NetworkStateEnum.active, stop_tasks=True)
    assert client.get_network_state(first) == "invalid"
