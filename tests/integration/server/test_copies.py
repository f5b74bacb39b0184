"""Copying and merging through the API: what is taken, what is refused; and networks with an ancestor."""

import json

import pytest
from sqlalchemy import text

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from tests.api_server import FOREIGN, SCOPE, refused, refused_as_missing
from tests.chains import keys_of, network_chain, pair

THERE = Scope("test_org", "other_campaign", "test_project")
SYSTEMS = ("a", "b", "c", "d")
DATA = bytes(range(256)) * 40


def copy(client, *keys, scope=THERE, **kwargs):
    return client.post(
        "/bulk/networks/copy", json={"networks": [str(key) for key in keys], "scope": str(scope), **kwargs}
    )


def merge(client, keys, network, scope=THERE, **kwargs):
    body = {"networks": [str(key) for key in keys], "network": network, "scope": str(scope), **kwargs}
    return client.post("/bulk/networks/merge", json=body)


def union(*chains, name="merged", nodes=None, edges=None):
    """The pair of the network with what these have, or with other nodes and edges."""
    parts = {
        "nodes": nodes or {key for chain in chains for key in keys_of(chain, "ChemicalSystem")},
        "edges": edges or {key for chain in chains for key in keys_of(chain, "Transformation", "NonTransformation")},
    }
    content = {part: [{":gufe-key:": key} for key in sorted(keys)] for part, keys in parts.items()}
    return pair("AlchemicalNetwork", {**content, "name": name})


@pytest.fixture
def content(database):
    """Every network, object and Task."""

    def read():
        with database.transaction() as connection:
            statements = ("select * from network", "select id, key, refers_to from gufe_object", "select * from task")
            return [sorted(map(str, connection.execute(text(statement)))) for statement in statements]

    return read


@pytest.fixture
def complete(database, system, make_tasks, force):
    """Makes a complete Task with a result; gives both."""

    def made(transformation, scope=SCOPE):
        (task,) = make_tasks(transformation, scope=scope)
        force(task, "complete", "complete")
        reference = ScopedKey.of(f"ProtocolDAGResultRef-{task.gufe_key.removeprefix('Task-')}", scope)
        location = f"protocoldagresult/{reference.gufe_key}/obj.json.zst"
        system.objects.put(location, DATA)
        with database.transaction() as connection:
            connection.execute(
                text(
                    "insert into result (key, scope_id, transformation_id, task_id, attempt, ok, "
                    "protocol_dag_result_key, location, size, creator) "
                    "select :key, scope_id, transformation_id, id, 1, true, 'ProtocolDAGResult-1', :location, 10, 'w' "
                    "from task where key = :task"
                ),
                {"key": reference.gufe_key, "location": location, "task": task.gufe_key},
            )
        return task, reference

    return made


def test_a_copy_is_the_same_object_by_object(client, submit, complete):
    chain = network_chain("whole", SYSTEMS)
    source = submit(chain)
    edge = keys_of(chain, "Transformation")[0]
    _, original = complete(edge)
    # the target has part of it already, under ids of another order
    submit(network_chain("part", SYSTEMS[::-1][:2], [(0, 1)]), THERE)

    answer = copy(client, source)

    assert answer.json() == [str(ScopedKey.of(source.gufe_key, THERE))]
    assert client.get(f"/networks/{answer.json()[0]}").content == client.get(f"/networks/{source}").content
    for kind in ("Transformation", "NonTransformation", "ChemicalSystem"):
        path = "chemicalsystems" if kind == "ChemicalSystem" else "transformations"
        for key in keys_of(chain, kind):
            here, there = (client.get(f"/{path}/{key}-{scope}").json() for scope in (SCOPE, THERE))
            assert there[-1] == here[-1]
            assert sorted(there, key=str) == sorted(here, key=str)
    # as the released client asks: its JSON, of the bytes that the first result points to
    (reference,) = client.get(f"/transformations/{edge}-{THERE}/results").json()
    assert reference != str(original)
    found = client.get(f"/transformations/{edge}-{THERE}/results/{reference}").json()
    assert [text.encode("latin-1") for text in found] == [DATA]


