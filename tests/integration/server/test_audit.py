"""What users do is written down, once per call, and only if it happened."""

import pytest
from sqlalchemy import text

from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.services import audit
from tests.api_server import SCOPE
from tests.chains import network_chain

OPERATOR = Principal.operating()


@pytest.fixture
def entries(database):
    """What ``user`` did, the oldest first."""

    def found():
        newest = audit.newest(database, OPERATOR, identifier="user")
        assert {entry.kind for entry in newest} <= {"user"}
        return [(entry.action, entry.scope, entry.target, entry.details) for entry in reversed(newest)]

    return found


@pytest.fixture
def edge(submit, database):
    submit()
    with database.transaction() as connection:
        key = connection.execute(text("select key from gufe_object where qualname = 'Transformation' limit 1"))
        return f"{key.scalar_one()}-{SCOPE}"


def test_every_change_of_a_user_is_written_down(client, edge, entries, database):
    with database.transaction() as connection:
        network = f"{connection.execute(text('select key from gufe_object o join network n on n.id = o.id')).scalar()}"
    network = f"{network}-{SCOPE}"
    tasks = client.post(f"/transformations/{edge}/tasks", json={"count": 3}).json()
    client.post("/bulk/tasks/priority/set", json={"tasks": [_key(task) for task in tasks], "priority": 5})
    client.post(f"/networks/{network}/tasks/action", json={"tasks": [_key(task) for task in tasks[:2]]})
    client.post(f"/networks/{network}/tasks/cancel", json={"tasks": [_key(tasks[0])]})
    client.post(f"/tasks/{tasks[0]}/status", json="invalid")
    client.post(f"/networks/{network}/weight", json=0.25)
    client.post("/bulk/networks/state/set", json={"networks": [network], "states": ["inactive"]})
    assert entries() == [
        ("task.create", str(SCOPE), edge, {"count": 1, "tasks": 3}),
        ("task.set_priority", str(SCOPE), None, {"count": 3, "priority": 5}),
        ("task.action", str(SCOPE), network, {"new": 2, "weighed": 0}),
        ("task.cancel", str(SCOPE), network, {"count": 1, "stop_tasks": True}),
        ("task.set_status", str(SCOPE), tasks[0], {"count": 1, "status": "invalid", "reason": None}),
        ("network.set_weight", str(SCOPE), network, {"count": 1, "values": ["0.25"]}),
        ("network.set_state", str(SCOPE), network, {"count": 1, "values": ["inactive"], "stop_tasks": False}),
    ]


def test_a_network_is_written_down_when_it_is_new(client, entries):
    body = {"network": network_chain(), "scope": SCOPE.to_dict(), "state": "active"}
    keys = {client.post("/networks", json=body).json()["gufe_key"] for _ in range(2)}
    assert len(keys) == 1
    ((action, scope, target, _),) = entries()
    assert (action, scope, target) == ("network.create", str(SCOPE), f"{keys.pop()}-{SCOPE}")


def test_what_did_not_happen_is_not_written_down(client, edge, entries):
    missing = f"Task-{'0' * 32}-{SCOPE}"
    client.get("/networks")
    client.post("/bulk/tasks/priority/set", json={"tasks": [_key(missing)], "priority": 5})
    client.post(f"/tasks/{missing}/status", json="invalid")
    client.post(f"/transformations/{edge}/tasks", json={"count": 0})
    client.post(f"/networks/AlchemicalNetwork-none-{SCOPE}/tasks/action", json={"tasks": []})
    client.post(f"/networks/AlchemicalNetwork-none-{SCOPE}/weight", json=0.5)
    assert entries() == []


def _key(scoped_key):
    gufe_key, org, campaign, project = scoped_key.rsplit("-", 3)
    return {"gufe_key": gufe_key, "org": org, "campaign": campaign, "project": project}
