"""The command line: Tasks."""

import json
from collections.abc import Callable

import pytest

from alchemiscale_prefect import AlchemiscaleClient, Scope, ScopedKey
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from tests import protocols
from tests.command_line import CommandLine

MISSING = "Task-" + "0" * 32 + "-test_org-test_campaign-test_project"


@pytest.fixture
def failing(client: AlchemiscaleClient, scope: Scope, work: Callable[[], int]) -> tuple[ScopedKey, ScopedKey]:
    """A network, and a Task of it that has failed."""
    edge = protocols.transformation(protocols.FailingProtocol(protocols.FailingSettings(message="did not converge")))
    network = client.create_network(AlchemicalNetwork(edges=[edge], name="fails"), scope, visualize=False)
    (transformation,) = client.get_network_transformations(network)
    (task,) = client.create_tasks(transformation)
    client.action_tasks([task], network)
    assert work() == 1
    return network, task


def test_tasks_are_created_actioned_followed_and_cancelled(
    cli: CommandLine, network_key: ScopedKey, transformation_key: ScopedKey
) -> None:
    made = cli.json("task", "create", transformation_key, "--count", 2)["tasks"]
    assert len(made) == 2
    # keys on lines, as they come, are what a pipe hands on
    more = cli.text("task", "create", transformation_key).split()
    done = cli.json("task", "action", network_key, "-", "--weight", 0.75, stdin="\n".join([*made, *more]))
    assert done == {"network": str(network_key), "tasks": [*made, *more], "unchanged": []}
    assert cli.json("task", "action", network_key, *made)["unchanged"] == made

    found = cli.json("task", "status", *made)["tasks"]
    assert [(item["task"], item["status"], item["priority"], item["num_claims"]) for item in found] == [
        (key, "waiting", 10, 0) for key in made
    ]
    text = cli.text("task", "status", "--network", network_key, "--status", "waiting")
    assert {line.split()[0] for line in text.splitlines()[1:]} == {*made, *more}
    assert cli.text("task", "status", "--network", network_key, "--status", "error") == "no Tasks\n"

    assert cli.json("task", "cancel", network_key, made[0], "--no-stop-tasks")["tasks"] == made[:1]
    assert set(cli.json("task", "cancel", network_key, "--all")["tasks"]) == {made[1], *more}
    assert cli.text("task", "cancel", network_key, made[0]) == (
        "cancelled: 0 Tasks\nunchanged: 1 Task: not actioned there\n"
    )
    assert len(cli.json("task", "action", network_key, "--status", "waiting")["tasks"]) == 3


def test_tasks_of_a_whole_network_are_created_and_set_once(cli: CommandLine, network_key: ScopedKey) -> None:
    made = cli.json("task", "create", "--network", network_key)["tasks"]
    assert len(made) == 13
    first = cli.json("task", "set", network_key, "--count", 2)["transformations"]
    assert {key for row in first for key in row["existing"]} == set(made)
    assert [len(row["created"]) for row in first] == [1] * 13
    again = cli.json("task", "set", network_key, "--count", 2)["transformations"]
    assert [(len(row["existing"]), row["created"]) for row in again] == [(2, [])] * 13
    text = cli.text("task", "set", again[0]["transformation"], again[1]["transformation"], "-c", 3)
    assert text.splitlines()[1].split() == [again[0]["transformation"], "2", "1"]


def test_a_task_extends_another(cli: CommandLine, client: AlchemiscaleClient, transformation_key: ScopedKey) -> None:
    (parent,) = cli.json("task", "create", transformation_key)["tasks"]
    (child,) = cli.json("task", "create", transformation_key, "--extends", parent)["tasks"]
    assert client.get_transformation_tasks(transformation_key, extends=parent) == [ScopedKey.from_str(child)]


def test_a_failed_task_is_looked_into_and_tried_again(
    cli: CommandLine, failing: tuple[ScopedKey, ScopedKey], work: Callable[[], int]
) -> None:
    network, task = failing
    (attempt,) = cli.json("task", "history", task)["attempts"]
    assert (attempt["n"], attempt["outcome"], attempt["hostname"]) == (1, "error", "here")
    changes = cli.json("task", "history", task)["status_changes"]
    assert [(change["to_status"], change["cause"]) for change in changes] == [
        ("error", "outcome"),
        ("running", "begin"),
    ]
    assert "outcome" in cli.text("task", "history", task)
    (failure,) = cli.json("task", "traceback", task, "--limit", 1)["tracebacks"]
    (unit,) = failure["tracebacks"]
    assert "Traceback" in unit["traceback"]
    # whole, with its lines
    assert unit["traceback"].rstrip() in cli.text("task", "traceback", task)

    in_error = cli("task", "status", "--network", network, "--status", "error", "--json")
    assert cli.json("task", "retry", "-", stdin=in_error.out) == {"tasks": [str(task)], "unchanged": []}
    assert cli.json("task", "retry", task) == {"tasks": [], "unchanged": [str(task)]}
    assert work() == 1
    assert cli.json("task", "retry", "--network", network)["tasks"] == [str(task)]
    assert cli.json("task", "retry", "--network", network)["tasks"] == []
    assert cli.json("task", "status", task)["tasks"][0]["num_claims"] == 2


def test_a_task_without_attempts_says_so(cli: CommandLine, transformation_key: ScopedKey) -> None:
    (task,) = cli.text("task", "create", transformation_key).split()
    assert cli.text("task", "history", task) == "no attempts yet\n\nits status never changed\n"
    assert cli.text("task", "traceback", task) == "no failed attempts\n"


def test_priorities_are_set(cli: CommandLine, client: AlchemiscaleClient, transformation_key: ScopedKey) -> None:
    tasks = [str(key) for key in client.create_tasks(transformation_key, count=2)]
    assert cli.json("task", "priority", *tasks, 3) == {"tasks": tasks, "priority": 3}
    assert cli.text("task", "priority", "-", 4, stdin=json.dumps(tasks)) == "priority 4: 2 Tasks\n"
    assert client.get_tasks_priority(tasks) == [4, 4]
    assert cli.refused("task", "priority", tasks[0], 0, code=2)["field"] == "value"


def test_nothing_to_do_is_no_error(cli: CommandLine, network_key: ScopedKey) -> None:
    assert cli.json("task", "retry", "-", stdin='{"tasks": []}') == {"tasks": [], "unchanged": []}
    assert cli.json("task", "retry", "-", stdin="") == {"tasks": [], "unchanged": []}
    assert cli.json("task", "action", network_key, "--all")["tasks"] == []
    assert cli.json("task", "cancel", network_key, "--status", "running")["tasks"] == []
    assert cli.json("task", "set", "-", "-c", 1, stdin="")["transformations"] == []


def test_what_is_not_there_is_named(
    cli: CommandLine, network: AlchemicalNetwork, network_key: ScopedKey, transformation_key: ScopedKey
) -> None:
    nowhere = str(network_key).replace(str(network.key), "AlchemicalNetwork-" + "0" * 32)
    for words in (("status", MISSING), ("priority", MISSING, 5), ("retry", MISSING)):
        error = cli.refused("task", *words)
        assert (error["code"], error["field"]) == ("not_found", "task")
        assert MISSING in error["detail"]
    assert cli.refused("task", "history", MISSING)["code"] == "not_found"
    assert cli.refused("task", "retry", "--network", nowhere)["field"] == "network"
    assert cli.refused("task", "action", nowhere, "--all")["code"] == "not_found"
    assert cli.refused("task", "create", "--network", nowhere)["code"] == "not_found"
