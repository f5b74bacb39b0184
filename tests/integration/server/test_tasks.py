"""Tasks through the API: made, found, and what refuses them."""

import pytest

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from tests.api_server import FOREIGN, SCOPE, refused, refused_as_missing
from tests.chains import keys_of, network_chain

MISSING = f"Task-00000000000000000000000000000000-{SCOPE}"
OTHER = Scope("test_org", "other", "project")


@pytest.fixture
def chain(submit):
    made = network_chain("whole", ["a", "b", "c"], [(0, 1), (1, 2), (2, 2)])
    submit(made)
    return made


@pytest.fixture
def edges(chain):
    """ScopedKeys of two Transformations and a NonTransformation."""
    return [f"{key}-{SCOPE}" for key in keys_of(chain, "Transformation", "NonTransformation")]


def test_new_tasks_wait_with_the_default_priority_and_say_who_made_them(client, edges, database):
    answer = client.post(f"/transformations/{edges[0]}/tasks", json={"count": 3, "extends": None})
    tasks = [ScopedKey.from_str(task) for task in answer.json()]
    assert len(set(tasks)) == 3
    assert all(task.qualname == "Task" and task.scope == SCOPE for task in tasks)
    body = {"tasks": [task.to_dict() for task in tasks]}
    assert client.post("/bulk/tasks/status/get", json=body).json() == ["waiting"] * 3
    assert client.post("/bulk/tasks/priority/get", json=body).json() == [10] * 3
    with database.transaction() as connection:
        assert set(connection.exec_driver_sql("select creator from task").scalars()) == {"user"}


def test_bulk_tasks_come_in_the_order_of_their_transformations_across_classes_and_scopes(client, submit, edges):
    elsewhere = network_chain("elsewhere", ["x", "y"], [(0, 1)])
    submit(elsewhere, OTHER)
    foreign_edge = f"{keys_of(elsewhere, 'Transformation')[0]}-{OTHER}"
    wanted = [edges[2], edges[0], foreign_edge, edges[2], edges[1], edges[0]]
    tasks = client.post("/bulk/transformations/tasks/create", json={"transformations": wanted}).json()
    assert [client.get(f"/tasks/{task}/transformation").json() for task in tasks] == wanted
    assert ScopedKey.from_str(tasks[2]).scope == OTHER


def test_a_task_may_extend_one_of_its_transformation(client, edges):
    (parent,) = client.post(f"/transformations/{edges[0]}/tasks", json={"count": 1}).json()
    extends = ScopedKey.from_str(parent).to_dict()
    children = client.post(f"/transformations/{edges[0]}/tasks", json={"count": 2, "extends": extends}).json()
    (grandchild,) = client.post(
        "/bulk/transformations/tasks/create", json={"transformations": [edges[0]], "extends": [children[1]]}
    ).json()
    path = f"/transformations/{edges[0]}/tasks"
    assert client.get(path).json() == [parent, *children, grandchild]
    assert client.get(path, params={"return_as": "graph"}).json() == {
        parent: None,
        children[0]: parent,
        children[1]: parent,
        grandchild: children[1],
    }
    assert client.get(path, params={"extends": parent}).json() == [*children, grandchild]
    assert client.get(path, params={"extends": children[1], "return_as": "graph"}).json() == {grandchild: children[1]}
    assert client.get(path, params={"extends": grandchild}).json() == []
    assert client.get(path, params={"extends": MISSING}).json() == []
    assert client.get(path, params={"extends": parent.replace(str(SCOPE), str(OTHER))}).json() == []


def test_an_extends_that_breaks_a_rule_makes_no_task(client, edges, make_tasks, count_rows, submit):
    (parent,) = make_tasks(edges[0].split("-test_org")[0])
    (other,) = make_tasks(edges[1].split("-test_org")[0])
    (gone,) = make_tasks(edges[0].split("-test_org")[0])
    client.post("/bulk/tasks/status/set", json={"tasks": [gone.to_dict()], "status": "deleted"})
    before = count_rows()

    def create(*extends):
        body = {"transformations": [edges[0]] * 2, "extends": list(extends)}
        return client.post("/bulk/transformations/tasks/create", json=body)

    detail = refused(create(str(parent), edges[0]), 400, "invalid_input", "extends")
    assert detail == f"`extends` ScopedKey ({edges[0]}) does not correspond to a `Task`"
    detail = refused(create(str(parent), str(other)), 400, "invalid_input", "extends")
    assert detail == f"{other} extends a Transformation other than {edges[0]}"
    detail = refused(create(str(parent), str(gone)), 400, "invalid_input", "extends")
    assert detail == f"Cannot extend a `deleted` or `invalid` Task: {gone}"
    assert refused_as_missing(create(str(parent), MISSING), MISSING)
    refused(create(str(parent), MISSING.replace(str(SCOPE), str(FOREIGN))), 401, "not_authorized", "scope")
    assert "same length as `transformations`" in refused(create(str(parent)), 400, "invalid_input", "extends")
    refused(create(str(parent), "nonsense"), 422, "invalid_scoped_key")
    assert count_rows() == before


def test_a_transformation_that_is_none_makes_no_task(client, edges, chain, count_rows):
    before = count_rows()

    def create(*transformations):
        return client.post("/bulk/transformations/tasks/create", json={"transformations": list(transformations)})

    system = f"{keys_of(chain, 'ChemicalSystem')[0]}-{SCOPE}"
    detail = refused(create(edges[0], system), 400, "invalid_input", "transformations")
    assert detail == "Got an unsupported `Transformation` type: ChemicalSystem"
    none = f"Transformation-none-{SCOPE}"
    assert refused_as_missing(create(edges[0], none), none)
    refused(create(edges[0], f"Transformation-none-{FOREIGN}"), 401, "not_authorized", "scope")
    refused(create(edges[0], "nonsense"), 422, "invalid_scoped_key")
    assert count_rows() == before
    assert create().json() == []


