"""Stopping what runs, over HTTP and as the database lets a user: in all of the network's attempts, and no other."""

import uuid
from datetime import timedelta

import pytest

from alchemiscale_prefect import AlchemiscaleClient, NetworkStateEnum, Scope, ScopedKey
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.errors import AttemptVoid
from alchemiscale_prefect.services import dispatch, runs
from alchemiscale_prefect.services.runs import Run
from alchemiscale_prefect.wire import compute as wire

LEASE = timedelta(seconds=60)
WORKER = Principal.writing("worker", IdentityKind.compute, (Scope(),))


@pytest.fixture
def running(system: System, client: AlchemiscaleClient, network_key: ScopedKey) -> list[Run]:
    """Three Tasks: two run, one is on its way to a worker."""
    tasks = client.create_tasks(client.get_network_transformations(network_key)[0], count=3)
    client.action_tasks(tasks, network_key)
    launches = dispatch.claim(system.database, dispatch.Pool("test", 10, 10))
    begun = [Run(ScopedKey.from_str(item.attempt.task), item.attempt.n, item.attempt.task) for item in launches]
    for run in begun[:2]:
        body = wire.Begin(owner=run.owner, flow_run_id=str(uuid.uuid4()), host="here")
        runs.begin(system.database, WORKER, run, body, LEASE)
    return begun


def is_live(system: System, run: Run) -> bool:
    try:
        runs.heartbeat(system.database, WORKER, run, wire.Heartbeat(units_done=1, units_total=3), LEASE)
    except AttemptVoid:
        return False
    return True


def test_a_network_is_stopped(
    system: System, client: AlchemiscaleClient, network_key: ScopedKey, running: list[Run]
) -> None:
    tasks = [run.task for run in running]
    assert client.set_network_state(network_key, NetworkStateEnum.inactive, stop_tasks=True) == network_key
    assert not any(is_live(system, run) for run in running)
    for details in client.get_tasks_details(tasks):
        assert details is not None
        assert (details.status, details.current_claim) == ("waiting", None)
        assert details.most_recent_attempt is not None
        assert (details.most_recent_attempt.outcome, details.most_recent_attempt.reason) == (
            ("cancelled", "its network was stopped")
        )
    assert client.get_network_actioned_tasks(network_key) == []
    assert client.get_network_state(network_key) == "inactive"
    # and it can be taken up again
    assert client.set_network_state(network_key, "active") == network_key
    assert client.action_tasks(tasks, network_key) == tasks
    assert len(dispatch.claim(system.database, dispatch.Pool("test", 10, 10))) == 3


def test_a_network_whose_state_is_set_goes_on(
    system: System, client: AlchemiscaleClient, network_key: ScopedKey, running: list[Run]
) -> None:
    assert client.set_networks_state([network_key], ["deleted"]) == [network_key]
    assert [is_live(system, run) for run in running] == [True, True, False]
    assert len(client.get_network_actioned_tasks(network_key)) == 3


def test_tasks_are_cancelled_and_stopped(
    system: System, client: AlchemiscaleClient, network_key: ScopedKey, running: list[Run]
) -> None:
    first, second, _ = running
    assert client.cancel_tasks([first.task], network_key, stop_tasks=False) == [first.task]
    assert client.cancel_tasks([str(second.task)], str(network_key)) == [second.task]
    assert [is_live(system, run) for run in (first, second)] == [True, False]
    assert client.get_tasks_status([first.task, second.task]) == ["running", "waiting"]
