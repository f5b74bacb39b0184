"""Networks that are refused: what is said, and that nothing is stored."""

import copy
import gzip
import json

import pytest

from alchemiscale_prefect.domain.keys import ScopedKey
from tests.api_server import FOREIGN, MAX_BODY, SCOPE, refused
from tests.chains import network_chain, pair, reference


@pytest.fixture
def send(client, count_rows):
    """Sends what must be refused; nothing may be stored."""

    def sent(chain=None, scope=SCOPE, **kwargs):
        scope = scope if isinstance(scope, dict | str) else scope.to_dict()
        before = count_rows()
        answer = client.post(
            "/networks", content=json.dumps({"network": chain or network_chain(), "scope": scope, **kwargs})
        )
        assert answer.status_code != 200
        assert count_rows() == before
        return answer

    return sent


@pytest.mark.parametrize(
    "scope",
    ["*-*-*", "test_org-*-*", "test_org-test_campaign-*", {"org": "test_org", "campaign": None, "project": None}, {}],
)
def test_a_scope_with_wildcards(send, scope):
    detail = refused(send(scope=scope), 422, "invalid_scope", "scope")
    assert "contains wildcards ('*'); `scope` must be *specific*" in detail


@pytest.mark.parametrize(
    "scope", ["a-b", "a-b-c-d", "", "1-b-c", "a-b-c d", {"org": "*", "campaign": "a", "project": "b"}, {"orgg": "a"}]
)
def test_a_scope_that_is_none(send, scope):
    refused(send(scope=scope), 422, "invalid_scope", "scope")


def test_a_foreign_scope(send):
    detail = refused(send(scope=FOREIGN), 401, "not_authorized", "scope")
    assert detail.startswith(
        f"Targeted scope '{FOREIGN}' not accessible via scopes for this identity: ['test_org-*-*']"
    )


def test_an_unknown_state(send):
    detail = refused(send(state="sleeping"), 400, "unknown_state", "state")
    assert detail.startswith("'sleeping' is not a valid state. Valid values include: ['active'")


@pytest.mark.parametrize("version", ["", "one", "1.12; drop table task", "1" * 65, "1.2\0", "١.12"])
def test_a_gufe_version_that_is_none(send, version):
    answer = send(gufe_version=version)
    assert answer.status_code in (400, 422)
    assert answer.json()["field"] == "gufe_version"


def test_a_gufe_version_that_did_not_write_the_chain(send):
    refused(send(gufe_version="0.4"), 400, "invalid_input", "gufe_version")
    refused(send(network_chain(line="0"), gufe_version="1.12"), 400, "invalid_input", "gufe_version")


def without(chain, position):
    del chain[position]


def repeated_with_other_content(chain, _):
    chain.append([chain[0][0], {**chain[0][1], "smiles": "CCO"}])


def dependencies_last(chain, _):
    chain.reverse()


def renamed(chain, position):
    chain[position][0] = "Forged-0123"


def pointed_at_nothing(chain, position):
    chain[position][1]["extra"] = {":gufe-key:": "Nothing-0123"}


def made_a_cycle(chain, _):
    chain[0][1]["back"] = reference(chain[-1])


def made_to_name_itself(chain, _):
    chain[0][1]["back"] = reference(chain[0])


def added_to(chain, _):
    chain.insert(0, pair("Extra", {"not": "needed"}))


@pytest.mark.parametrize(
    ("mutation", "said"),
    [
        (without, "truncated"),
        (repeated_with_other_content, "twice with different content"),
        (dependencies_last, "comes later"),
        (renamed, "is not"),
        (pointed_at_nothing, "not in the chain"),
        (made_a_cycle, "cycle"),
        (made_to_name_itself, "cycle"),
        (added_to, "is not needed"),
    ],
)
def test_a_truncated_or_forged_chain(send, mutation, said):
    chain = copy.deepcopy(network_chain())
    mutation(chain, 0)
    assert said in refused(send(chain), 422, "invalid_keyed_chain", "network")


def test_a_chain_cut_off_at_any_place(send):
    chain = network_chain()
    for length in range(1, len(chain)):
        refused(send(chain[:length]), 422, "invalid_keyed_chain", "network")


