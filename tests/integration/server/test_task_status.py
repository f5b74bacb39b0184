"""What a Task's status may become when a user asks, and what goes with it."""

import functools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alchemiscale_prefect.domain.errors import InvalidInput, UnknownState
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.tasks import USER_SETTABLE, TaskStatus
from alchemiscale_prefect.domain.transitions import may_become
from alchemiscale_prefect.services import tasks as service
from tests.api_server import FOREIGN, SCOPE, refused
from tests.chains import keys_of, network_chain

SETTABLE = [status.value for status in USER_SETTABLE]


@pytest.fixture
def edge(submit):
    chain = network_chain()
    submit(chain)
    return keys_of(chain, "Transformation")[0]


@pytest.fixture
def network():
    return ScopedKey.of(network_chain()[-1][0], SCOPE)


@pytest.fixture
def set_status(client):
    def asked(tasks, status):
        body = {"tasks": [task.to_dict() for task in tasks], "status": status}
        return client.post("/bulk/tasks/status/set", json=body)

    return asked


@pytest.fixture
def status_of(client):
    def found(*tasks):
        return client.post("/bulk/tasks/status/get", json={"tasks": [task.to_dict() for task in tasks]}).json()

    return found


@pytest.mark.parametrize("new", SETTABLE)
def test_each_transition_is_made_or_answered_with_none(edge, make_tasks, force, set_status, status_of, new):
    tasks = dict(zip(TaskStatus, make_tasks(edge, len(TaskStatus)), strict=True))
    for status, task in tasks.items():
        force(task, status)
    answer = set_status(tasks.values(), new).json()
    for (status, task), said, became in zip(tasks.items(), answer, status_of(*tasks.values()), strict=True):
        allowed = may_become(status, TaskStatus(new))
        assert (said, became) == ((str(task), new) if allowed else (None, status.value)), (status, new)


def test_the_single_route_does_the_same(client, edge, make_tasks, force):
    (task,) = make_tasks(edge)
    assert client.post(f"/tasks/{task}/status", json="invalid").json() == str(task)
    assert client.post(f"/tasks/{task}/status", json="waiting").json() is None
    assert client.get(f"/tasks/{task}/status").json() == "invalid"
    missing = ScopedKey.of("Task-none", SCOPE)
    assert client.post(f"/tasks/{missing}/status", json="invalid").json() is None
    assert client.get(f"/tasks/{missing}/status").json() is None
    foreign = ScopedKey.of(task.gufe_key, FOREIGN)
    refused(client.post(f"/tasks/{foreign}/status", json="invalid"), 401, "not_authorized", "scope")
    refused(client.get(f"/tasks/{foreign}/status"), 401, "not_authorized", "scope")


@pytest.mark.parametrize("status", ["running", "complete", "error"])
def test_what_only_a_run_may_say(edge, make_tasks, set_status, status_of, status):
    (task,) = make_tasks(edge)
    detail = refused(set_status([task], status), 400, "invalid_input", "status")
    assert detail == (f"Cannot set status to 'TaskStatusEnum.{status}', must be one of 'waiting', 'invalid', 'deleted'")
    assert status_of(task) == ["waiting"]


@pytest.mark.parametrize("status", ["notastatus", "", "WAITING", "\0", "\ud800"])
def test_an_unknown_status(edge, make_tasks, client, status_of, status):
    (task,) = make_tasks(edge)
    body = json.dumps({"tasks": [task.to_dict()], "status": status})
    detail = refused(client.post("/bulk/tasks/status/set", content=body), 400, "unknown_state", "status")
    assert detail == f"{status!r} is not a valid TaskStatusEnum"
    assert status_of(task) == ["waiting"]


def test_missing_foreign_and_disguised_tasks_are_none_and_untouched(
    submit, edge, make_tasks, set_status, status_of, log_in
):
    submit(scope=FOREIGN)
    (mine,), (foreign,) = make_tasks(edge), make_tasks(edge, 1, FOREIGN)
    disguised = ScopedKey.of(foreign.gufe_key, SCOPE)
    missing = ScopedKey.of("Task-none", SCOPE)
    assert set_status([foreign, mine, disguised, missing, mine], "deleted").json() == [
        None,
        str(mine),
        None,
        None,
        str(mine),
    ]
    assert status_of(foreign, mine, disguised, missing) == [None, "deleted", None, None]
    owner = log_in("owner", [FOREIGN])
    body = {"tasks": [foreign.to_dict()]}
    assert owner.post("/bulk/tasks/status/get", json=body).json() == ["waiting"]


@pytest.mark.parametrize("final", ["invalid", "deleted"])
def test_a_final_status_goes_down_to_all_that_extend_it(edge, make_tasks, force, set_status, status_of, final):
    (root,) = make_tasks(edge)
    left, right = make_tasks(edge, 2, extends=root)
    (leaf,) = make_tasks(edge, extends=left)
    gone, void = make_tasks(edge, 2, extends=right)
    (below_gone,) = make_tasks(edge, extends=gone)
    (beside,) = make_tasks(edge)
    force(left, "complete")
    force(leaf, "error")
    force(gone, "deleted")
    force(void, "invalid")
    assert set_status([root], final).json() == [str(root)]
    # what was invalid or deleted stays what it was
    assert status_of(root, left, right, leaf) == [final] * 4
    assert status_of(gone, void, below_gone, beside) == ["deleted", "invalid", final, "waiting"]


