"""Real networks through the API and back, without gufe: submission, queries, Tasks and status."""

import json
from collections import Counter

import pytest

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.settings import ApiSettings
from tests import shared_data
from tests.api_server import SCOPE, SECRET

SIZES = {
    "benzene_rhfe_short_rhtp": (14, 12),
    "charge_annihilation_set_cdk2_dummy": (6, 6),
    "freesolv_ahfe_asp": (643, 642),
    "jacs_set_p38_rhtp": (68, 102),
    "jacs_set_tyk2_dummy": (32, 44),
    "jacs_set_tyk2_rhtp": (32, 44),
}


@pytest.fixture
def api_settings():
    return ApiSettings(jwt_secret=SECRET)


@pytest.mark.parametrize("name", shared_data.NETWORKS)
def test_a_real_network_goes_in_and_comes_back_unchanged(client, name):
    chain = shared_data.network(name)
    answer = client.post("/networks", json={"network": chain, "scope": str(SCOPE), "gufe_version": "1.12.0"})
    assert answer.status_code == 200, answer.text
    network = ScopedKey.from_dict(answer.json())
    assert network.gufe_key == chain[-1][0]

    again = client.get(f"/networks/{network}").json()
    assert [key for key, _ in again] == [key for key, _ in chain]
    assert json.dumps(again) == json.dumps(chain)

    nodes, edges = SIZES[name]
    transformations = client.get(f"/networks/{network}/transformations").json()
    systems = client.get(f"/networks/{network}/chemicalsystems").json()
    assert (len(systems), len(transformations)) == (nodes, edges)
    content = dict(chain)
    for key, listed in (("edges", transformations), ("nodes", systems)):
        assert {item[":gufe-key:"] for item in content[network.gufe_key][key]} == {
            ScopedKey.from_str(name).gufe_key for name in listed
        }
    _check_one_edge(client, content, transformations[len(transformations) // 2])

    tasks = client.post("/bulk/transformations/tasks/create", json={"transformations": transformations * 2}).json()
    assert client.get(f"/networks/{network}/status").json() == {"waiting": 2 * edges}
    keys = [ScopedKey.from_str(task).to_dict() for task in tasks]
    assert client.post(f"/networks/{network}/tasks/action", json={"tasks": keys}).json() == tasks
    client.post("/bulk/tasks/status/set", json={"tasks": keys[:edges], "status": "invalid"})
    assert client.get(f"/networks/{network}/status").json() == {"invalid": edges, "waiting": edges}
    assert client.get(f"/scopes/{SCOPE}/status").json() == {"invalid": edges, "waiting": edges}


def _check_one_edge(client, content, transformation):
    key = ScopedKey.from_str(transformation)
    chain = client.get(f"/transformations/{transformation}").json()
    assert chain[-1] == [key.gufe_key, content[key.gufe_key]]
    seen = set()
    for name, keyed in chain:
        assert keyed == content[name]
        assert _references(keyed) <= seen
        seen.add(name)
    # everything it needs and nothing else
    assert Counter(name for name, _ in chain).most_common(1)[0][1] == 1
    assert seen == _closure(content, key.gufe_key)
    ends = client.get(f"/transformations/{transformation}/chemicalsystems").json()
    edge = content[key.gufe_key]
    assert [ScopedKey.from_str(end).gufe_key for end in ends] == [
        edge[state][":gufe-key:"] for state in ("stateA", "stateB")
    ]
    for end in ends:
        assert transformation in client.get(f"/chemicalsystems/{end}/transformations").json()


def _references(value):
    if isinstance(value, dict):
        if ":gufe-key:" in value:
            return {value[":gufe-key:"]}
        return set().union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


def _closure(content, key):
    return {key}.union(*(_closure(content, reference) for reference in _references(content[key])))


def test_two_real_networks_of_one_target_share_what_is_the_same(client, count_rows):
    counts = []
    for name in ("jacs_set_tyk2_rhtp", "jacs_set_tyk2_dummy"):
        chain = shared_data.network(name)
        assert client.post("/networks", json={"network": chain, "scope": str(SCOPE)}).status_code == 200
        counts.append(count_rows()["gufe_object"])
    keys = [{key for key, _ in shared_data.network(name)} for name in ("jacs_set_tyk2_rhtp", "jacs_set_tyk2_dummy")]
    assert counts == [len(keys[0]), len(keys[0] | keys[1])]
    assert counts[1] < len(keys[0]) + len(keys[1])