def test_several_copies_are_answered_in_order(client, submit):
    chains = [network_chain(name, SYSTEMS[: n + 2]) for n, name in enumerate(("one", "two", "three"))]
    keys = [submit(chain) for chain in chains]
    elsewhere = submit(chains[0], Scope("test_org", "third_campaign", "test_project"))
    given = [keys[2], elsewhere, keys[0], keys[1], keys[2]]
    answer = copy(client, *given, state="inactive")
    assert answer.json() == [str(ScopedKey.of(key.gufe_key, THERE)) for key in given]
    assert client.post("/bulk/networks/state/get", json={"networks": answer.json()}).json() == ["inactive"] * 5
    assert copy(client).json() == []


def test_one_that_cannot_be_copied_stops_all(client, submit, content, log_in):
    keys = [submit(network_chain(name)) for name in ("one", "two")]
    foreign = submit(network_chain("foreign"), FOREIGN)
    before = content()
    missing = ScopedKey.of("AlchemicalNetwork-0123456789abcdef", SCOPE)
    assert str(missing) in refused(copy(client, keys[0], missing), 400, "not_found", "networks")
    refused(copy(client, keys[0], foreign), 401, "not_authorized", "scope")
    refused(copy(client, *keys, scope=FOREIGN), 401, "not_authorized", "scope")
    refused(copy(client, *keys, scope="test_org-*-*"), 422, "invalid_scope", "scope")
    refused(copy(client, *keys, state="gone"), 400, "unknown_state", "state")
    refused(copy(client, "Task-1-a-b-c"), 400, "invalid_input", "network")
    refused(copy(client, "no key"), 422, "invalid_scoped_key", "networks")
    assert content() == before


def test_a_key_with_other_content_in_the_target_stops_a_copy(client, submit, content):
    chain = network_chain("one")
    source = submit(chain)
    submit(network_chain("other"), THERE)
    key = keys_of(chain, "ChemicalSystem")[0]
    forged = json.loads(json.dumps(network_chain("third")))
    next(each[1] for each in forged if each[0] == key)["name"] = "forged"
    third = submit(forged, Scope("test_org", "third_campaign", "test_project"))
    before = content()
    assert key in refused(copy(client, third), 409, "content_conflict", "networks")
    # also between two sources
    assert key in refused(
        copy(client, source, third, scope="test_org-fourth_campaign-p"), 409, "content_conflict", "networks"
    )
    assert content() == before


def test_merging_makes_the_network_that_was_sent(client, submit, complete):
    chains = [network_chain("left", SYSTEMS[:3]), network_chain("right", SYSTEMS[1:])]
    left, right = submit(chains[0]), submit(chains[1], THERE)
    complete(keys_of(chains[0], "Transformation")[0])
    sent = union(*chains)
    answer = merge(client, [left, right], sent)
    merged = ScopedKey.from_dict(answer.json())
    assert merged == ScopedKey.of(sent[0], THERE)
    chain = client.get(f"/networks/{merged}").json()
    assert chain[-1] == sent
    # dependencies first, each once
    seen = set()
    for key, keyed in chain:
        assert {name for name in seen if name == key} == set()
        assert all(reference in seen for reference in _references(keyed))
        seen.add(key)
    assert client.get(f"/networks/{merged}/status").json() == {"complete": 1}
    assert len(client.get(f"/networks/{merged}/transformations").json()) == len(sent[1]["edges"])
    # the source itself was not copied
    assert client.get(f"/exists/{left.gufe_key}-{THERE}").json() is False
    assert merge(client, [left, right], sent).json() == answer.json()


