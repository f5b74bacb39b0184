"""Networks through the API: sent, found, given back."""

import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from alchemiscale_prefect.domain.keys import ScopedKey
from tests.api_server import FOREIGN, SCOPE, refused, refused_as_missing
from tests.chains import keys_of, network_chain


def send(client, chain, scope=SCOPE, **kwargs):
    return client.post("/networks", json={"network": chain, "scope": scope.to_dict(), "state": "active", **kwargs})


def test_a_network_comes_back_as_it_was_sent(client):
    chain = network_chain()
    answer = send(client, chain)
    assert answer.status_code == 200
    assert answer.json() == {"gufe_key": chain[-1][0], **SCOPE.to_dict()}
    key = ScopedKey.from_dict(answer.json())
    again = client.get(f"/networks/{key}")
    assert again.headers["content-type"] == "application/json"
    # text, not only value: the order of fields and the spelling of numbers are kept
    assert again.text == json.dumps(chain, separators=(",", ":"), ensure_ascii=False)


def test_what_json_can_hold_is_kept_as_it_is(client):
    strange = {
        "float": 0.1 + 0.2,
        "small": 5e-324,
        "large": 10**30,
        "not": [float("nan"), float("inf"), -float("inf")],
        "text": 'Å \u2028 "quoted" \\ \u0000 \U0001f9ea',
        "": {"nested": [[], {}, None, True, False, -0.0]},
    }
    chain = network_chain(protocol_settings=strange)
    key = ScopedKey.from_dict(
        client.post("/networks", content=json.dumps({"network": chain, "scope": str(SCOPE)})).json()
    )
    assert client.get(f"/networks/{key}").text == json.dumps(chain, separators=(",", ":"), ensure_ascii=False)


def test_a_gzipped_body_is_the_same_as_a_plain_one(client):
    chain = network_chain()
    body = gzip.compress(json.dumps({"network": chain, "scope": SCOPE.to_dict()}).encode())
    answer = client.post("/networks", content=body, headers={"Content-Encoding": "gzip"})
    assert answer.json() == {"gufe_key": chain[-1][0], **SCOPE.to_dict()}


