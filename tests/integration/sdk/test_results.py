"""Results: Tasks run over the compute API in this process, and what the client gets of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, ResultFormat, Scope, ScopedKey
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, NonTransformation, Protocol, Transformation, unit
from tests import protocols

Work = Callable[[], int]


@pytest.fixture
def submit(client: AlchemiscaleClient, scope: Scope) -> Callable[[Protocol], tuple[ScopedKey, ScopedKey, ScopedKey]]:
    """Submits a network of one Transformation and one NonTransformation; gives the keys of all three."""

    def submitted(protocol: Protocol) -> tuple[ScopedKey, ScopedKey, ScopedKey]:
        edge = protocols.transformation(protocol, name="the edge")
        rest = NonTransformation(system=edge.stateA, protocol=protocol, name="at rest")
        key = client.create_network(AlchemicalNetwork([edge, rest], name="small"), scope)
        return key, ScopedKey.of(str(edge.key), scope), ScopedKey.of(str(rest.key), scope)

    return submitted


def kilojoules(quantity: object) -> float:
    return float(quantity.m_as("kilojoule_per_mole"))  # type: ignore[attr-defined]


def test_get_transformation_and_network_results(
    client: AlchemiscaleClient, submit: Callable[..., tuple[ScopedKey, ScopedKey, ScopedKey]], work: Work
) -> None:
    network, edge, rest = submit(protocols.FanOutProtocol(protocols.FanOutSettings(n_samples=2)))
    tasks = client.create_tasks(edge, count=3)
    client.action_tasks(tasks, network)
    assert client.get_transformation_results(edge) is None
    assert client.get_network_results(network) == {edge: None, rest: None}

    assert work() == 3
    assert client.get_tasks_status(tasks) == ["complete"] * 3
    assert client.get_network_actioned_tasks(network) == []
    assert client.get_network_status(network) == {"complete": 3}

    result = client.get_transformation_results(edge)
    assert kilojoules(result.get_estimate()) == pytest.approx(-12.5, abs=2.0)  # type: ignore[union-attr]
    assert result.n_protocol_dag_results == 3  # type: ignore[union-attr]
    singles = client.get_transformation_results(edge, return_as=ResultFormat.PROTOCOL_RESULTS)
    assert [single.n_protocol_dag_results for single in singles] == [1] * 3  # type: ignore[union-attr]
    raw = client.get_transformation_results(edge, return_as="ProtocolDAGResults")
    assert [pdr.ok() for pdr in raw] == [True] * 3  # type: ignore[union-attr]
    assert {pdr.transformation_key for pdr in raw} == {edge.gufe_key}  # type: ignore[union-attr]
    with pytest.warns(DeprecationWarning, match="return_protocoldagresults"):
        assert client.get_transformation_results(edge, return_protocoldagresults=True) == raw

    gathered = client.get_network_results(network)
    assert set(gathered) == {edge, rest}
    assert gathered[edge].get_estimate() == result.get_estimate()  # type: ignore[union-attr]
    assert gathered[rest] is None
    assert client.get_network_results(network, return_as="ProtocolDAGResults") == {edge: raw, rest: []}
    assert client.get_network_failures(network) == {edge: [], rest: []}
    assert client.get_transformation_failures(edge) == []

    estimates = {line.transformation: line for line in client.get_network_estimates(network)}
    assert set(estimates) == {edge, rest}
    line = estimates[edge]
    assert (line.name, line.units, len(line.estimates)) == ("the edge", "kilojoule_per_mole", 3)
    assert [line.state_a, line.state_b] == client.get_transformation_chemicalsystems(edge)
    assert sorted(line.estimates) == pytest.approx(sorted(kilojoules(one.get_estimate()) for one in singles))  # type: ignore[union-attr, type-var]
    assert estimates[rest].estimates == []


def test_get_transformation_and_network_failures(
    client: AlchemiscaleClient, submit: Callable[..., tuple[ScopedKey, ScopedKey, ScopedKey]], work: Work
) -> None:
    network, edge, rest = submit(protocols.FailingProtocol(protocols.FailingSettings(message="did not converge")))
    tasks = client.create_tasks(edge, count=2)
    client.action_tasks(tasks, network)
    assert work() == 2
    assert client.get_tasks_status(tasks) == ["error"] * 2
    # an errored Task stays actioned
    assert set(client.get_network_actioned_tasks(network)) == set(tasks)

    assert client.get_transformation_results(edge) is None
    failures = client.get_transformation_failures(edge)
    assert len(failures) == 2
    for failure in failures:
        assert not failure.ok()
        (failed,) = failure.protocol_unit_failures
        name, arguments = failed.exception
        assert (name, list(arguments)) == ("RuntimeError", ["did not converge"])
        assert "did not converge" in failed.traceback
    assert client.get_network_failures(network) == {edge: failures, rest: []}
    assert client.get_network_results(network) == {edge: None, rest: None}

    # made to wait again it runs again, and its failures stay
    assert client.set_tasks_status(tasks[:1], "waiting") == tasks[:1]
    assert work() == 1
    assert len(client.get_task_failures(tasks[0])) == 2
    assert len(client.get_task_failures(tasks[1])) == 1


def test_get_task_results(
    client: AlchemiscaleClient, submit: Callable[..., tuple[ScopedKey, ScopedKey, ScopedKey]], work: Work
) -> None:
    network, edge, rest = submit(protocols.FanOutProtocol(protocols.FanOutSettings()))
    tasks = client.create_transformations_tasks([edge, edge, rest])
    client.action_tasks(tasks, network)
    assert work() == 3
    for task, transformation in zip(tasks, (edge, edge, rest), strict=True):
        (result,) = client.get_task_results(task)
        assert result.ok()
        assert result.transformation_key == transformation.gufe_key
        assert client.get_task_failures(task) == []


def test_get_task_failures(
    client: AlchemiscaleClient,
    submit: Callable[..., tuple[ScopedKey, ScopedKey, ScopedKey]],
    work: Work,
    tmp_path: Path,
) -> None:
    settings = protocols.FlakySettings(failures=1, marker_directory=str(tmp_path / "markers"))
    network, edge, _ = submit(protocols.FlakyProtocol(settings))
    (task,) = client.create_tasks(edge)
    assert (client.get_task_results(task), client.get_task_failures(task)) == ([], [])
    client.action_tasks([task], network)
    work()
    assert client.get_tasks_status([task]) == ["error"]
    client.set_tasks_status([task], "waiting")
    work()
    assert client.get_tasks_status([task]) == ["complete"]
    (result,) = client.get_task_results(task)
    (failure,) = client.get_task_failures(str(task))
    assert result.ok()
    assert not failure.ok()
    # a deleted Task's results stay
    client.set_tasks_status([task], "deleted")
    assert client.get_task_results(task) == [result]
    assert client.get_transformation_results(edge, return_as="ProtocolDAGResults") == [result]


def test_get_task_results_of_no_task(client: AlchemiscaleClient, scope: Scope) -> None:
    missing = ScopedKey.of("Task-00000000000000000000000000000000", scope)
    for find in (client.get_task_results, client.get_task_failures):
        with pytest.raises(AlchemiscaleClientError, match="Status Code 400 : Bad Request : 'No such object in"):
            find(missing)


def test_an_extending_task_starts_where_its_parent_ended(
    client: AlchemiscaleClient, submit: Callable[..., tuple[ScopedKey, ScopedKey, ScopedKey]], work: Work
) -> None:
    network, edge, _ = submit(protocols.ExtendingProtocol(protocols.FanOutSettings(n_samples=10)))
    (first,) = client.create_tasks(edge)
    (second,) = client.create_tasks(edge, extends=first)
    client.action_tasks([first, second], network)
    # the second waits for the first
    assert [work(), work(), work()] == [1, 1, 0]
    (parent,), (child,) = client.get_task_results(first), client.get_task_results(second)
    assert child.extends_key == parent.key
    assert child.protocol_unit_results[-1].outputs["step"] == 20


def test_results_of_a_nontransformation(
    client: AlchemiscaleClient, submit: Callable[..., tuple[ScopedKey, ScopedKey, ScopedKey]], work: Work
) -> None:
    network, _, rest = submit(protocols.FanOutProtocol(protocols.FanOutSettings()))
    client.action_tasks(client.create_tasks(rest), network)
    assert work() == 1
    assert client.get_transformation_results(rest).n_protocol_dag_results == 1  # type: ignore[union-attr]


def test_cached_pdr(
    client: AlchemiscaleClient, submit: Callable[..., tuple[ScopedKey, ScopedKey, ScopedKey]], work: Work
) -> None:
    network, edge, _ = submit(protocols.FanOutProtocol(protocols.FanOutSettings()))
    client.action_tasks(client.create_tasks(edge, count=3), network)
    work()
    client.get_transformation_results(edge)
    # three results and the Transformation
    assert len(client._cache) == 4
    another = AlchemiscaleClient(**client._settings())
    another.get_transformation_results(edge)
    assert len(client._cache) == 4
    another.close()


def test_many_transformations_results_come_with_their_own_transformation(
    client: AlchemiscaleClient, scope: Scope, work: Work
) -> None:
    edges = [
        Transformation(
            stateA=protocols.salt_water(0.0, "pure"),
            stateB=protocols.salt_water(0.15, "salted"),
            protocol=protocols.FanOutProtocol(
                protocols.FanOutSettings(
                    n_samples=1,
                    free_energy=float(n) * unit.kilojoule_per_mole,
                    noise=0.0 * unit.kilojoule_per_mole,
                )
            ),
            name=str(n),
        )
        for n in range(10)
    ]
    network = client.create_network(AlchemicalNetwork(edges, name="many"), scope)
    client.action_tasks(client.create_transformations_tasks(client.get_network_transformations(network)), network)
    assert work() == 10
    found = client.get_network_results(network)
    values = {key: kilojoules(result.get_estimate()) for key, result in found.items()}  # type: ignore[union-attr]
    assert values == {ScopedKey.of(str(edge.key), scope): pytest.approx(float(edge.name)) for edge in edges}
