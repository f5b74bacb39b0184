"""Actioning Tasks on networks: what is answered with None, weights, and what is queued."""

import json

import pytest

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.tasks import TaskStatus
from tests.api_server import FOREIGN, SCOPE, refused, refused_as_missing
from tests.chains import keys_of, network_chain

MISSING = ScopedKey.of("Task-none", SCOPE)
NO_NETWORK = ScopedKey.of("AlchemicalNetwork-none", SCOPE)


@pytest.fixture
def chain():
    return network_chain("whole", ["a", "b", "c"], [(0, 1), (1, 2), (2, 2)])


@pytest.fixture
def network(submit, chain):
    return submit(chain)


@pytest.fixture
def edge(chain):
    return keys_of(chain, "Transformation")[0]


@pytest.fixture
def action(client, network):
    def asked(tasks, on=None, **kwargs):
        body = {"tasks": [task.to_dict() for task in tasks], **kwargs}
        return client.post(f"/networks/{on or network}/tasks/action", content=json.dumps(body))

    return asked


@pytest.fixture
def actioned(client, network):
    def found(on=None):
        return client.post(f"/networks/{on or network}/tasks/actioned", json={"task_weights": True}).json()

    return found


def test_new_ones_are_given_back_and_old_ones_are_none(network, edge, make_tasks, action, actioned, queued):
    tasks = make_tasks(edge, 3)
    assert action(tasks[:2]).json() == [str(task) for task in tasks[:2]]
    assert action(tasks).json() == [None, None, str(tasks[2])]
    assert actioned() == dict.fromkeys(map(str, tasks), 0.5)
    assert queued() == {task.gufe_key for task in tasks}


def test_a_task_named_twice_is_actioned_once(network, edge, make_tasks, action, actioned):
    (task,) = make_tasks(edge)
    assert action([task, task]).json() == [str(task)] * 2
    assert actioned() == {str(task): 0.5}


def test_what_cannot_be_actioned_here_is_none(submit, network, edge, chain, make_tasks, action, actioned):
    part = submit(network_chain("part", ["a", "b"], [(0, 1)]))
    submit(chain, FOREIGN)
    (foreign,) = make_tasks(edge, 1, FOREIGN)
    (elsewhere,) = make_tasks(keys_of(chain, "Transformation")[1])
    (here,) = make_tasks(edge)
    disguised = ScopedKey.of(foreign.gufe_key, SCOPE)
    asked = [MISSING, elsewhere, here, foreign, disguised]
    assert action(asked, on=part).json() == [None, None, str(here), None, None]
    assert actioned(part) == {str(here): 0.5}
    assert actioned(network) == {}


def test_only_what_waits_runs_or_failed_can_be_actioned(network, edge, make_tasks, force, action, queued):
    tasks = dict(zip(TaskStatus, make_tasks(edge, len(TaskStatus)), strict=True))
    for status, task in tasks.items():
        force(task, status)
    answer = dict(zip(tasks, action(tasks.values()).json(), strict=True))
    assert {status for status, key in answer.items() if key is not None} == {"waiting", "running", "error"}
    assert queued() == {tasks[TaskStatus.waiting].gufe_key}


def test_a_task_may_be_actioned_on_several_networks(client, submit, network, edge, make_tasks, action):
    part = submit(network_chain("part", ["a", "b"], [(0, 1)]))
    (task,) = make_tasks(edge)
    action([task], on=part, weight=0.25)
    action([task])
    path = f"/tasks/{task}/networks/actioned"
    assert client.post(path, json={"task_weights": True}).json() == {str(part): 0.25, str(network): 0.5}
    assert client.post(path, json={"task_weights": False}).json() == [str(part), str(network)]
    answer = client.post(
        "/bulk/networks/tasks/actioned", json={"networks": [str(network), str(part)], "task_weights": True}
    )
    assert answer.json() == [{str(task): 0.5}, {str(task): 0.25}]
    body = {"networks": [str(part)], "task_weights": False}
    assert client.post("/bulk/networks/tasks/actioned", json=body).json() == [[str(task)]]


def test_one_weight_for_all_new_and_old(network, edge, make_tasks, action, actioned):
    tasks = make_tasks(edge, 3)
    action(tasks[:1])
    assert action(tasks, weight=1).json() == [None, str(tasks[1]), str(tasks[2])]
    assert actioned() == dict.fromkeys(map(str, tasks), 1.0)
    assert action(tasks).json() == [None] * 3
    assert actioned() == dict.fromkeys(map(str, tasks), 1.0)


