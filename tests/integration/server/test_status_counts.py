"""Tasks counted by status: of networks, Transformations and scopes; and progress."""

import pytest

from alchemiscale_prefect.domain.scopes import Scope
from tests.api_server import FOREIGN, SCOPE, refused
from tests.chains import keys_of, network_chain

OTHER = Scope("test_org", "other", "project")


@pytest.fixture
def chain(submit):
    made = network_chain("whole", ["a", "b", "c"], [(0, 1), (1, 2)])
    submit(made)
    return made


@pytest.fixture
def network(chain):
    return f"{chain[-1][0]}-{SCOPE}"


@pytest.fixture
def populated(chain, submit, make_tasks, force):
    """Three Tasks on the edge that both networks have, two on the other; the second network is inactive."""
    part = submit(network_chain("part", ["a", "b"], [(0, 1)]), state="inactive")
    shared, own = keys_of(chain, "Transformation")
    one = make_tasks(shared, 3)
    two = make_tasks(own, 2)
    force(one[0], "complete")
    force(one[1], "running", "running")
    force(two[0], "error")
    return {"part": str(part), "shared": f"{shared}-{SCOPE}"}


def test_of_networks_and_transformations(client, network, populated):
    whole = {"waiting": 2, "running": 1, "complete": 1, "error": 1}
    part = {"waiting": 1, "running": 1, "complete": 1}
    assert client.get(f"/networks/{network}/status").json() == whole
    missing = f"AlchemicalNetwork-none-{SCOPE}"
    answer = client.post("/bulk/networks/status", json={"networks": [populated["part"], missing, network]})
    assert answer.json() == [part, {}, whole]
    assert client.get(f"/transformations/{populated['shared']}/status").json() == part


def test_of_scopes_each_task_once(client, network, populated):
    whole = {"waiting": 2, "running": 1, "complete": 1, "error": 1}

    def status(scope=SCOPE, **parameters):
        return client.get(f"/scopes/{scope}/status", params=parameters).json()

    assert status() == whole
    assert status(network_state="active|inactive") == whole
    assert status(network_state="inactive") == {"waiting": 1, "running": 1, "complete": 1}
    assert status(network_state="deleted") == {}
    assert status("*-*-*", network_state="active") == whole
    assert status("foreign_org-*-*") == {}


def test_of_scopes_that_are_partly_ones_own(log_in, submit, make_tasks):
    edge = keys_of(network_chain(), "Transformation")[0]
    for scope, count in ((SCOPE, 1), (OTHER, 2), (FOREIGN, 4)):
        submit(network_chain(), scope)
        make_tasks(edge, count, scope)
    client = log_in("two", [SCOPE, FOREIGN])

    def waiting(scope):
        return client.get(f"/scopes/{scope}/status").json().get("waiting", 0)

    assert [waiting(s) for s in ("*-*-*", "test_org-*-*", "test_org-other-*", FOREIGN)] == [5, 1, 0, 4]


def test_a_network_without_tasks_has_no_counts(client, network):
    assert client.get(f"/networks/{network}/status").json() == {}
    assert client.get(f"/scopes/{SCOPE}/status").json() == {}


def test_a_scope_or_state_that_is_none(client):
    refused(client.get("/scopes/nonsense/status"), 422, "invalid_scope", "scope")
    refused(client.get("/scopes/*-a-b/status"), 422, "invalid_scope", "campaign")
    answer = client.get(f"/scopes/{SCOPE}/status", params={"network_state": "("})
    refused(answer, 400, "invalid_input", "network_state")
