"""Every route: what it is mounted at, that it wants a token, and that nothing sent to it makes a 500."""

import json
import re

import pytest
from fastapi.routing import APIRoute

from alchemiscale_prefect.api.app import AREAS
from alchemiscale_prefect.domain.access import IdentityKind
from alchemiscale_prefect.wire import paths
from tests.api_server import SCOPE, refused
from tests.chains import keys_of, network_chain

ROUTES = [route for area in AREAS for route in area.router.routes if isinstance(route, APIRoute)]
CASES = [(method, route.path) for route in ROUTES for method in sorted(route.methods)]
OPEN = {paths.PING, paths.TOKEN, paths.COMPUTE_TOKEN, paths.ADMIN_TOKEN}
WITHOUT_BODY = {paths.ADMIN_DISABLE, paths.ADMIN_ENABLE, paths.NETWORK_STRATEGY_AWAKE}
PATHS = {value for name, value in vars(paths).items() if name.isupper()}


def test_every_path_of_the_wire_is_mounted_and_no_other():
    assert {route.path for route in ROUTES} == PATHS
    assert len(CASES) == len(set(CASES))


def test_no_route_has_its_body_read_by_fastapi():
    # it would come into memory whole, whatever its size
    assert [route.path for route in ROUTES if route.body_field is not None] == []


def own_kind(path: str) -> IdentityKind:
    """Whose route it is."""
    return next((kind for kind in IdentityKind if path.startswith(f"/{kind}/")), IdentityKind.user)


def test_every_route_wants_a_token_of_its_own_kind(connect, log_in):
    clients = {kind: log_in(f"some-{kind}", [SCOPE], kind) for kind in IdentityKind}
    nobody = connect()
    for method, path in CASES:
        if path in OPEN:
            continue
        url = PLACEHOLDER.sub("1", path)
        refused(nobody.request(method, url), 401, "not_authenticated")
        for kind, other in clients.items():
            if kind is not own_kind(path):
                refused(other.request(method, url), 401, "not_authenticated")


PLACEHOLDER = re.compile(r"\{\w+\}")
EVIL = [
    "",
    "nonsense",
    "%00",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%ff%fe",
    "%ED%A0%80",
    "a" * 3000,
    f"Task-none-{SCOPE}",
    f"Task-none-{SCOPE}%00",
    "Task-none-*-*-*",
    "Task-none-test_org-test_campaign-a'b",
    "💥-💥-a-b-c",
]
BODIES = [
    None,
    1,
    "text",
    [],
    {},
    {"tasks": None},
    {"tasks": [None], "status": None, "weight": None, "priority": None, "task_weights": None},
    {"tasks": ["x"], "networks": ["x"], "states": ["x"], "transformations": ["x"], "count": 10**30},
    {"tasks": [], "status": "\ud800", "networks": [], "states": [], "weights": [], "priority": 10**30},
    {"tasks": [{"gufe_key": "\ud800-1", "org": "\0", "campaign": "a", "project": "b"}], "status": "waiting"},
    {"networks": ["\0"], "states": ["\0"], "task_weights": "yes", "weights": ["NaN"]},
    {"network": [["a-b", {"__qualname__": "\0"}]], "scope": "a-b-c", "gufe_version": "\0", "state": "\0"},
]


@pytest.mark.parametrize("kind", list(IdentityKind))
def test_nothing_bad_in_a_path_or_a_body_makes_a_server_error(log_in, submit, make_tasks, kind, count_rows):
    chain = network_chain()
    edge = keys_of(chain, "Transformation")[0]
    good = {"network": str(submit(chain)), "transformation": f"{edge}-{SCOPE}", "task": str(make_tasks(edge)[0])}
    client = log_in("someone", [SCOPE], kind)
    client.headers["alchemiscale-lease-owner"] = "owner"
    before = count_rows()
    for method, path in CASES:
        if own_kind(path) is not kind:
            continue
        for evil in EVIL if "{" in path else ():
            url = PLACEHOLDER.sub(evil, path)
            answer = client.request(method, url)
            assert answer.status_code < 500, (method, url, answer.text)
        url = PLACEHOLDER.sub("1", path.format_map(_Known(good)))
        for body in BODIES if method != "GET" else ():
            answer = client.request(method, url, content=json.dumps(body))
            assert answer.status_code < 500, (method, url, body, answer.text)
    # `1` is a weight that a network can have: the only change that was asked for rightly
    assert count_rows() == {**before, "audit": before["audit"] + (kind is IdentityKind.user)}


class _Known(dict):
    """Leaves placeholders that it has nothing for."""

    def __missing__(self, name):
        return f"{{{name}}}"


@pytest.mark.parametrize("parameter", ["name", "state", "status", "org", "extends", "return_as", "network_state"])
def test_nothing_bad_in_a_query_makes_a_server_error(client, submit, parameter):
    network = submit()
    values = ["", "\0", "(", "a" * 5000, "\U0001f4a5", "*", "{}", "%", "'; drop table task; --"]
    for path in (
        "/networks",
        "/transformations",
        "/chemicalsystems",
        "/tasks",
        f"/networks/{network}/tasks",
        f"/transformations/{keys_of(network_chain(), 'Transformation')[0]}-{SCOPE}/tasks",
        f"/scopes/{SCOPE}/status",
    ):
        for value in values:
            answer = client.get(path, params={parameter: value})
            assert answer.status_code < 500, (path, parameter, value, answer.text)


def test_openapi_describes_every_route_and_its_body(connect):
    described = connect().get("/openapi.json").json()["paths"]
    for method, path in CASES:
        operation = described[path][method.lower()]
        if method == "POST" and path not in WITHOUT_BODY:
            assert operation["requestBody"]["content"], path
    assert "$defs" not in json.dumps(described)


def test_an_address_that_is_none(client):
    for method, path, status in (("GET", "/nowhere", 404), ("DELETE", "/networks", 405), ("GET", "/token", 405)):
        answer = client.request(method, path)
        assert answer.status_code == status
        assert set(answer.json()) == {"detail", "code", "field"}