def test_a_refused_transition_does_not_cascade(edge, make_tasks, force, set_status, status_of):
    (root,) = make_tasks(edge)
    (child,) = make_tasks(edge, extends=root)
    force(root, "invalid")
    assert set_status([root], "deleted").json() == [None]
    assert status_of(root, child) == ["invalid", "waiting"]


def test_final_statuses_take_tasks_off_every_network(client, submit, edge, network, make_tasks, set_status, queued):
    other = submit(network_chain("other"))
    (root,) = make_tasks(edge)
    (child,) = make_tasks(edge, extends=root)
    for one in (network, other):
        client.post(f"/networks/{one}/tasks/action", json={"tasks": [root.to_dict(), child.to_dict()]})
    assert queued() == {root.gufe_key}
    set_status([root], "deleted")
    for one in (network, other):
        assert client.post(f"/networks/{one}/tasks/actioned", json={"task_weights": False}).json() == []
    assert queued() == set()


def test_a_task_in_error_that_is_set_waiting_may_be_claimed_again(
    client, database, edge, network, make_tasks, force, set_status, queued
):
    (task,) = make_tasks(edge)
    client.post(f"/networks/{network}/tasks/action", json={"tasks": [task.to_dict()]})
    force(task, "error", attempt="error")
    with database.transaction() as connection:
        connection.exec_driver_sql("update task set losses = 3, reason = 'it broke'")
    assert queued() == set()
    assert set_status([task], "waiting").json() == [str(task)]
    assert queued() == {task.gufe_key}
    with database.transaction() as connection:
        assert connection.exec_driver_sql("select losses, reason from task").one() == (0, None)


@pytest.mark.parametrize("new", SETTABLE)
def test_a_running_task_loses_its_attempt_whatever_it_is_set_to(edge, make_tasks, force, set_status, attempts_of, new):
    (task,) = make_tasks(edge)
    force(task, "running", attempt="running")
    assert set_status([task], new).json() == [str(task)]
    assert attempts_of(task) == ["cancelled"]


def test_a_dispatched_task_keeps_its_attempt_when_it_is_set_to_what_it_is(
    client, edge, network, make_tasks, force, set_status, attempts_of, queued
):
    (task,) = make_tasks(edge)
    client.post(f"/networks/{network}/tasks/action", json={"tasks": [task.to_dict()]})
    force(task, "waiting", attempt="dispatched")
    assert set_status([task], "waiting").json() == [str(task)]
    assert attempts_of(task) == ["dispatched"]
    assert queued() == set()
    set_status([task], "invalid")
    assert attempts_of(task) == ["cancelled"]


def test_a_cascade_stops_the_runs_below(edge, make_tasks, force, set_status, attempts_of):
    (root,) = make_tasks(edge)
    (child,) = make_tasks(edge, extends=root)
    force(root, "complete")
    force(child, "running", attempt="running")
    set_status([root], "invalid")
    assert attempts_of(child) == ["cancelled"]


FORESTS = st.lists(st.tuples(st.none() | st.integers(0, 7), st.sampled_from(list(TaskStatus))), min_size=1, max_size=8)


@settings(max_examples=60)
@given(forest=FORESTS, targets=st.sets(st.integers(0, 7), min_size=1), new=st.sampled_from(list(TaskStatus)))
def test_any_forest_of_tasks_obeys_the_table(database, operator, edge, make_tasks, force, forest, targets, new):
    """The database against the table of transitions and the rule of the cascade, in a few lines of Python."""
    tasks, parents = [], []
    for parent, _ in forest:
        parents.append(parent if parent is not None and parent < len(tasks) else None)
        tasks += make_tasks(edge, extends=None if parents[-1] is None else tasks[parents[-1]])
    for task, (_, status) in zip(tasks, forest, strict=True):
        force(task, status)
    chosen = sorted(target for target in targets if target < len(tasks))
    expected = {n: status for n, (_, status) in enumerate(forest)}
    ask = functools.partial(service.set_status, database, operator, [tasks[n] for n in chosen], new.value)
    if new not in USER_SETTABLE:
        with pytest.raises(InvalidInput):
            ask()
    else:
        allowed = [n for n in chosen if may_become(expected[n], new)]
        hit = set(allowed)
        if new is not TaskStatus.waiting:
            for n, parent in enumerate(parents):  # parents come before their children
                if parent in hit:
                    hit.add(n)
        assert ask() == [str(tasks[n]) if n in allowed else None for n in chosen]
        for n in hit:
            if may_become(expected[n], new):
                expected[n] = new
    assert service.get_statuses(database, operator, tasks) == [expected[n].value for n in range(len(tasks))]


def test_a_status_that_does_not_exist_is_refused_before_anything_else(database, operator):
    with pytest.raises(UnknownState):
        service.set_status(database, operator, [], "nonsense")
