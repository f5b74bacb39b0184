"""Networks copied and merged across Scopes: results and complete Tasks come along, nothing is computed again."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, Scope, ScopedKey
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, NonTransformation, ProtocolDAGResult, Transformation
from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission, Principal
from alchemiscale_prefect.services import identities
from tests import protocols
from tests.integration.sdk.conftest import FOREIGN, KEY, SCOPES

Work = Callable[[], int]
HERE, THERE, FARTHER = SCOPES

Run = Callable[..., list[ScopedKey]]
LogIn = Callable[..., AlchemiscaleClient]


@pytest.fixture
def edges() -> list[Transformation]:
    """Two Transformations that continue what they extend."""
    protocol = protocols.ExtendingProtocol(protocols.FanOutSettings(n_samples=2))
    network = protocols.chain_network(2, protocol, name="copied")
    return sorted((edge for edge in network.edges if not isinstance(edge, NonTransformation)), key=lambda one: one.name)


@pytest.fixture
def source(client: AlchemiscaleClient, edges: list[Transformation]) -> ScopedKey:
    return client.create_network(AlchemicalNetwork(edges, name="the source"), HERE)


@pytest.fixture
def run(client: AlchemiscaleClient, work: Work) -> Callable[..., list[ScopedKey]]:
    """Creates Tasks of an edge, has them run for a network, and gives them."""

    def done(
        network: ScopedKey, edge: Transformation, count: int = 1, extends: ScopedKey | None = None
    ) -> list[ScopedKey]:
        tasks = client.create_tasks(ScopedKey.of(str(edge.key), network.scope), count=count, extends=extends)
        client.action_tasks(tasks, network)
        assert work() == count
        return tasks

    return done


@pytest.fixture
def count_rows(system: System) -> Callable[[], dict[str, int]]:
    """Rows of every table that a copy could write."""

    def counted() -> dict[str, int]:
        tables = ("gufe_object", "network", "transformation", "task", "attempt", "result", "action", "strategy")
        with system.database.transaction() as connection:
            return {table: connection.execute(text(f"select count(*) from {table}")).scalar_one() for table in tables}

    return counted


@pytest.fixture
def log_in(system: System, api_url: str) -> Iterator[Callable[..., AlchemiscaleClient]]:
    """Makes an identity that may do so much, and gives a client of it."""
    clients: list[AlchemiscaleClient] = []

    def logged_in(identifier: str, grants: list[Grant]) -> AlchemiscaleClient:
        identities.create(system.database, Principal.operating(), IdentityKind.user, identifier, KEY, grants)
        clients.append(AlchemiscaleClient(api_url, identifier, KEY, use_local_cache=False, max_retries=0))
        return clients[-1]

    yield logged_in
    for client in clients:
        client.close()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def in_scope(edge: Transformation, scope: Scope) -> ScopedKey:
    return ScopedKey.of(str(edge.key), scope)


def raw(client: AlchemiscaleClient, edge: Transformation, scope: Scope) -> list[ProtocolDAGResult]:
    results = client.get_transformation_results(in_scope(edge, scope), return_as="ProtocolDAGResults")
    return sorted(results, key=lambda result: str(result.key))  # type: ignore[arg-type, union-attr]


def test_a_copy_has_the_results_and_nothing_runs_again(
    client: AlchemiscaleClient,
    source: ScopedKey,
    edges: list[Transformation],
    run: Run,
    work: Work,
    count_rows: Callable[[], dict[str, int]],
    tmp_path: Path,
) -> None:
    done = run(source, edges[0], count=2)
    client.create_tasks(in_scope(edges[1], HERE), count=3)
    stored, before = files(tmp_path / "objects"), count_rows()

    copy = client.copy_network(source, THERE)

    assert copy == ScopedKey.of(source.gufe_key, THERE)
    assert client.get_network(copy) == client.get_network(source)
    assert client.get_network_status(copy, visualize=False) == {"complete": 2}
    assert client.get_network_state(copy) == "active"
    assert raw(client, edges[0], THERE) == raw(client, edges[0], HERE)
    # Tasks of their own, on the same bytes
    copies = client.get_network_tasks(copy)
    assert len(copies) == 2
    assert not {task.gufe_key for task in copies} & {task.gufe_key for task in done}
    assert [len(client.get_task_results(task)) for task in copies] == [1, 1]
    assert files(tmp_path / "objects") == stored
    # nothing is computed again
    client.action_tasks(copies, copy)
    assert work() == 0
    after = count_rows()
    assert {table: after[table] - before[table] for table in ("task", "attempt", "result", "action")} == {
        "task": 2,
        "attempt": 2,
        "result": 2,
        "action": 0,
    }
    # the first one is as it was
    assert client.get_network_status(source, visualize=False) == {"complete": 2, "waiting": 3}

    again = count_rows()
    assert client.copy_network(str(source), THERE) == copy
    assert count_rows() == again


def test_copying_again_adds_what_was_completed_since(
    client: AlchemiscaleClient, source: ScopedKey, edges: list[Transformation], run: Run
) -> None:
    run(source, edges[0])
    copy = client.copy_network(source, THERE, state="inactive")
    client.set_network_weight(copy, 0.9)
    (deleted,) = client.get_network_tasks(copy)
    client.set_tasks_status([deleted], "deleted")
    run(source, edges[0])
    run(source, edges[1])

    assert client.copy_network(source, THERE) == copy
    # what was deleted there stays so
    assert client.get_network_status(copy, visualize=False) == {"complete": 2, "deleted": 1}
    assert len(raw(client, edges[0], THERE)) == 2
    assert raw(client, edges[1], THERE) == raw(client, edges[1], HERE)
    assert (client.get_network_state(copy), client.get_network_weight(copy)) == ("inactive", 0.9)


def test_failures_of_a_complete_task_come_along_and_errors_do_not(
    client: AlchemiscaleClient, work: Work, tmp_path: Path
) -> None:
    settings = protocols.FlakySettings(failures=1, marker_directory=str(tmp_path / "markers"))
    edge = protocols.transformation(protocols.FlakyProtocol(settings))
    hopeless = protocols.transformation(protocols.FailingProtocol(protocols.FailingSettings()), name="hopeless")
    network = client.create_network(AlchemicalNetwork([edge, hopeless], name="flaky"), HERE)
    flaky, lost = (client.create_tasks(in_scope(one, HERE))[0] for one in (edge, hopeless))
    client.action_tasks([flaky, lost], network)
    work()
    client.set_tasks_status([flaky], "waiting")
    work()
    assert client.get_tasks_status([flaky, lost]) == ["complete", "error"]

    copy = client.copy_network(network, THERE)
    (task,) = client.get_network_tasks(copy)
    assert client.get_task_results(task) == client.get_task_results(flaky)
    assert client.get_task_failures(task) == client.get_task_failures(flaky)
    assert [result.ok() for result in client.get_task_failures(task)] == [False]
    assert client.get_network_failures(copy)[in_scope(hopeless, THERE)] == []


def test_who_extends_whom_is_kept_and_new_tasks_can_extend_a_copy(
    client: AlchemiscaleClient, source: ScopedKey, edges: list[Transformation], run: Run
) -> None:
    (first,) = run(source, edges[0])
    copy = client.copy_network(source, THERE)
    (second,) = run(source, edges[0], extends=first)
    run(source, edges[0], extends=second)
    client.set_tasks_priority([second], 3)
    client.copy_network(source, THERE)

    graph = client.get_transformation_tasks(in_scope(edges[0], THERE), return_as="graph")
    ends = [task for task in graph if not graph.in_degree(task)]  # type: ignore[union-attr]
    assert len(ends) == 1
    line = ends
    while list(graph.successors(line[-1])):  # type: ignore[union-attr]
        line += graph.successors(line[-1])  # type: ignore[union-attr]
    third_copy, second_copy, first_copy = line
    assert client.get_task_results(first_copy) == client.get_task_results(first)
    assert client.get_tasks_priority([second_copy, first_copy]) == [3, 10]
    assert client.get_task_results(second_copy) == client.get_task_results(second)

    # goes on from the shared bytes
    (new,) = run(copy, edges[0], extends=third_copy)
    (result,) = client.get_task_results(new)
    assert result.extends_key == client.get_task_results(third_copy)[0].key


def test_the_child_of_a_copy_that_was_deleted_stands_alone(
    client: AlchemiscaleClient, source: ScopedKey, edges: list[Transformation], run: Run
) -> None:
    (first,) = run(source, edges[0])
    copy = client.copy_network(source, THERE)
    client.set_tasks_status(client.get_network_tasks(copy), "deleted")
    run(source, edges[0], extends=first)
    client.copy_network(source, THERE)
    assert client.get_network_status(copy, visualize=False) == {"complete": 1, "deleted": 1}
    graph = client.get_transformation_tasks(in_scope(edges[0], THERE), return_as="graph")
    assert graph.number_of_edges() == 0  # type: ignore[union-attr]


def test_copies_of_copies_are_of_the_original(
    client: AlchemiscaleClient,
    source: ScopedKey,
    edges: list[Transformation],
    run: Run,
    count_rows: Callable[[], dict[str, int]],
) -> None:
    run(source, edges[0], count=2)
    there = client.copy_network(source, THERE)
    farther = client.copy_network(there, FARTHER)
    assert raw(client, edges[0], FARTHER) == raw(client, edges[0], HERE)
    before = count_rows()
    # the direct way, and home again
    assert client.copy_network(source, FARTHER) == farther
    assert client.copy_network(farther, HERE) == source
    assert client.merge_scopes([HERE, THERE], FARTHER)
    assert count_rows()["task"] == before["task"]
    assert client.get_network_status(farther, visualize=False) == {"complete": 2}


def test_a_copy_with_another_name_is_what_gufe_makes_of_it(
    client: AlchemiscaleClient, source: ScopedKey, edges: list[Transformation], run: Run
) -> None:
    run(source, edges[0])
    copy = client.copy_network(source, THERE, name="a copy", visualize=False)
    expected = AlchemicalNetwork(edges, name="a copy")
    assert copy == ScopedKey.of(str(expected.key), THERE)
    found = client.get_network(copy)
    assert (found, found.name) == (expected, "a copy")
    assert client.get_network_status(copy, visualize=False) == {"complete": 1}
    assert not client.check_exists(ScopedKey.of(source.gufe_key, THERE))
    # in the same scope the Tasks are there already
    renamed = client.copy_network(source, HERE, name="another")
    assert client.get_network_tasks(renamed) == client.get_network_tasks(source)


def test_networks_of_several_scopes_merge_into_one(
    client: AlchemiscaleClient, edges: list[Transformation], run: Run, work: Work
) -> None:
    more = protocols.transformation(name="more")
    here = client.create_network(AlchemicalNetwork(edges, name="left"), HERE)
    there = client.create_network(AlchemicalNetwork([edges[1], more], name="right"), THERE)
    run(here, edges[0], count=2)
    run(here, edges[1])
    run(there, edges[1])
    run(there, more)

    merged = client.merge_networks([here, str(there)], "merged", THERE)

    expected = AlchemicalNetwork([*edges, more], name="merged")
    assert merged == ScopedKey.of(str(expected.key), THERE)
    assert client.get_network(merged) == expected
    assert set(client.get_network_transformations(merged)) == {in_scope(edge, THERE) for edge in expected.edges}
    assert len(client.get_network_chemicalsystems(merged)) == len(expected.nodes)
    assert client.get_network_status(merged, visualize=False) == {"complete": 5}
    assert len(raw(client, edges[1], THERE)) == 2
    assert {str(result.key) for result in raw(client, edges[1], HERE)} < {
        str(result.key) for result in raw(client, edges[1], THERE)
    }
    assert work() == 0
    assert client.merge_networks([here, there], "merged", THERE) == merged
    assert client.get_network_status(merged, visualize=False) == {"complete": 5}
    assert client.query_networks(name="merged") == [merged]


def test_all_active_networks_of_scopes_are_copied(
    client: AlchemiscaleClient, source: ScopedKey, edges: list[Transformation], run: Run
) -> None:
    run(source, edges[0])
    active = {key.gufe_key for scope in (HERE, THERE) for key in client.query_networks(scope=scope)}
    inactive = client.query_networks(scope=HERE, state="inactive")

    copied = client.merge_scopes([HERE, THERE], FARTHER)

    assert copied == sorted(ScopedKey.of(key, FARTHER) for key in active)
    assert set(copied) <= set(client.query_networks(scope=FARTHER))
    assert ScopedKey.of(inactive[0].gufe_key, FARTHER) not in copied
    assert client.get_network_status(ScopedKey.of(source.gufe_key, FARTHER), visualize=False) == {"complete": 1}
    # a wildcard covers the target too, whose own networks are not for copying
    assert client.merge_scopes([Scope()], FARTHER, visualize=False) == copied
    assert client.merge_scopes([FARTHER], FARTHER) == []


def test_copies_at_once_make_no_task_twice(
    client: AlchemiscaleClient, source: ScopedKey, edges: list[Transformation], run: Run
) -> None:
    first = run(source, edges[0], count=6)
    run(source, edges[0], extends=first[0])
    there = client.copy_network(source, FARTHER, name="elsewhere")

    def copy(n: int) -> ScopedKey:
        if n % 4 == 3:
            client.set_tasks_priority(first, 10 + n)
        one, other = (source, THERE) if n % 2 else (there, HERE)
        return client.copy_network(one, other)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(copy, range(16)))) == 2
    assert client.get_network_status(ScopedKey.of(source.gufe_key, THERE), visualize=False) == {"complete": 7}
    assert client.get_network_status(source, visualize=False) == {"complete": 7}


def test_what_cannot_be_copied_changes_nothing(
    client: AlchemiscaleClient,
    source: ScopedKey,
    other_client: AlchemiscaleClient,
    count_rows: Callable[[], dict[str, int]],
) -> None:
    (inactive,) = client.query_networks(scope=HERE, state="inactive")
    missing = ScopedKey.of("AlchemicalNetwork-0123456789abcdef", HERE)
    before = count_rows()
    for call, message in [
        (lambda: client.copy_network(inactive, THERE), f"{inactive} is inactive; only active networks"),
        (lambda: client.merge_networks([source, inactive], "both", THERE), f"{inactive} is inactive"),
        (lambda: client.copy_network(missing, THERE), f"Status Code 400 .*No such object in database: {missing}"),
        (lambda: client.copy_network(missing, THERE, name="new"), f"No such object in database: {missing}"),
        (lambda: client.copy_network(source, FOREIGN), f"Targeted scope '{FOREIGN}' not accessible"),
        (lambda: other_client.copy_network(source, FOREIGN), f"Targeted scope '{HERE}' not accessible"),
        (
            lambda: client.copy_network(client.get_network_transformations(source)[0], THERE),
            "does not correspond to an",
        ),
    ]:
        with pytest.raises(AlchemiscaleClientError, match=message):
            call()
    for wrong, message in [
        (lambda: client.copy_network(source, Scope("test_org")), r"`scope` 'test_org-\*-\*' contains wildcards"),
        (lambda: client.copy_network(source, THERE, state="gone"), "'gone' is not a valid state"),
        (lambda: client.merge_networks([], "none", THERE), "`networks` is empty"),
        (lambda: client.merge_networks(source, "one", THERE), "`networks` must be a list"),  # type: ignore[arg-type]
        (lambda: client.merge_scopes(HERE, THERE), "`scopes` must be a list"),  # type: ignore[arg-type]
        (lambda: client.merge_scopes([HERE], Scope("test_org")), "contains wildcards"),
    ]:
        with pytest.raises(ValueError, match=message):
            wrong()
    assert count_rows() == before


def test_reading_the_source_is_enough(
    client: AlchemiscaleClient, log_in: LogIn, source: ScopedKey, edges: list[Transformation], run: Run
) -> None:
    run(source, edges[0])
    reader = log_in("reader", [Grant(HERE, Permission.read), Grant(FARTHER)])
    copy = reader.copy_network(source, FARTHER)
    assert reader.get_network_status(copy, visualize=False) == {"complete": 1}
    assert raw(reader, edges[0], FARTHER) == raw(client, edges[0], HERE)
    with pytest.raises(AlchemiscaleClientError, match="Status Code 403"):
        reader.copy_network(copy, HERE)


def test_who_copies_a_copy_need_not_see_where_it_came_from(
    client: AlchemiscaleClient, log_in: LogIn, source: ScopedKey, edges: list[Transformation], run: Run
) -> None:
    run(source, edges[0])
    there = client.copy_network(source, THERE)
    neighbour = log_in("neighbour", [Grant(THERE), Grant(FARTHER)])
    farther = neighbour.copy_network(there, FARTHER)
    assert raw(neighbour, edges[0], FARTHER) == raw(client, edges[0], HERE)
    (task,) = neighbour.get_network_tasks(farther)
    assert client.copy_network(source, FARTHER) == farther
    assert client.get_network_tasks(farther) == [task]


def test_scopes_of_different_gufe_lines_do_not_mix(
    client: AlchemiscaleClient, source: ScopedKey, system: System, count_rows: Callable[[], dict[str, int]]
) -> None:
    other = THERE
    with system.database.transaction() as connection:
        connection.execute(text("update scope set gufe_line = '9' where org = :org"), {"org": other.org})
    before = count_rows()
    (theirs,) = client.query_networks(scope=other)
    for call in (
        lambda: client.copy_network(source, other),
        lambda: client.copy_network(source, other, name="new"),
        lambda: client.merge_networks([source, theirs], "both", HERE),
        lambda: client.merge_scopes([HERE, other], FARTHER),
        lambda: client.copy_network(theirs, other, name="made by a client of the other line"),
    ):
        with pytest.raises(AlchemiscaleClientError, match="not interchangeable") as refused:
            call()
        assert refused.value.status_code == 409
    assert count_rows() == before
