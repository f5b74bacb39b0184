"""What the server takes for a Strategy, which it never builds."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission, Principal
from alchemiscale_prefect.domain.errors import PermissionDenied
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.strategies import StrategyState
from alchemiscale_prefect.services import strategies
from alchemiscale_prefect.store.database import Database
from tests.api_server import SCOPE
from tests.chains import Chain, network_chain, pair, reference

Submit = Callable[..., ScopedKey]


def strategy_chain(**settings: Any) -> Chain:
    """The chain of a Strategy of two objects."""
    given = pair("RadialSettings", settings, module="elsewhere.strategies")
    return [given, pair("RadialStrategy", {"settings": reference(given)}, module="elsewhere.strategies")]


def test_a_strategy_of_a_package_the_server_has_not_comes_back_as_it_was_sent(
    client: httpx.Client, submit: Submit
) -> None:
    network, chain = submit(), strategy_chain(max_runs=3)
    path = f"/networks/{network}/strategy"
    answer = client.post(path, json={"strategy": chain})
    assert answer.json() == f"{chain[-1][0]}-{SCOPE}"
    assert client.get(path).json() == chain
    # the second time it is there already
    assert client.post(path, json={"strategy": chain, "mode": "full"}).json() == answer.json()
    assert client.get(f"{path}/state").json()["mode"] == "full"
    assert client.post(path, json={"strategy": None}).json() is None
    assert client.get(path).json() is None


@pytest.mark.parametrize(
    ("chain", "status", "code"),
    [
        pytest.param([], 422, "invalid_keyed_chain", id="empty"),
        pytest.param({"settings": {}}, 422, "invalid_body", id="no list"),
        pytest.param(strategy_chain()[1:], 422, "invalid_keyed_chain", id="truncated"),
        pytest.param(network_chain(), 422, "invalid_keyed_chain", id="a network"),
        pytest.param([pair("S-S", {}, module="m")], 422, "invalid_keyed_chain", id="a key that is none"),
        pytest.param([pair("S", {"name": "n" * 600}, module="m")], 422, "invalid_keyed_chain", id="a long name"),
        pytest.param([pair("S", {}, module="m", line="0")], 409, "gufe_version_conflict", id="another gufe"),
    ],
)
def test_what_is_no_strategy_is_refused_and_nothing_is_kept(
    client: httpx.Client, submit: Submit, count_rows: Callable[[], dict[str, int]], chain: Any, status: int, code: str
) -> None:
    network = submit()
    before = count_rows()
    answer = client.post(f"/networks/{network}/strategy", json={"strategy": chain})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if status == 422:
        assert answer.json()["field"] == "strategy"
    assert count_rows() == before


def test_other_content_under_the_same_key_is_refused(client: httpx.Client, submit: Submit) -> None:
    network, chain = submit(), strategy_chain(max_runs=3)
    path = f"/networks/{network}/strategy"
    client.post(path, json={"strategy": chain})
    chain[0][1]["max_runs"] = 4
    answer = client.post(path, json={"strategy": chain, "mode": "full"})
    assert (answer.status_code, answer.json()["code"]) == (409, "content_conflict")
    assert answer.json()["field"] == "strategy"
    assert client.get(f"{path}/state").json()["mode"] == "partial"


def test_without_the_field_strategy_nothing_is_removed(client: httpx.Client, submit: Submit) -> None:
    path = f"/networks/{submit()}/strategy"
    client.post(path, json={"strategy": strategy_chain()})
    answer = client.post(path, json={"mode": "full"})
    assert (answer.status_code, answer.json()["field"]) == (422, "strategy")
    assert client.get(f"{path}/status").json() == "awake"


def test_who_may_only_read_sees_a_strategy_and_changes_none(
    database: Database, operator: Principal, submit: Submit
) -> None:
    network, chain = submit(), strategy_chain()
    strategies.set_strategy(database, operator, network, chain, StrategyState())
    reader = Principal("reader", IdentityKind.user, (Grant(Scope("test_org"), Permission.read),))
    assert strategies.get_state(database, reader, network) == StrategyState()
    assert strategies.get_chain(database, reader, network) is not None
    for call in (
        lambda: strategies.set_strategy(database, reader, network, chain, StrategyState(iterations=3)),
        lambda: strategies.remove(database, reader, network),
        lambda: strategies.set_awake(database, reader, network),
    ):
        with pytest.raises(PermissionDenied):
            call()
    assert strategies.get_state(database, operator, network) == StrategyState()


def test_what_was_done_is_written_down(database: Database, operator: Principal, submit: Submit) -> None:
    network = submit()
    strategies.remove(database, operator, network)
    strategies.set_awake(database, operator, network)
    strategies.set_strategy(database, operator, network, strategy_chain(), StrategyState())
    strategies.set_awake(database, operator, network)
    strategies.remove(database, operator, network)
    with database.transaction() as connection:
        rows = connection.execute(
            text("select action from audit where target = :key order by id"), {"key": str(network)}
        )
        done = [action for action in rows.scalars() if action.startswith("strategy")]
    assert done == ["strategy.set", "strategy.awake", "strategy.remove"]