@pytest.mark.parametrize(
    "body", [{"count": 0}, {"count": -1}, {"count": 100_001}, {"count": "many"}, {}, {"count": 1.5}]
)
def test_a_count_that_is_none(client, edges, body, count_rows):
    refused(client.post(f"/transformations/{edges[0]}/tasks", json=body), 422, "invalid_body", "count")
    assert count_rows()["task"] == 0


def test_queries_by_status_and_scope(client, submit, edges, make_tasks):
    edge = edges[0].split("-test_org")[0]
    tasks = make_tasks(edge, 3)
    submit(network_chain("elsewhere", ["x", "y"], [(0, 1)]), OTHER)
    submit(network_chain("elsewhere", ["x", "y"], [(0, 1)]), FOREIGN)
    far = keys_of(network_chain("elsewhere", ["x", "y"], [(0, 1)]), "Transformation")[0]
    (other,) = make_tasks(far, 1, OTHER)
    make_tasks(far, 1, FOREIGN)
    client.post("/bulk/tasks/status/set", json={"tasks": [tasks[0].to_dict()], "status": "invalid"})
    assert client.get("/tasks").json() == [str(other), *sorted(map(str, tasks))]
    assert client.get("/tasks", params={"campaign": "other", "org": "test_org"}).json() == [str(other)]
    assert client.get("/tasks", params={"status": "invalid"}).json() == [str(tasks[0])]
    assert client.get("/tasks", params={"status": "nonsense"}).json() == []
    assert client.get("/tasks", params={"org": "foreign_org"}).json() == []


def test_a_scope_in_a_query_that_is_none(client):
    for parameters in ({"org": "1"}, {"org": "*", "campaign": "a"}, {"project": "p"}, {"org": "a b"}):
        for path in ("/tasks", "/networks", "/transformations", "/chemicalsystems"):
            answer = client.get(path, params=parameters)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input"), answer.text


def test_listings_by_network_transformation_and_status(client, chain, edges, make_tasks):
    network = f"{chain[-1][0]}-{SCOPE}"
    one = make_tasks(edges[0].split("-test_org")[0], 2)
    two = make_tasks(edges[2].split("-test_org")[0], 1)
    client.post("/bulk/tasks/status/set", json={"tasks": [one[0].to_dict()], "status": "invalid"})
    assert client.get(f"/networks/{network}/tasks").json() == [str(task) for task in [*one, *two]]
    assert client.get(f"/networks/{network}/tasks", params={"status": "invalid"}).json() == [str(one[0])]
    assert client.get(f"/transformations/{edges[0]}/tasks", params={"status": "waiting"}).json() == [str(one[1])]
    assert client.get(f"/tasks/{two[0]}/networks").json() == [network]
    assert client.get(f"/tasks/{MISSING}/networks").json() == []
    assert client.get(f"/tasks/{two[0]}/status").json() == "waiting"
    assert refused_as_missing(client.get(f"/tasks/{MISSING}/transformation"))
    for path in (f"/networks/{network}/tasks", f"/transformations/{edges[0]}/tasks"):
        detail = refused(client.get(path, params={"status": "notastatus"}), 400, "unknown_state", "status")
        assert detail == "'notastatus' is not a valid TaskStatusEnum"
    answer = client.get(f"/transformations/{edges[0]}/tasks", params={"return_as": "tree"})
    assert refused(answer, 400, "invalid_input", "return_as") == "`return_as` takes 'list' or 'graph', not 'tree'"


def test_priorities_are_set_for_those_that_are_there_and_ones_own(client, edges, submit, make_tasks, chain, database):
    tasks = make_tasks(edges[0].split("-test_org")[0], 2)
    submit(chain, FOREIGN)
    (foreign,) = make_tasks(edges[0].split("-test_org")[0], 1, FOREIGN)
    disguised = ScopedKey.of(tasks[0].gufe_key, OTHER)
    keys = [tasks[0], ScopedKey.from_str(MISSING), foreign, disguised, tasks[1], tasks[0]]
    body = {"tasks": [key.to_dict() for key in keys]}
    expected = [str(tasks[0]), None, None, None, str(tasks[1]), str(tasks[0])]
    assert client.post("/bulk/tasks/priority/set", json={**body, "priority": 2**63 - 1}).json() == expected
    found = client.post("/bulk/tasks/priority/get", json=body).json()
    assert found == [2**63 - 1, None, None, None, 2**63 - 1, 2**63 - 1]
    with database.transaction() as connection:
        untouched = connection.exec_driver_sql(f"select priority from task where key = '{foreign.gufe_key}'")
        assert untouched.scalar_one() == 10


@pytest.mark.parametrize("priority", [0, -1, 2**63])
def test_a_priority_that_is_none(client, edges, make_tasks, priority):
    (task,) = make_tasks(edges[0].split("-test_org")[0])
    body = {"tasks": [task.to_dict()], "priority": priority}
    detail = refused(client.post("/bulk/tasks/priority/set", json=body), 400, "invalid_input", "priority")
    assert detail == "priority must be between 1 and 2**63 - 1, inclusive"
    assert client.post("/bulk/tasks/priority/get", json={"tasks": [task.to_dict()]}).json() == [10]


def test_a_key_in_a_body_that_is_none_names_its_place(client):
    body = {"tasks": [ScopedKey.from_str(MISSING).to_dict(), {"gufe_key": "x"}]}
    detail = refused(client.post("/bulk/tasks/status/get", json=body), 422, "invalid_scoped_key", "tasks")
    assert detail == "`tasks[1]`: input does not appear to be a `ScopedKey`"