def test_large_answers_are_compressed_for_who_takes_that(client, submit):
    key = submit(network_chain(systems=[f"system {n}" for n in range(50)]))
    plain = client.get(f"/networks/{key}", headers={"Accept-Encoding": "identity"})
    packed = client.get(f"/networks/{key}", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text
    assert int(packed.headers["content-length"]) < len(plain.content) / 3


def test_sending_a_network_again_changes_nothing(client, submit, make_tasks, count_rows):
    chain = network_chain()
    key = submit(chain)
    (task,) = make_tasks(keys_of(chain, "Transformation")[0])
    client.post(f"/networks/{key}/weight", json=0.9)
    client.post(f"/networks/{key}/tasks/action", json={"tasks": [task.to_dict()]})
    client.post("/bulk/networks/state/set", json={"networks": [str(key)], "states": ["inactive"]})
    before = count_rows()
    assert ScopedKey.from_dict(send(client, chain, state="active").json()) == key
    assert count_rows() == before
    assert client.get(f"/networks/{key}/weight").json() == 0.9
    assert client.post("/bulk/networks/state/get", json={"networks": [str(key)]}).json() == ["inactive"]
    assert client.post(f"/networks/{key}/tasks/actioned", json={"task_weights": True}).json() == {str(task): 0.5}


def test_what_networks_share_is_stored_once_in_a_scope_and_again_in_another(client, submit, count_rows):
    submit(network_chain("one", ["a", "b"]))
    one = count_rows()
    submit(network_chain("two", ["a", "b", "c"]))
    two = count_rows()
    # new: a ligand, a system, two edges (0-2 and the one on the last), the network
    assert two["gufe_object"] - one["gufe_object"] == 5
    assert two["chemical_system"] - one["chemical_system"] == 1
    submit(network_chain("one", ["a", "b"]), FOREIGN)
    assert count_rows()["gufe_object"] == two["gufe_object"] + one["gufe_object"]


def test_each_of_two_networks_that_share_objects_comes_back_in_its_own_order(client, submit):
    one = network_chain("one", ["a", "b", "c"])
    two = network_chain("two", ["c", "b", "a"])
    for chain in (one, two):
        key = submit(chain)
        assert client.get(f"/networks/{key}").json() == chain


def test_a_chain_may_repeat_an_object_with_the_same_content(client):
    chain = network_chain()
    key = ScopedKey.from_dict(send(client, [chain[0], *chain]).json())
    assert client.get(f"/networks/{key}").json() == chain


def test_the_gufe_version_is_kept_with_every_object(client, database):
    send(client, network_chain(), gufe_version="1.12.0")
    with database.transaction() as connection:
        assert set(connection.exec_driver_sql("select gufe_version from gufe_object").scalars()) == {"1.12.0"}
        assert connection.exec_driver_sql("select gufe_line from scope").scalar_one() == "1"


@pytest.mark.parametrize(
    ("name", "state", "found"),
    [
        (None, None, {"tyk2_rbfe", "tyk2_abfe", "p38", None}),
        (None, "active", {"tyk2_rbfe", "p38", None}),
        ("tyk2_.*", None, {"tyk2_rbfe", "tyk2_abfe"}),
        ("tyk2", None, set()),
        (".*(abfe|p38)", None, {"tyk2_abfe", "p38"}),
        ("(?i)TYK2_RBFE", None, {"tyk2_rbfe"}),
        (None, "active|inactive", {"tyk2_rbfe", "tyk2_abfe", "p38", None}),
        (None, "in.*", {"tyk2_abfe"}),
        (None, "nonsense", set()),
        ("p38", "inactive", set()),
        ("", None, set()),
    ],
)
def test_queries_match_the_whole_name_and_state(client, submit, name, state, found):
    names = {}
    for network, its_state in (("tyk2_rbfe", "active"), ("tyk2_abfe", "inactive"), ("p38", "active"), (None, "active")):
        names[str(submit(network_chain(network), state=its_state))] = network
    parameters = {field: value for field, value in (("name", name), ("state", state)) if value is not None}
    answer = client.get("/networks", params=parameters)
    assert {names[key] for key in answer.json()} == found


@pytest.mark.parametrize("field", ["name", "state"])
@pytest.mark.parametrize("pattern", ["(", "a)|(b", "[z", "*", "a{2,1}", "(?q)x", "\\"])
def test_a_pattern_that_is_none_is_refused(client, submit, field, pattern):
    submit()
    detail = refused(client.get("/networks", params={field: pattern}), 400, "invalid_input", field)
    assert "not a valid regular expression" in detail


def test_a_pattern_that_takes_for_ever_is_cut_off(client, submit, monkeypatch):
    monkeypatch.setattr("alchemiscale_prefect.store.queries.patterns.TIMEOUT_SECONDS", 1)
    submit(network_chain("ab" * 200 + "c"))
    pattern = r"(.*)x?(.*)x?(.*)x?(.*)x?\4\3\2\1c"
    answer = client.get("/networks", params={"name": pattern})
    assert "took more than 1 s" in refused(answer, 400, "invalid_input", "name")
    # and the connection is as good as new
    assert len(client.get("/networks").json()) == 1


def test_nul_in_a_query_is_refused(client, submit):
    submit()
    for path in ("/networks", "/transformations", "/chemicalsystems"):
        refused(client.get(path, params={"name": "a\0b"}), 400, "invalid_input", "name")
    assert client.get("/tasks", params={"status": "a\0b"}).json() == []
    refused(client.get("/scopes/*-*-*/status", params={"network_state": "\0"}), 400, "invalid_input", "network_state")


def test_queries_see_the_intersection_of_what_is_asked_and_what_is_held(log_in, submit):
    places = [SCOPE, FOREIGN, SCOPE.__class__("test_org", "other", "project")]
    keys = {place: str(submit(scope=place)) for place in places}
    of_org = log_in("org", [SCOPE.__class__("test_org")])
    of_two = log_in("two", [SCOPE, FOREIGN])
    of_none = log_in("none", [])
    assert set(of_org.get("/networks").json()) == {keys[SCOPE], keys[places[2]]}
    assert set(of_two.get("/networks").json()) == {keys[SCOPE], keys[FOREIGN]}
    assert of_none.get("/networks").json() == []
    assert of_two.get("/networks", params={"org": "test_org"}).json() == [keys[SCOPE]]
    assert of_org.get("/networks", params={"org": "foreign_org"}).json() == []
    for path in ("/transformations", "/chemicalsystems"):
        assert {key.split("-", 2)[2] for key in of_two.get(path).json()} == {str(SCOPE), str(FOREIGN)}


def test_states_are_set_and_read_in_the_order_of_the_input(client, submit):
    one, two = str(submit(network_chain("one"))), str(submit(network_chain("two")))
    missing = f"AlchemicalNetwork-none-{SCOPE}"
    answer = client.post(
        "/bulk/networks/state/set",
        json={"networks": [two, missing, one], "states": ["deleted", "active", "invalid"]},
    )
    assert answer.json() == [two, None, one]
    answer = client.post("/bulk/networks/state/get", json={"networks": [one, missing, two, one]})
    assert answer.json() == ["invalid", None, "deleted", "invalid"]


def test_bad_states_change_nothing(client, submit):
    one, two = str(submit(network_chain("one"))), str(submit(network_chain("two")))
    path = "/bulk/networks/state/set"
    answer = client.post(path, json={"networks": [one, two], "states": ["inactive", "notastate"]})
    assert refused(answer, 400, "unknown_state", "state") == (
        "'notastate' is not a valid state. Valid values include: ['active', 'inactive', 'invalid', 'deleted']"
    )
    answer = client.post(path, json={"networks": [one, two], "states": ["inactive"]})
    assert "must have the same length" in refused(answer, 400, "invalid_input", "states")
    answer = client.post(path, json={"networks": [one, f"Transformation-a-{SCOPE}"], "states": ["deleted"] * 2})
    assert "`network` ScopedKey does not correspond to an `AlchemicalNetwork`" in refused(
        answer, 400, "invalid_input", "network"
    )
    assert client.post("/bulk/networks/state/get", json={"networks": [one, two]}).json() == ["active", "active"]


def test_weights_are_set_and_read(client, submit):
    one, two = str(submit(network_chain("one"))), str(submit(network_chain("two")))
    missing = f"AlchemicalNetwork-none-{SCOPE}"
    assert client.get(f"/networks/{one}/weight").json() == 0.5
    assert client.post(f"/networks/{one}/weight", json=1).json() == one
    assert client.get(f"/networks/{one}/weight").json() == 1.0
    assert client.get(f"/networks/{missing}/weight").json() is None
    assert client.post(f"/networks/{missing}/weight", json=0.1).json() is None
    answer = client.post("/bulk/networks/weight/set", json={"networks": [missing, two], "weights": [0.3, 0.0]})
    assert answer.json() == [None, two]
    answer = client.post("/bulk/networks/weight/get", json={"networks": [two, missing, one]})
    assert answer.json() == [0.0, None, 1.0]


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan"), float("inf")])
def test_bad_weights_change_nothing(client, submit, weight):
    one, two = str(submit(network_chain("one"))), str(submit(network_chain("two")))
    answer = client.post(f"/networks/{one}/weight", content=json.dumps(weight))
    assert "all `weights` must be between 0 and 1" in refused(answer, 400, "invalid_input", "weight")
    no_number = refused(client.post(f"/networks/{one}/weight", json="heavy"), 422, "invalid_body", "weight")
    assert no_number.startswith("`weight`: Input should be a valid number")
    body = json.dumps({"networks": [one, two], "weights": [0.1, weight]})
    refused(client.post("/bulk/networks/weight/set", content=body), 400, "invalid_input", "weight")
    refused(
        client.post("/bulk/networks/weight/set", json={"networks": [one], "weights": []}),
        400,
        "invalid_input",
        "weights",
    )
    assert client.post("/bulk/networks/weight/get", json={"networks": [one, two]}).json() == [0.5, 0.5]


@pytest.mark.parametrize("values", [{"states": ["inactive"] * 2}, {"weights": [0.1, 0.2]}])
def test_networks_are_locked_in_one_order_whatever_that_of_the_input(client, submit, database, values):
    first, second = submit(network_chain("one")), submit(network_chain("two"))
    path = f"/bulk/networks/{'state' if 'states' in values else 'weight'}/set"
    lock = "select id from network where id = {} for update nowait"
    with database.transaction() as connection, ThreadPoolExecutor() as pool:
        ids = connection.exec_driver_sql("select id from network order by id").scalars().all()
        connection.exec_driver_sql(lock.format(ids[0]))
        answers = [
            pool.submit(client.post, path, json={"networks": list(map(str, order)), **values})
            for order in ((first, second), (second, first))
        ]
        waiting = "select count(*) from pg_locks where not granted"
        while connection.exec_driver_sql(waiting).scalar_one() < 2:
            time.sleep(0.02)
        # neither of them has locked the second one before the first
        connection.exec_driver_sql(lock.format(ids[1]))
        connection.rollback()
        assert [answer.result().status_code for answer in answers] == [200, 200]


def test_a_missing_network_is_said_to_be_missing_or_empty(client):
    missing = f"AlchemicalNetwork-none-{SCOPE}"
    for path in ("", "/progress", "/estimates"):
        assert refused_as_missing(client.get(f"/networks/{missing}{path}"))
    for path in ("/transformations", "/chemicalsystems", "/tasks"):
        assert client.get(f"/networks/{missing}{path}").json() == []
    assert client.get(f"/networks/{missing}/status").json() == {}
    assert client.get(f"/exists/{missing}").json() is False


def test_names_of_everything_in_a_network_exist_and_others_do_not(client, submit):
    chain = network_chain()
    submit(chain)
    for key, _ in chain:
        assert client.get(f"/exists/{key}-{SCOPE}").json() is True
        refused(client.get(f"/exists/{key}-{FOREIGN}"), 401, "not_authorized", "scope")
    answer = client.get("/exists/lol")
    assert refused(answer, 422, "invalid_scoped_key") == "input does not appear to be a `ScopedKey`"
