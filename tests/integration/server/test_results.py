"""Results: listed, fetched byte by byte, and their estimates without fetching any."""

import json

import pytest
from sqlalchemy import text

from alchemiscale_prefect.domain.keys import ScopedKey
from tests.api_server import FOREIGN, SCOPE, refused, refused_as_missing
from tests.chains import keys_of, network_chain

DATA = bytes(range(256)) * 40


@pytest.fixture
def chain(submit):
    made = network_chain("whole", ["a", "b", "c"], [(0, 1), (1, 2)])
    submit(made)
    return made


@pytest.fixture
def add_result(database, system, force):
    """Records a result of a Task, as `finish` does."""

    def added(task, number, *, ok=True, estimate=None, uncertainty=None, units=None, data=DATA):
        force(task, "complete" if ok else "error", "complete" if ok else "error")
        key = f"ProtocolDAGResultRef-{number:032x}"
        location = f"protocoldagresult/test_org/test_campaign/test_project/tf/results/pdr-{number}/obj.json.zst"
        if data is not None:
            system.objects.put(location, data)
        values = {"ok": ok, "estimate": estimate, "uncertainty": uncertainty, "units": units}
        with database.transaction() as connection:
            connection.execute(
                text(
                    """
                    insert into result (key, scope_id, transformation_id, task_id, attempt, ok, size, creator,
                                        protocol_dag_result_key, location, estimate, uncertainty, units)
                    select :key, t.scope_id, t.transformation_id, t.id,
                           (select max(n) from attempt where task_id = t.id), :ok, 0, 'compute',
                           'DummyProtocolResult-1', :location, :estimate, :uncertainty, :units
                    from task t where t.key = :task
                    """
                ),
                {"key": key, "location": location, "task": task.gufe_key, **values},
            )
        return f"{key}-{task.scope}"

    return added


def test_results_and_failures_follow_the_task_not_its_status(client, chain, make_tasks, add_result):
    edge = keys_of(chain, "Transformation")[0]
    one, two = make_tasks(edge, 2)
    failed = add_result(one, 1, ok=False)
    good = [add_result(one, 2), add_result(two, 3)]
    client.post("/bulk/tasks/status/set", json={"tasks": [two.to_dict()], "status": "deleted"})
    transformation = f"{edge}-{SCOPE}"
    assert client.get(f"/transformations/{transformation}/results").json() == good
    assert client.get(f"/transformations/{transformation}/failures").json() == [failed]
    assert client.get(f"/tasks/{one}/results").json() == good[:1]
    assert client.get(f"/tasks/{one}/failures").json() == [failed]
    assert client.get(f"/tasks/{two}/failures").json() == []
    assert client.get(f"/exists/{failed}").json() is True


def test_the_bytes_come_as_one_string_of_a_character_each(client, chain, make_tasks, add_result):
    edge = keys_of(chain, "Transformation")[0]
    (task,) = make_tasks(edge)
    result = add_result(task, 1)
    answer = client.get(f"/transformations/{edge}-{SCOPE}/results/{result}")
    assert answer.headers["content-type"] == "application/json"
    (content,) = answer.json()
    assert content.encode("latin-1") == DATA
    assert json.loads(answer.text) == [DATA.decode("latin-1")]


def test_what_is_no_such_result(client, submit, chain, make_tasks, add_result):
    edge, other = keys_of(chain, "Transformation")
    (task,) = make_tasks(edge)
    result = add_result(task, 1)
    assert refused_as_missing(client.get(f"/transformations/{edge}-{SCOPE}/failures/{result}"))
    assert refused_as_missing(client.get(f"/transformations/{other}-{SCOPE}/results/{result}"))
    assert refused_as_missing(client.get(f"/transformations/{edge}-{SCOPE}/results/ProtocolDAGResultRef-1-{SCOPE}"))
    detail = refused(client.get(f"/transformations/{edge}-{SCOPE}/both/{result}"), 400, "invalid_input", "route")
    assert detail == "`route` takes 'results' or 'failures', not 'both'"
    foreign = ScopedKey.from_str(result)
    foreign = ScopedKey.of(foreign.gufe_key, FOREIGN)
    refused(client.get(f"/transformations/{edge}-{SCOPE}/results/{foreign}"), 401, "not_authorized", "scope")
    elsewhere = result.replace("test_campaign", "other")
    assert refused_as_missing(client.get(f"/transformations/{edge}-{SCOPE}/results/{elsewhere}"))


def test_bytes_that_the_store_lost(client, chain, make_tasks, add_result):
    edge = keys_of(chain, "Transformation")[0]
    (task,) = make_tasks(edge)
    result = add_result(task, 1, data=None)
    answer = client.get(f"/transformations/{edge}-{SCOPE}/results/{result}")
    assert "object store" in refused(answer, 400, "not_found")


def test_estimates_of_every_transformation(client, chain, make_tasks, add_result):
    edge, empty = keys_of(chain, "Transformation")
    a, b, c = (f"{key}-{SCOPE}" for key in keys_of(chain, "ChemicalSystem"))
    one, two, three = make_tasks(edge, 3)
    add_result(one, 1, estimate=-3.5, uncertainty=0.1, units="kilocalorie_per_mole")
    add_result(two, 2, ok=False, estimate=99.0)
    add_result(two, 3, estimate=-3.6, uncertainty=0.2, units="kilocalorie_per_mole")
    add_result(three, 4)
    network = f"{chain[-1][0]}-{SCOPE}"
    lines = {line["transformation"]: line for line in client.get(f"/networks/{network}/estimates").json()}
    assert lines[f"{edge}-{SCOPE}"] == {
        "transformation": f"{edge}-{SCOPE}",
        "name": "a to b",
        "state_a": a,
        "state_b": b,
        "estimates": [-3.5, -3.6, None],
        "uncertainties": [0.1, 0.2, None],
        "units": "kilocalorie_per_mole",
    }
    assert lines[f"{empty}-{SCOPE}"] == {
        "transformation": f"{empty}-{SCOPE}",
        "name": "b to c",
        "state_a": b,
        "state_b": c,
        "estimates": [],
        "uncertainties": [],
        "units": None,
    }


def test_an_estimate_that_is_no_number_does_not_break_the_list(client, chain, make_tasks, add_result):
    edge = keys_of(chain, "Transformation")[0]
    (task,) = make_tasks(edge)
    add_result(task, 1, estimate=float("nan"), uncertainty=float("inf"))
    network = f"{chain[-1][0]}-{SCOPE}"
    lines = client.get(f"/networks/{network}/estimates").json()
    assert lines[0]["estimates"] == [None]
    assert lines[0]["uncertainties"] == [None]
