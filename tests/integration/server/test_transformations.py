"""Transformations and ChemicalSystems: found by name, and by what they belong to."""

import pytest

from tests.api_server import FOREIGN, SCOPE, refused, refused_as_missing
from tests.chains import keys_of, network_chain


@pytest.fixture
def chain(submit):
    """A network of three systems in a row and a NonTransformation on the last, and another with only the first two."""
    made = network_chain("whole", ["a", "b", "c"], [(0, 1), (1, 2), (2, 2)])
    submit(made)
    submit(network_chain("part", ["a", "b"], [(0, 1)]))
    return made


def scoped(*keys):
    return [f"{key}-{SCOPE}" for key in keys]


def test_queries_by_exact_name_in_order_of_key(client, chain):
    edges = keys_of(chain, "Transformation", "NonTransformation")
    assert client.get("/transformations").json() == sorted(scoped(*edges))
    assert client.get("/transformations", params={"name": "a to b"}).json() == scoped(edges[0])
    assert client.get("/transformations", params={"name": "a to .*"}).json() == []
    systems = keys_of(chain, "ChemicalSystem")
    assert client.get("/chemicalsystems").json() == sorted(scoped(*systems))
    assert client.get("/chemicalsystems", params={"name": "c"}).json() == scoped(systems[2])
    assert client.get("/chemicalsystems", params={"name": "a", "org": "elsewhere"}).json() == []


def test_what_belongs_to_what(client, chain):
    ab, bc = scoped(*keys_of(chain, "Transformation"))
    (alone,) = scoped(*keys_of(chain, "NonTransformation"))
    a, b, c = scoped(*keys_of(chain, "ChemicalSystem"))
    whole = scoped(chain[-1][0])[0]
    part = (set(client.get("/networks").json()) - {whole}).pop()

    def get(path):
        return client.get(path).json()

    assert set(get(f"/networks/{whole}/transformations")) == {ab, bc, alone}
    assert set(get(f"/networks/{part}/transformations")) == {ab}
    assert set(get(f"/networks/{whole}/chemicalsystems")) == {a, b, c}
    assert set(get(f"/networks/{part}/chemicalsystems")) == {a, b}
    assert set(get(f"/transformations/{ab}/networks")) == {whole, part}
    assert get(f"/transformations/{alone}/networks") == [whole]
    assert get(f"/transformations/{ab}/chemicalsystems") == [a, b]
    assert get(f"/transformations/{alone}/chemicalsystems") == [c]
    assert set(get(f"/chemicalsystems/{a}/networks")) == {whole, part}
    assert get(f"/chemicalsystems/{c}/networks") == [whole]
    assert set(get(f"/chemicalsystems/{b}/transformations")) == {ab, bc}
    # a NonTransformation is on its system once, though both its ends are
    assert get(f"/chemicalsystems/{c}/transformations") == [bc, alone]


def test_the_chain_of_a_part_is_all_it_needs_dependencies_first(client, chain):
    content = dict(chain)
    ab = keys_of(chain, "Transformation")[0]
    part = client.get(f"/transformations/{ab}-{SCOPE}").json()
    assert part[-1] == [ab, content[ab]]
    assert all(keyed == content[key] for key, keyed in part)
    qualnames = [keyed["__qualname__"] for _, keyed in part]
    assert sorted(qualnames) == sorted(
        ["SolventComponent", *["SmallMoleculeComponent", "ChemicalSystem"] * 2, "DummyProtocol", "Transformation"]
    )
    a = keys_of(chain, "ChemicalSystem")[0]
    assert len(client.get(f"/chemicalsystems/{a}-{SCOPE}").json()) == 3


def test_what_is_missing(client, chain):
    for kind in ("transformations", "chemicalsystems"):
        assert refused_as_missing(client.get(f"/{kind}/Thing-none-{SCOPE}"))
        assert client.get(f"/{kind}/Thing-none-{SCOPE}/networks").json() == []
    assert client.get(f"/transformations/Thing-none-{SCOPE}/chemicalsystems").json() == []
    assert client.get(f"/chemicalsystems/Thing-none-{SCOPE}/transformations").json() == []
    assert client.get(f"/transformations/Thing-none-{SCOPE}/status").json() == {}


def test_what_is_foreign(client, chain, submit):
    submit(chain, FOREIGN)
    system, edge = keys_of(chain, "ChemicalSystem")[0], keys_of(chain, "Transformation")[0]
    for path in (
        f"/transformations/{edge}-{FOREIGN}",
        f"/transformations/{edge}-{FOREIGN}/networks",
        f"/transformations/{edge}-{FOREIGN}/chemicalsystems",
        f"/transformations/{edge}-{FOREIGN}/status",
        f"/chemicalsystems/{system}-{FOREIGN}",
        f"/chemicalsystems/{system}-{FOREIGN}/networks",
        f"/chemicalsystems/{system}-{FOREIGN}/transformations",
        f"/networks/{chain[-1][0]}-{FOREIGN}",
    ):
        refused(client.get(path), 401, "not_authorized", "scope")
