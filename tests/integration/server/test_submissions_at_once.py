"""Many submissions at the same time: all succeed, and what they share is stored once."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from tests.api_server import SCOPE
from tests.chains import network_chain


def test_overlapping_networks_at_once_all_succeed(connect, client, count_rows):
    systems = [f"system {n}" for n in range(40)]
    chains = [network_chain(f"network {n}", systems[n : n + 30]) for n in range(8)]

    def send(chain):
        with connect(**client.headers) as own:
            return own.post("/networks", json={"network": chain, "scope": str(SCOPE)})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, [*chains, *chains]))
    assert [answer.status_code for answer in answers] == [200] * 16
    different = {key for chain in chains for key, _ in chain}
    rows = count_rows()
    assert rows["scope"] == 1
    assert rows["network"] == 8
    assert rows["gufe_object"] == len(different)
    for chain in chains:
        assert client.get(f"/networks/{chain[-1][0]}-{SCOPE}").json() == chain


def test_the_same_content_under_two_submissions_at_once_conflicts_for_one_at_most(connect, client):
    def forged(steps):
        chain = network_chain(f"network {steps}")
        for pair in chain:
            if pair[0].startswith("DummyProtocol"):
                pair[1]["settings"] = {"steps": steps}
        return chain

    def send(steps):
        with connect(**client.headers) as own:
            return own.post("/networks", json={"network": forged(steps), "scope": str(SCOPE)})

    with ThreadPoolExecutor(6) as pool:
        statuses = [answer.status_code for answer in pool.map(send, range(6))]
    assert sorted(statuses) == [200] + [409] * 5


def test_references_of_every_object_are_kept(submit, database):
    chain = network_chain()
    submit(chain)
    submit(network_chain("larger", ["a", "b", "c", "d"]))
    with database.transaction() as connection:
        rows = connection.execute(
            text(
                "select o.key, r.key from gufe_object o, unnest(o.refers_to) as link(id) "
                "join gufe_object r on r.id = link.id"
            )
        ).all()
        backwards = connection.execute(
            text("select count(*) from gufe_object o, unnest(o.refers_to) as link(id) where link.id >= o.id")
        )
        assert backwards.scalar_one() == 0
    stored: dict[str, set[str]] = {}
    for key, referenced in rows:
        stored.setdefault(key, set()).add(referenced)
    for key, content in chain:
        named = {pair for pair, _ in chain if f'"{pair}"' in str(content).replace("'", '"')}
        assert stored.get(key, set()) == named
