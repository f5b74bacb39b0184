"""The released client and Tasks that ran: results, failures, restart patterns, Strategies, archives."""

import pytest

from tests import protocols
from tests.compat.released import LEAVES_OPEN, MISSING, Client, Key, Submit, Work, alchemiscale, key_of, refused

pytestmark = LEAVES_OPEN


def kilojoules(quantity: object) -> float:
    return float(quantity.m_as("kilojoule_per_mole"))  # type: ignore[attr-defined]


def test_it_gets_results(client: Client, submit: Submit, work: Work) -> None:
    network, edge, rest = submit(protocols.FanOutProtocol(protocols.FanOutSettings(n_samples=2)))
    tasks = client.create_tasks(edge, count=3)
    client.action_tasks(tasks, network)
    assert client.get_transformation_results(edge) is None
    assert client.get_transformation_results(edge, return_as="ProtocolResults", visualize=False) == []
    assert work() == 3
    assert client.get_tasks_status(tasks) == ["complete"] * 3
    assert client.get_network_status(network, visualize=False) == {"complete": 3}

    result = client.get_transformation_results(edge)
    assert result.n_protocol_dag_results == 3
    assert kilojoules(result.get_estimate()) == pytest.approx(-12.5, abs=2.0)
    pdrs = client.get_transformation_results(edge, return_as=alchemiscale.ResultFormat.PROTOCOL_DAG_RESULTS)
    assert [pdr.ok() for pdr in pdrs] == [True] * 3
    singles = client.get_transformation_results(edge, return_as="ProtocolResults", compress=False, visualize=False)
    assert [single.n_protocol_dag_results for single in singles] == [1] * 3
    with pytest.warns(DeprecationWarning, match="return_protocoldagresults"):
        assert set(client.get_transformation_results(edge, return_protocoldagresults=True)) == set(pdrs)
    assert {pdr for task in tasks for pdr in client.get_task_results(task, visualize=False)} == set(pdrs)
    assert client.get_transformation_failures(edge, visualize=False) == []
    # three results and the Transformation
    assert len(client._cache) == 4

    gathered = client.get_network_results(network)
    assert set(gathered) == {edge, rest}
    assert gathered[rest] is None
    assert kilojoules(gathered[edge].get_estimate()) == pytest.approx(kilojoules(result.get_estimate()))


def test_it_gets_failures(client: Client, submit: Submit, work: Work) -> None:
    network, edge, rest = submit(protocols.FailingProtocol(protocols.FailingSettings(message="did not converge")))
    tasks = client.create_tasks(edge, count=2)
    client.action_tasks(tasks, network)
    assert work() == 2
    assert (
        set(client.get_network_tasks(network, status="error")) == set(client.query_tasks(status="error")) == set(tasks)
    )
    failures = client.get_transformation_failures(edge)
    assert len(failures) == 2
    for failure in failures:
        (failed,) = failure.protocol_unit_failures
        assert failed.exception[0] == "RuntimeError"
        assert "did not converge" in failed.traceback
    assert client.get_transformation_results(edge, visualize=False) is None
    assert len(client.get_task_failures(tasks[0])) == 1
    assert {key: len(found) for key, found in client.get_network_failures(network).items()} == {edge: 2, rest: 0}
    # and has them run again
    assert client.set_tasks_status(tasks, "waiting") == tasks
    assert work() == 2
    assert len(client.get_task_failures(tasks[0], visualize=False)) == 2


def test_it_extends(client: Client, submit: Submit, work: Work) -> None:
    network, edge, _ = submit(protocols.ExtendingProtocol(protocols.FanOutSettings(n_samples=10)))
    (first,) = client.create_tasks(edge)
    (second,) = client.create_tasks(edge, extends=first)
    client.action_tasks([first, second], network)
    assert [work(), work(), work()] == [1, 1, 0]
    (result,) = client.get_task_results(second, visualize=False)
    assert result.protocol_unit_results[-1].outputs["step"] == 20