@pytest.mark.parametrize(
    "chain",
    [
        [[]],
        [["a"]],
        [["a-b", {}]],
        [["a-b", []]],
        ["a-b"],
        [[1, {}]],
        [["A-b", {"__qualname__": "A"}]],
        [["A-b", {"__qualname__": 1, "__module__": "m"}]],
        [["A-b!", {"__qualname__": "A", "__module__": "m"}]],
        [["A\ud800-b", {"__qualname__": "A\ud800", "__module__": "m"}]],
        [["A-b", {"__qualname__": "A", "__module__": "m\0"}]],
        [["A" * 300 + "-b", {"__qualname__": "A" * 300, "__module__": "m"}]],
        [["A-b", {"__qualname__": "A", "__module__": "m", "x": {":gufe-key:": 7}}]],
    ],
)
def test_a_list_that_is_no_keyed_chain(send, chain):
    refused(send(chain), 422, "invalid_keyed_chain", "network")


def test_the_chain_of_something_else(send):
    chain = network_chain()
    answer = send([*chain[:2], pair("Thing", {"a": reference(chain[0]), "b": reference(chain[1])})])
    assert "is the chain of a Thing, not of an AlchemicalNetwork" in refused(
        answer, 422, "invalid_keyed_chain", "network"
    )


def test_a_transformation_from_a_system_to_itself(send):
    chain = network_chain(systems=["a", "b"], edges=[(0, 1)])
    edge = chain[-2][1]
    edge["stateB"] = edge["stateA"]
    assert "use a NonTransformation" in refused(send(chain), 422, "invalid_keyed_chain", "network")


def test_a_transformation_whose_class_makes_no_scoped_key(send):
    chain = network_chain(systems=["a", "b"], edges=[(0, 1)])
    edge = pair("Outer.Transformation", {**chain[-2][1], "__qualname__": "Outer.Transformation"})
    root = pair("AlchemicalNetwork", {**chain[-1][1], "edges": [reference(edge)]})
    assert "is not a gufe key" in refused(send([*chain[:-2], edge, root]), 422, "invalid_keyed_chain", "network")


def test_a_name_that_could_not_be_found_again(send):
    refused(send(network_chain("n" * 513)), 422, "invalid_keyed_chain", "network")
    refused(send(network_chain("n\0")), 422, "invalid_keyed_chain", "network")


def test_text_that_utf8_cannot_hold(send):
    detail = refused(send(network_chain(protocol_settings={"text": "\ud800"})), 422, "invalid_keyed_chain", "network")
    assert "surrogate" in detail


def test_content_that_contradicts_what_the_scope_has(client, submit, send):
    chain = network_chain()
    key = submit(chain)
    forged = copy.deepcopy(network_chain("other"))
    position = next(n for n, (name, _) in enumerate(forged) if name.startswith("DummyProtocol"))
    forged[position][1]["settings"] = {"steps": 11}
    answer = send(forged)
    detail = refused(answer, 409, "content_conflict", "network")
    assert forged[position][0] in detail
    # what stands is as it was, and the same key may have that content elsewhere
    assert client.get(f"/networks/{key}").json() == chain
    other = {"org": "test_org", "campaign": "other", "project": "project"}
    assert client.post("/networks", json={"network": forged, "scope": other}).status_code == 200


def test_the_order_of_fields_is_no_content(client, submit):
    chain = network_chain()
    submit(chain)
    turned = [[key, dict(reversed(content.items()))] for key, content in chain]
    assert client.post("/networks", json={"network": turned, "scope": str(SCOPE)}).status_code == 200


def test_two_gufe_lines_in_one_scope(client, submit, send):
    submit(network_chain(line="1"))
    detail = refused(send(network_chain(line="0")), 409, "gufe_version_conflict", "scope")
    assert "gufe 1.x" in detail
    assert "gufe 0.x" in detail
    elsewhere = {"org": "test_org", "campaign": "old", "project": "gufe"}
    assert client.post("/networks", json={"network": network_chain(line="0"), "scope": elsewhere}).status_code == 200
    answer = client.post("/networks", json={"network": network_chain(line="1"), "scope": elsewhere})
    refused(answer, 409, "gufe_version_conflict", "scope")


