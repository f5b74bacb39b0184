"""What became of Tasks, over HTTP: executed ones, failed ones, and ones that somebody took out."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text

from alchemiscale_prefect import (
    AlchemiscaleClient,
    AlchemiscaleClientError,
    Scope,
    ScopedKey,
    TaskAttempt,
    TaskDetails,
    TaskStatusChange,
    TaskTracebacks,
)
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from alchemiscale_prefect.domain.errors import InvalidInput
from tests import protocols
from tests.integration.sdk.conftest import FOREIGN, SCOPES, USER, WORKER


@pytest.fixture
def failing(client: AlchemiscaleClient, scope: Scope) -> ScopedKey:
    """A network of one Transformation, whose Tasks fail."""
    protocol = protocols.FailingProtocol(protocols.FailingSettings(message="did not converge"))
    network = AlchemicalNetwork(edges=[protocols.transformation(protocol)], name="failing")
    return client.create_network(network, scope, visualize=False)


def test_a_task_that_was_executed(
    client: AlchemiscaleClient, network_key: ScopedKey, transformation_key: ScopedKey, work: Callable[[], int]
) -> None:
    done, waiting = client.create_tasks(transformation_key, count=2)
    client.action_tasks([done], network_key)
    assert work() == 1
    (attempt,) = client.get_task_history(done)
    assert isinstance(attempt, TaskAttempt)
    assert (attempt.n, attempt.outcome, attempt.hostname) == (1, "complete", "here")
    assert attempt.datetime_claimed <= attempt.datetime_started <= attempt.datetime_end  # type: ignore[operator]
    missing = ScopedKey.of("Task-none", done.scope)
    details = client.get_tasks_details([waiting, missing, str(done), ScopedKey.of(done.gufe_key, FOREIGN)])
    assert [one.status if one else None for one in details] == ["waiting", None, "complete", None]
    assert isinstance(details[2], TaskDetails)
    assert details[2].most_recent_attempt == attempt
    units = attempt.units_total
    assert units is not None
    assert client.get_tasks_progress([waiting, missing, done]) == [None, None, (units, units)]
    assert client.get_task_tracebacks(done) == []
    assert client.get_scope_compute_share(done.scope) == client.get_scope_compute_share(None) == 1.0
    assert client.get_scope_compute_share(f"{done.org}-*-*", hours=0.5) == 1.0
    assert client.get_scope_compute_share(FOREIGN) == 0.0


def test_a_task_that_failed(client: AlchemiscaleClient, failing: ScopedKey, work: Callable[[], int]) -> None:
    (tasks,) = client.set_tasks(failing).values()
    (task,) = tasks.created
    client.action_tasks([task], failing)
    for _ in range(2):
        assert work() == 1
        client.set_tasks_status([task], "waiting")
    second, first = client.get_task_tracebacks(task)
    assert isinstance(first, TaskTracebacks)
    assert (second.n, first.n) == (2, 1)
    assert second.datetime_created > first.datetime_created
    assert first.creator == "test_worker"
    # what the stored failure says, without having been fetched
    failures = {str(failure.key): failure for failure in client.get_task_failures(task, visualize=False)}
    assert len(failures) == 2
    kept = [unit for failure in failures.values() for unit in failure.protocol_unit_failures]
    shown = [unit for tracebacks in (first, second) for unit in tracebacks.tracebacks]
    assert {str(unit.key) for unit in kept} == {unit.failure_key for unit in shown}
    assert {str(unit.source_key) for unit in kept} == {unit.source_key for unit in shown}
    assert {unit.traceback for unit in kept} == {unit.traceback for unit in shown}
    assert client.get_task_tracebacks(task, limit=1) == [second]
    history = client.get_task_history(task)
    assert [(attempt.outcome, attempt.protocoldagresultref) for attempt in history] == [
        ("error", second.protocoldagresultref),
        ("error", first.protocoldagresultref),
    ]
    assert history[0].reason
    assert client.get_task_history(task, limit=1) == history[:1]


def test_what_is_asked_wrongly(client: AlchemiscaleClient, network_key: ScopedKey) -> None:
    missing = ScopedKey.of("Task-none", network_key.scope)
    for ask in (client.get_task_history, client.get_task_status_history, client.get_task_tracebacks):
        with pytest.raises(AlchemiscaleClientError, match="'No such object in database'"):
            ask(missing)
        with pytest.raises(AlchemiscaleClientError, match=r"Status Code 422 .*limit"):
            ask(missing, limit=0)
        with pytest.raises(AlchemiscaleClientError, match="not accessible"):
            ask(ScopedKey.of("Task-none", FOREIGN))
    with pytest.raises(AlchemiscaleClientError, match="`hours` must be more than 0"):
        client.get_scope_compute_share(None, hours=0)
    assert client.get_tasks_details([]) == client.get_tasks_progress([]) == []


def test_every_change_of_a_status_is_told(
    client: AlchemiscaleClient, network_key: ScopedKey, transformation_key: ScopedKey, work: Callable[[], int]
) -> None:
    done, other = client.create_tasks(transformation_key, count=2)
    assert client.get_task_status_history(done) == []
    client.action_tasks([done], network_key)
    assert work() == 1
    client.set_tasks_status([done], "invalid", reason="wrong ligand")
    changes = client.get_task_status_history(str(done))
    assert all(isinstance(change, TaskStatusChange) for change in changes)
    told = [(c.from_status, c.to_status, c.cause, c.who, c.why, c.attempt, c.hostname) for c in changes]
    assert told == [
        ("complete", "invalid", "user", USER, "wrong ligand", 1, "here"),
        ("running", "complete", "outcome", WORKER, None, 1, "here"),
        ("waiting", "running", "begin", WORKER, None, 1, "here"),
    ]
    assert changes == sorted(changes, key=lambda change: change.datetime_changed, reverse=True)
    assert client.get_task_status_history(done, limit=2) == changes[:2]
    assert client.get_task_status_history(other) == []


def test_a_task_that_rests_says_until_when(
    client: AlchemiscaleClient, transformation_key: ScopedKey, system: System
) -> None:
    resting, rested = client.create_tasks(transformation_key, count=2)
    until = system.database.now() + timedelta(minutes=5)
    with system.database.transaction() as connection:
        for task, when in ((resting, until), (rested, until - timedelta(hours=1))):
            connection.execute(
                text("update task set not_before = :when where key = :key"), {"when": when, "key": task.gufe_key}
            )
    assert [one and one.not_before for one in client.get_tasks_details([resting, rested])] == [until, None]


def test_the_reason_of_who_took_a_task_out_is_shown(client: AlchemiscaleClient, transformation_key: ScopedKey) -> None:
    first, second = client.create_tasks(transformation_key, count=2)
    (child,) = client.create_tasks(transformation_key, extends=first)
    reason = "the ligand’s charge is wrong\nsee the notebook"
    assert client.set_tasks_status([first], "invalid", reason=reason) == [first]
    assert client.set_tasks_status([second], "deleted") == [second]
    details = client.get_tasks_details([first, child, second])
    assert [one.reason if one else "" for one in details] == [reason, reason, None]
    # a second one finds it invalid already, and changes nothing
    client.set_tasks_status([first], "invalid", reason="another")
    assert client.get_tasks_details([first])[0].reason == reason  # type: ignore[union-attr]


def test_a_reason_for_another_status_is_refused(client: AlchemiscaleClient, transformation_key: ScopedKey) -> None:
    tasks = client.create_tasks(transformation_key)
    with pytest.raises(InvalidInput, match="`reason` is recorded for 'invalid' and 'deleted' only"):
        client.set_tasks_status(tasks, "waiting", reason="why not")
    body = {"tasks": [tasks[0].to_dict()], "status": "waiting", "reason": "why not"}
    with pytest.raises(AlchemiscaleClientError, match=r"Status Code 400 .*`reason` is recorded"):
        client._post("/bulk/tasks/status/set", body)
    for reason in ("x" * 10_001, "\0"):
        with pytest.raises(AlchemiscaleClientError, match=r"Status Code 422 .*reason"):
            client.set_tasks_status(tasks, "deleted", reason=reason)
    assert client.get_tasks_status(tasks) == ["waiting"]


def test_many_tasks_are_asked_for_in_batches(client: AlchemiscaleClient, transformation_key: ScopedKey) -> None:
    tasks = client.create_tasks(transformation_key, count=1500)
    found = client.get_tasks_details(tasks[::-1])
    assert [one.task if one else None for one in found] == tasks[::-1]
    assert client.get_tasks_progress(tasks) == [None] * 1500


def test_a_copied_task_has_its_history_and_used_nothing(
    client: AlchemiscaleClient, network_key: ScopedKey, transformation_key: ScopedKey, work: Callable[[], int]
) -> None:
    (task,) = client.create_tasks(transformation_key)
    client.action_tasks([task], network_key)
    assert work() == 1
    copied = client.copy_network(network_key, SCOPES[1], name="copied", visualize=False)
    (copy,) = client.get_network_tasks(copied)
    (original_attempt,), (attempt,) = client.get_task_history(task), client.get_task_history(copy)
    assert attempt.protocoldagresultref is not None
    assert attempt.protocoldagresultref.scope == SCOPES[1]
    assert attempt.datetime_end == original_attempt.datetime_end
    assert (client.get_scope_compute_share(SCOPES[0]), client.get_scope_compute_share(SCOPES[1])) == (1.0, 0.0)
    assert client.get_network_progress(copied).completed == 0