def _references(value):
    if isinstance(value, dict):
        if ":gufe-key:" in value:
            yield value[":gufe-key:"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def test_a_merged_network_that_is_another_is_refused(client, submit, content):
    chains = [network_chain("left", SYSTEMS[:3]), network_chain("right", SYSTEMS[1:])]
    keys = [submit(chain) for chain in chains]
    before = content()
    whole = union(*chains)
    edges = [key for chain in chains for key in keys_of(chain, "Transformation", "NonTransformation")]
    foreign = network_chain("foreign", ("x", "y"))
    for network, message in [
        (union(*chains, edges=edges[1:]), f"{edges[0]} is missing"),
        (union(*chains, foreign), "is in none of them"),
        (union(chains[0]), "is missing"),
        (pair("AlchemicalNetwork", {**whole[1], "more": {":gufe-key:": "Thing-1"}}), "Thing-1"),
    ]:
        assert message in refused(merge(client, keys, network), 400, "invalid_input", "network")
    for network in (foreign[0], ["AlchemicalNetwork-1"], [whole[0], {}], [f"{whole[0]}-1", whole[1]]):
        refused(merge(client, keys, network), 422, "invalid_keyed_chain", "network")
    refused(merge(client, keys, whole, gufe_version="0.4"), 400, "invalid_input", "gufe_version")
    refused(merge(client, [], whole), 422, "invalid_body", "networks")
    assert content() == before


def test_the_gufe_version_of_each_object_is_kept(client, submit):
    chain = network_chain("one")
    source = submit(chain, gufe_version="1.10.0")
    assert client.get(f"/networks/{source}").headers["alchemiscale-gufe-version"] == "1.10.0"
    (copied,) = copy(client, source).json()
    assert client.get(f"/networks/{copied}").headers["alchemiscale-gufe-version"] == "1.10.0"
    sent = union(chain)
    merged = ScopedKey.from_dict(merge(client, [source], sent, gufe_version="1.12.0").json())
    assert client.get(f"/networks/{merged}").headers["alchemiscale-gufe-version"] == "1.10.0, 1.12.0"
    edge = keys_of(chain, "Transformation")[0]
    assert client.get(f"/transformations/{edge}-{THERE}").headers["alchemiscale-gufe-version"] == "1.10.0"


def test_what_was_done_is_in_the_audit(client, submit, complete, database):
    chain = network_chain("one")
    source = submit(chain)
    complete(keys_of(chain, "Transformation")[0])
    for _ in range(2):
        copy(client, source)
        merge(client, [source], union(chain))
    with database.transaction() as connection:
        rows = connection.execute(text("select identifier, action, scope, details from audit order by id")).all()
    found = [tuple(row) for row in rows if row.action in ("network.copy", "network.merge")]
    assert found == [
        ("user", "network.copy", str(THERE), {"networks": 1, "tasks": 1}),
        ("user", "network.merge", str(THERE), {"networks": 1, "tasks": 0}),
    ]


def test_a_network_with_an_ancestor_takes_its_weight_and_state(client, submit):
    small, larger, largest = (network_chain("net", SYSTEMS[: n + 2]) for n in range(3))
    first = submit(small, state="inactive")
    client.post(f"/networks/{first}/weight", json=0.25)
    made = [first]
    for chain in (larger, largest):
        answer = client.post("/networks", json={"network": chain, "scope": str(SCOPE), "ancestor": str(made[-1])})
        made.append(ScopedKey.from_dict(answer.json()))
    names = [str(key) for key in made]
    assert client.post("/bulk/networks/weight/get", json={"networks": names}).json() == [0.25] * 3
    assert client.post("/bulk/networks/state/get", json={"networks": names}).json() == ["inactive"] * 3
    assert client.get(f"/networks/{names[2]}/ancestors").json() == [names[1], names[0]]
    assert client.get(f"/networks/{names[0]}/ancestors").json() == []
    # one that is there keeps what it has
    client.post("/networks", json={"network": small, "scope": str(SCOPE), "ancestor": names[2]})
    assert client.get(f"/networks/{names[0]}/ancestors").json() == []
    # a state that is given counts
    body = {"network": network_chain("another"), "scope": str(SCOPE), "ancestor": names[0], "state": "active"}
    another = ScopedKey.from_dict(client.post("/networks", json=body).json())
    assert client.post("/bulk/networks/state/get", json={"networks": [str(another)]}).json() == ["active"]


def test_an_ancestor_must_be_a_network_of_the_scope(client, submit):
    there = submit(network_chain("one"), THERE)
    missing = ScopedKey.of("AlchemicalNetwork-0123456789abcdef", SCOPE)
    body = {"network": network_chain("two"), "scope": str(SCOPE)}
    refused(client.post("/networks", json={**body, "ancestor": str(there)}), 400, "invalid_input", "ancestor")
    assert refused_as_missing(client.post("/networks", json={**body, "ancestor": str(missing)}))
    assert refused_as_missing(client.get(f"/networks/{missing}/ancestors"))
    assert client.get("/networks", params={"state": "active", **SCOPE.to_dict()}).json() == []