def test_a_body_over_the_limit_by_what_it_declares(client, count_rows):
    before = count_rows()
    answer = client.post("/networks", content=b" " * (MAX_BODY + 1))
    assert f"limit of {MAX_BODY} bytes" in refused(answer, 413, "body_too_large")
    assert count_rows() == before


def test_a_body_over_the_limit_by_what_comes(client):
    def chunks():
        for _ in range(MAX_BODY // 1000 + 1):
            yield b" " * 1000

    refused(client.post("/networks", content=chunks()), 413, "body_too_large")
    # the connection, or a new one, serves on
    assert client.get("/info").status_code == 200


def test_a_body_over_the_limit_once_decompressed(client):
    bomb = gzip.compress(b" " * 200_000_000, 9)
    assert len(bomb) < MAX_BODY
    answer = client.post("/networks", content=bomb, headers={"Content-Encoding": "gzip"})
    refused(answer, 413, "body_too_large")
    many = gzip.compress(b" " * 1_000_000, 9) * 3
    refused(client.post("/networks", content=many, headers={"Content-Encoding": "gzip"}), 413, "body_too_large")


def test_a_body_at_the_limit(client):
    body = json.dumps({"network": network_chain(), "scope": str(SCOPE)}).encode()
    body += b" " * (MAX_BODY - len(body))
    assert client.post("/networks", content=body).status_code == 200
    packed = gzip.compress(body[:1000]) + gzip.compress(body[1000:])
    assert client.post("/networks", content=packed, headers={"Content-Encoding": "gzip"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "line 1 column 1"),
        (b"{", "line 1 column 2"),
        (b'{"network": [],\n "scope": }', "line 2 column 11"),
        (b"\xff\xfe\xfd", "not"),
        (b'{"network": "\xff"}', "not UTF-8 at byte 13"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"network": ' + b'[{"a":' * 100_000, "nested too deeply"),
        (b"1" * 5000, "not JSON"),
    ],
)
def test_a_body_that_is_not_json(client, body, said):
    assert said in refused(client.post("/networks", content=body), 422, "invalid_body")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("[]", None),
        ("null", None),
        ('{"network": []}', "scope"),
        ('{"scope": "a-b-c"}', "network"),
        ('{"network": "text", "scope": "a-b-c"}', "network"),
        ('{"network": [], "scope": "a-b-c", "state": 1}', "state"),
    ],
)
def test_a_body_that_lacks_or_mistakes_a_field(client, body, field):
    refused(client.post("/networks", content=body), 422, "invalid_body", field)


def test_a_chain_nested_as_deep_as_json_reads_is_taken_or_refused(client):
    # each step of the way has its own depth; none may fall over
    depths = (100, 400, 800, 900, 950, *range(960, 1000, 4))
    statuses = []
    for depth in depths:
        chain = network_chain(f"depth {depth}", protocol_settings={"steps": depth})
        text = json.dumps({"network": chain, "scope": str(SCOPE)})
        text = text.replace(f'"settings": {{"steps": {depth}}}', f'"settings": {"[" * depth}{"]" * depth}')
        statuses.append(client.post("/networks", content=text).status_code)
    assert set(statuses) <= {200, 422}, dict(zip(depths, statuses, strict=True))
    assert statuses[0] == 200
    assert statuses[-1] == 422


@pytest.mark.parametrize(
    ("encoding", "body", "said"),
    [
        ("gzip", b"plain", "not gzip"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-4], "cut off"),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"rubbish", "not gzip"),
        ("gzip", b"", "cut off"),
        ("br", b"{}", "not supported"),
        ("gzip, gzip", b"{}", "not supported"),
    ],
)
def test_an_encoding_that_is_wrong(client, encoding, body, said):
    answer = client.post("/networks", content=body, headers={"Content-Encoding": encoding})
    assert answer.json()["code"] == "invalid_body"
    assert said in answer.json()["detail"]


def test_a_body_is_not_read_before_the_token(connect):
    refused(connect().post("/networks", content=b" " * (MAX_BODY + 1)), 401, "not_authenticated")


def test_a_refused_network_leaves_the_key_free(client, send):
    chain = network_chain()
    send(chain[:-1])
    send(chain, scope=FOREIGN)
    answer = client.post("/networks", json={"network": chain, "scope": str(SCOPE)})
    assert ScopedKey.from_dict(answer.json()).gufe_key == chain[-1][0]