def test_it_has_tasks_restarted(client: Client, submit: Submit, work: Work) -> None:
    network, edge, _ = submit(protocols.FailingProtocol(protocols.FailingSettings(message="did not converge")))
    (task,) = client.create_tasks(edge)
    client.action_tasks([task], network)
    assert client.get_task_restart_patterns(network) == {}
    patterns = [r"RuntimeError: did not \w+", "MemoryError"]
    assert client.add_task_restart_patterns(network, patterns, 5) == network
    client.set_task_restart_patterns_allowed_restarts(network, patterns[:1], 2)
    assert client.get_task_restart_patterns(network) == {patterns[0]: 2, patterns[1]: 5}
    # two restarts, then it is left in error and taken off the network
    assert [work(), work(), work(), work()] == [1, 1, 1, 0]
    assert client.get_tasks_status([task]) == ["error"]
    assert client.get_network_actioned_tasks(network) == []
    client.remove_task_restart_patterns(network, patterns[:1])
    assert client.get_task_restart_patterns(network) == {patterns[1]: 5}
    client.clear_task_restart_patterns(network)
    assert client.get_task_restart_patterns(network) == {}
    with refused("Status Code 4.. : "):
        client.add_task_restart_patterns(network, ["(never closed"], 5)


def test_it_has_a_strategy(client: Client, network_key: Key) -> None:
    strategies = pytest.importorskip("stratocaster.strategies", reason="stratocaster is not installed")
    strategy = strategies.ConnectivityStrategy(strategies.ConnectivityStrategy.default_settings())
    assert client.get_network_strategy(network_key) is None
    assert client.get_network_strategy_state(network_key) is None
    assert client.get_network_strategy_status(network_key) is None
    assert client.set_network_strategy_awake(network_key) is None
    set_ = client.set_network_strategy(
        network_key, strategy, max_tasks_per_transformation=5, task_scaling="linear", mode="full", sleep_interval=60
    )
    assert set_ == key_of(f"{strategy.key}-{network_key.scope}")
    assert client.get_network_strategy(network_key) == strategy
    state = client.get_network_strategy_state(network_key)
    assert (state.mode, state.status, state.task_scaling) == ("full", "awake", "linear")
    assert (state.max_tasks_per_transformation, state.sleep_interval, state.iterations) == (5, 60, 0)
    assert (state.last_iteration, state.exception, state.traceback) == (None, None, None)
    assert client.get_network_strategy_status(network_key) == "awake"
    assert client.set_network_strategy_awake(network_key) == network_key
    with refused("Status Code 422 : Unprocessable"):
        client.set_network_strategy(network_key, strategy, mode="sometimes")
    with refused("Status Code 400 : Bad Request"):
        client.set_network_strategy(key_of(f"AlchemicalNetwork-{MISSING}"), strategy)
    assert client.set_network_strategy(network_key, None) is None
    assert client.get_network_strategy(network_key) is None


def test_it_archives(client: Client, submit: Submit, work: Work) -> None:
    network, edge, _ = submit(protocols.FanOutProtocol(protocols.FanOutSettings()))
    client.action_tasks(client.create_tasks(edge, count=2), network)
    assert work() == 2
    missing = f"AlchemicalNetwork-{MISSING}"
    archive, nothing = client.get_network_archives([network, missing], [{"doi": "10.5281/zenodo.1"}, None])
    assert nothing is None
    assert archive.network == client.get_network(network, visualize=False)
    assert archive.metadata == {"doi": "10.5281/zenodo.1"}
    found = {str(transformation.key): len(pdrs) for transformation, pdrs in archive.transformation_results}
    assert found == {str(edge.gufe_key): 2} | dict.fromkeys(found.keys() - {str(edge.gufe_key)}, 0)
    assert type(archive).from_json(content=archive.to_json()) == archive