def test_a_weight_for_each_and_weight_zero_is_never_queued(network, edge, make_tasks, action, actioned, queued):
    tasks = make_tasks(edge, 3)
    action(tasks, weight=[0.1, 0, 0.3])
    assert actioned() == dict(zip(map(str, tasks), [0.1, 0.0, 0.3], strict=True))
    assert queued() == {tasks[0].gufe_key, tasks[2].gufe_key}
    action([tasks[1], tasks[0]], weight=[0.9, 0.0])
    assert queued() == {tasks[1].gufe_key, tasks[2].gufe_key}


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (1.1, "weight must be between 0 and 1 (inclusive)"),
        (-0.1, "weight must be between 0 and 1 (inclusive)"),
        (float("nan"), "weight must be between 0 and 1 (inclusive)"),
        ([0.5, 1.1], "weights must be between 0 and 1 (inclusive)"),
        ([0.5], "weight (when in a list) must have the same length as tasks"),
        ([], "weight (when in a list) must have the same length as tasks"),
    ],
)
def test_a_bad_weight_actions_nothing(network, edge, make_tasks, action, actioned, weight, said):
    tasks = make_tasks(edge, 2)
    assert refused(action(tasks, weight=weight), 400, "invalid_input", "weight") == said
    assert actioned() == {}


def test_a_weight_that_is_no_number(network, edge, make_tasks, action):
    refused(action(make_tasks(edge), weight="heavy"), 422, "invalid_body", "weight")


def test_what_is_no_network(client, chain, network, edge, make_tasks, action):
    tasks = make_tasks(edge)
    no_network = ScopedKey.of(edge, SCOPE)
    said = "`network` ScopedKey does not correspond to an `AlchemicalNetwork`"
    body = {"tasks": [tasks[0].to_dict()]}
    for path, content in (("action", body), ("cancel", body), ("actioned", {"task_weights": True})):
        answer = client.post(f"/networks/{no_network}/tasks/{path}", json=content)
        assert refused(answer, 400, "invalid_input", "network") == said
        assert refused_as_missing(client.post(f"/networks/{NO_NETWORK}/tasks/{path}", json=content))
        foreign = ScopedKey.of(network.gufe_key, FOREIGN)
        refused(client.post(f"/networks/{foreign}/tasks/{path}", json=content), 401, "not_authorized", "scope")
    for key in (no_network, NO_NETWORK):
        body = {"networks": [str(network), str(key)], "task_weights": False}
        assert client.post("/bulk/networks/tasks/actioned", json=body).status_code == 400


def test_cancelling(client, submit, network, edge, make_tasks, action, actioned, queued):
    part = submit(network_chain("part", ["a", "b"], [(0, 1)]))
    tasks = make_tasks(edge, 3)
    action(tasks[:2])
    action(tasks[:2], on=part)

    def cancel(asked):
        body = {"tasks": [task.to_dict() for task in asked]}
        return client.post(f"/networks/{network}/tasks/cancel", json=body).json()

    assert cancel([tasks[0], tasks[2], MISSING, tasks[0]]) == [str(tasks[0]), None, None, str(tasks[0])]
    assert cancel([tasks[0]]) == [None]
    assert actioned() == {str(tasks[1]): 0.5}
    assert set(actioned(part)) == set(map(str, tasks[:2]))
    assert queued() == {task.gufe_key for task in tasks[:2]}
    # and again, with a weight of its own
    assert action(tasks[:1], weight=0.7).json() == [str(tasks[0])]
    assert actioned()[str(tasks[0])] == 0.7


@pytest.mark.parametrize("attempt", ["dispatched", "running"])
def test_cancelling_everywhere_stops_what_is_under_way(
    client, submit, network, edge, make_tasks, force, action, attempts_of, attempt
):
    part = submit(network_chain("part", ["a", "b"], [(0, 1)]))
    (task,) = make_tasks(edge)
    action([task])
    action([task], on=part)
    force(task, "waiting" if attempt == "dispatched" else "running", attempt)
    body = {"tasks": [task.to_dict()]}
    client.post(f"/networks/{network}/tasks/cancel", json=body)
    assert attempts_of(task) == [attempt]
    client.post(f"/networks/{part}/tasks/cancel", json=body)
    assert attempts_of(task) == ["cancelled"]
    assert client.get(f"/tasks/{task}/status").json() == "waiting"


def test_a_child_is_queued_once_its_parent_is_complete(
    client, database, network, edge, make_tasks, force, action, queued
):
    (parent,) = make_tasks(edge)
    (child,) = make_tasks(edge, extends=parent)
    action([parent, child])
    assert queued() == {parent.gufe_key}
    force(parent, "complete")
    force(child, "waiting")
    assert queued() == {child.gufe_key}


def test_priorities_of_actioned_tasks_follow(client, database, network, edge, make_tasks, action):
    tasks = make_tasks(edge, 2)
    action(tasks)
    client.post("/bulk/tasks/priority/set", json={"tasks": [tasks[0].to_dict()], "priority": 1})
    with database.transaction() as connection:
        rows = connection.exec_driver_sql("select t.key, a.priority from action a join task t on t.id = a.task_id")
        assert dict(rows.tuples().all()) == {tasks[0].gufe_key: 1, tasks[1].gufe_key: 10}
