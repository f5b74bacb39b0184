"""What another organisation has is to nobody else as if it were not there; also for a route that forgot to check."""

import json
import random
from dataclasses import replace

import pytest

from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission, Principal
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from tests.integration.server.every_request import Home, described, every_request, make_home, rows_of

CALLS = 200
HOMES = {org: Scope(org, "campaign", "moonshot") for org in ("north", "south")}
# Who may do what is no row of a scope: what these show and change is decided by the services alone, by the rights
# that the database has at that moment (`services.grants`)
IDENTITIES = {
    "/identities/{identity}/scopes",
    "/scopes/{scope}/grants",
    "/scopes/{scope}/grants/{identity}",
}


@pytest.fixture
def homes(system):
    return {org: make_home(system.database, system.objects, scope) for org, scope in HOMES.items()}


@pytest.fixture
def members(log_in):
    """For each organisation, who may do everything in it, as a user and as a compute run."""
    return {
        org: {
            kind: log_in(f"{kind}_of_{org}", [Grant(Scope(org), Permission.domain)], kind)
            for kind in (IdentityKind.user, IdentityKind.compute)
        }
        for org in HOMES
    }


@pytest.fixture
def unchecked(monkeypatch):
    """As if no service had ever thought of scopes."""
    monkeypatch.setattr(Principal, "require", lambda *_args: None)
    monkeypatch.setattr(Principal, "may_access", lambda *_args: True)
    monkeypatch.setattr(Principal, "visible", lambda _self, query: (query,))


class Twin:
    """The same requests for what is nowhere: other keys, in a scope that holds nothing."""

    def __init__(self, home: Home) -> None:
        keys = {value for value in home.values.values() if isinstance(value, str) and value.endswith(f"-{home.scope}")}
        keys |= set(home.values["tasks"])
        self._names = {}
        for number, key in enumerate(sorted(keys)):
            gufe_key = ScopedKey.from_str(key).gufe_key
            self._names[gufe_key] = f"{gufe_key.partition('-')[0]}-{number:032x}"
        self._names[str(home.scope.project)] = "nothing"

    def text(self, text: str) -> str:
        """`text` with its names in place of the home's."""
        for name, other in self._names.items():
            text = text.replace(name, other)
        return text

    def request(self, request):
        """The request for it."""
        arguments = {
            name: value if isinstance(value, bytes) else json.loads(self.text(json.dumps(value)))
            for name, value in request.arguments.items()
        }
        return replace(request, url=self.text(request.url), arguments=arguments)


def assert_as_if_nothing_were_there(client, request, home: Home, other: Twin) -> None:
    answer = request.send(client)
    assert answer.status_code < 500, (str(request), answer.text)
    nowhere = other.request(request).send(client)
    said = (str(request), request.arguments, answer.text, nowhere.text)
    assert (answer.status_code, other.text(answer.text)) == (nowhere.status_code, other.text(nowhere.text)), said
    asked = request.url + json.dumps({**request.arguments, "content": None})
    if home.scope.org not in asked:
        assert home.scope.org not in answer.text, said
    assert home.values["name"] not in answer.text, said


def test_the_comparison_sees_what_is_there(members, homes):
    home = homes["north"]
    seen = 0
    for request in every_request(home):
        if request.method == "GET" and "{" in request.path and request.path not in IDENTITIES:
            with pytest.raises(AssertionError):
                assert_as_if_nothing_were_there(members["north"][request.kind], request, home, Twin(home))
            seen += 1
    assert seen > 20


def test_every_route_finds_nothing_of_others(system, members, homes):
    home, before = homes["north"], rows_of(system.database)
    for request in every_request(home):
        assert_as_if_nothing_were_there(members["south"][request.kind], request, home, Twin(home))
    assert rows_of(system.database) == before


def test_every_route_without_its_checks_finds_nothing_of_others(system, members, homes, unchecked):
    home, before = homes["north"], rows_of(system.database)
    for request in every_request(home):
        if request.path not in IDENTITIES:
            assert_as_if_nothing_were_there(members["south"][request.kind], request, home, Twin(home))
    assert rows_of(system.database) == before


@pytest.mark.parametrize("org", sorted(HOMES))
def test_random_calls_for_what_others_have(system, members, homes, org):
    chance = random.Random(org)
    (victim,) = (home for name, home in homes.items() if name != org)
    own = homes[org]
    requests, other = list(every_request(victim)), Twin(victim)
    theirs = system.database.restricted([victim.scope])
    before, everything = rows_of_scope(theirs), rows_of(system.database)
    for _ in range(CALLS):
        request = varied(chance, chance.choice(requests), victim)
        assert_as_if_nothing_were_there(members[org][request.kind], request, victim, other)
    assert rows_of(system.database) == everything
    for _ in range(CALLS // 4):
        # among things of one's own, which may change
        request = mixed(chance, chance.choice(requests), victim, own)
        answer = request.send(members[org][request.kind])
        assert answer.status_code < 500, (str(request), answer.text)
        assert victim.values["name"] not in answer.text
    assert rows_of_scope(theirs) == before


def rows_of_scope(database) -> dict[str, list[str]]:
    with database.transaction() as connection:
        return {
            table: sorted(connection.exec_driver_sql(f"select {table}::text from {table}").scalars())
            for table in ("network", "task", "action", "attempt", "result", "restart_pattern", "strategy", "checkpoint")
        }


def varied(chance: random.Random, request, home: Home):
    """The request with other things of the home's, and with more parameters."""
    values = dict(home.values)
    keys = [values[name] for name in ("network", "transformation", "chemical_system", "task", "result")]
    url = request.url
    for key in keys:
        if chance.random() < 0.2:
            url = url.replace(key, chance.choice(keys))
    offered = {
        "org": home.scope.org,
        "campaign": home.scope.campaign,
        "project": home.scope.project,
        "status": chance.choice(["waiting", "running", "complete", "error"]),
        "state": ".*",
        "network_state": ".*",
        "extends": values["task"],
        "return_as": "graph",
        "limit": 10,
    }
    known = {parameter["name"] for parameter in described()[request.path][request.method.lower()].get("parameters", ())}
    params = {name: value for name, value in offered.items() if name in known and chance.random() < 0.6}
    return replace(
        request, url=url, arguments={**request.arguments, "params": {**request.arguments["params"], **params}}
    )


def mixed(chance: random.Random, request, home: Home, own: Home):
    """The request with some of its keys exchanged for one's own."""
    body = request.arguments.get("json")
    if not isinstance(body, dict):
        return request
    more = {
        name: chance.sample([*value, *own.values[name]], len(value) + 1)
        for name, value in body.items()
        if name in ("tasks", "networks", "transformations")
    }
    named = {name: own.values[name] for name in ("network", "transformation", "task")}
    url = request.url
    for name, value in named.items():
        if chance.random() < 0.5:
            url = url.replace(home.values[name], value)
    return replace(request, url=url, arguments={**request.arguments, "json": {**body, **more}})
