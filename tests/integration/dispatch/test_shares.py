"""Fair share in the claim: who has how many networks, and of what weight, does not matter."""

import re
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import event, text

from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.shares import Ledger, Shares
from alchemiscale_prefect.services import dispatch, metrics, shares
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.queries import shares as queries
from tests.integration.dispatch.world import MemoryLauncher, Net, World, pool

MANY, FEW = Scope("many"), Scope("few")
THREE_TO_ONE = Shares({FEW: 3.0, MANY: 1.0})


@pytest.fixture
def world(world: World) -> World:
    """Whose user works for two organisations."""
    world.act_in(Scope("many", "c", "p"), Scope("few", "c", "p"), Scope("few", "d", "p"))
    return world


def network(world: World, scope: Scope, name: str, weight: float, count: int) -> Net:
    """A network with waiting Tasks, in a scope."""
    net = world.network(name, weight, scope=scope)
    world.tasks(net, count)
    return net


def crowd(world: World, networks: int, tasks: int) -> None:
    """One organisation with many heavy networks, another with a light one."""
    for number in range(networks):
        network(world, Scope("many", "c", "p"), f"{number}", 1.0, tasks)
    network(world, Scope("few", "c", "p"), "only", 0.1, networks * tasks)


def organisations(world: World, since: int = 0) -> Counter[str]:
    """Attempts by organisation, those of the first ones left out."""
    rows = world.rows(
        "select s.org from attempt a join task t on t.id = a.task_id join scope s on s.id = t.scope_id "
        "order by a.created_at, a.task_id"
    )
    return Counter(row.org for row in rows[since:])


def work(world: World, seconds: dict[str, float], passes: int) -> Counter[str]:
    """Passes of a dispatcher with eight places, with 100 s from one to the next; seconds used by organisation."""
    eight = pool(buffer=8, max_in_flight=8, shares=THREE_TO_ONE)
    over = "case s.org " + " ".join(f"when '{org}' then {taken}" for org, taken in seconds.items()) + " end"
    for _ in range(passes):
        dispatch.claim(world.database, eight)
        world.execute("update attempt set state = 'running', started_at = now() where state = 'dispatched'")
        world.age(100.0)
        world.execute(
            f"""
            update attempt a set state = 'complete', ended_at = a.started_at + make_interval(secs => {over})
            from task t, scope s where t.id = a.task_id and s.id = t.scope_id and a.state = 'running'
                and a.started_at + make_interval(secs => {over}) <= now()
            """
        )
    rows = world.rows(
        "select s.org, sum(extract(epoch from coalesce(a.ended_at, now()) - a.started_at)) as used "
        "from attempt a join task t on t.id = a.task_id join scope s on s.id = t.scope_id group by s.org"
    )
    return Counter({row.org: float(row.used) for row in rows})


@pytest.mark.parametrize("seconds", [{"few": 100.0, "many": 100.0}, {"few": 100.0, "many": 400.0}])
def test_what_is_used_is_in_proportion_to_the_shares(world: World, seconds: dict[str, float]) -> None:
    crowd(world, 50, 6)
    used = work(world, seconds, passes=40)
    assert used["few"] / used["many"] == pytest.approx(3.0, rel=0.15)
    assert used.total() == pytest.approx(8 * 40 * 100.0, rel=0.01)  # and no place stood empty


def test_without_shares_the_weights_decide_and_nothing_more_is_asked(world: World) -> None:
    crowd(world, 10, 6)
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(world.database.engine, "before_cursor_execute", note)
    dispatch.claim(world.database, pool(buffer=40, max_in_flight=40))
    assert not any("durations" in statement or "'shares'" in statement for statement in asked)
    # of the weights' sum, the light network has a hundredth
    assert organisations(world)["few"] <= 8
    # with them, what was used is read once, however many are claimed
    dispatch.claim(world.database, pool("other", buffer=40, max_in_flight=40, shares=THREE_TO_ONE))
    event.remove(world.database.engine, "before_cursor_execute", note)
    assert sum("durations" in statement for statement in asked) == 1
    assert organisations(world)["few"] >= 38


def test_a_burst_within_one_pass_is_divided(world: World) -> None:
    crowd(world, 10, 10)
    dispatch.claim(world.database, pool(buffer=40, max_in_flight=40, shares=THREE_TO_ONE))
    assert organisations(world) == {"few": 30, "many": 10}
    # and so are those of dispatchers that know nothing of each other, while nothing has run yet
    for name in ("b", "c", "d", "e"):
        dispatch.claim(world.database, pool(name, buffer=1, max_in_flight=1, shares=THREE_TO_ONE))
    assert organisations(world) == {"few": 33, "many": 11}


def test_who_has_no_work_leaves_its_share_and_saves_nothing_up(world: World) -> None:
    network(world, Scope("many", "c", "p"), "busy", 1.0, 300)
    assert work(world, {"many": 100.0}, passes=20) == {"many": pytest.approx(8 * 20 * 100.0, rel=0.01)}
    network(world, Scope("few", "c", "p"), "late", 0.1, 400)
    # within the window it catches up, and after it the shares are all that counts
    world.age(1000.0)
    before = organisations(world).total()
    short = Shares(THREE_TO_ONE.by_pattern, timedelta(seconds=1000))
    dispatch.claim(world.database, pool("next", buffer=40, max_in_flight=40, shares=short))
    assert organisations(world, before) == {"few": 30, "many": 10}


def test_what_is_locked_or_runs_out_goes_to_others(world: World) -> None:
    network(world, Scope("few", "c", "p"), "short", 1.0, 3)
    locked = network(world, Scope("few", "d", "p"), "locked", 1.0, 5)
    network(world, Scope("many", "c", "p"), "long", 0.1, 30)
    with world.database.transaction() as other:
        other.execute(
            text("select 1 from task t join scope s on s.id = t.scope_id where s.campaign = 'd' for update of t")
        )
        launches = dispatch.claim(world.database, pool(buffer=20, max_in_flight=20, shares=THREE_TO_ONE))
    assert len(launches) == 20
    assert organisations(world) == {"few": 3, "many": 17}
    assert str(locked.key.scope) == "few-d-p"


def test_what_one_cannot_use_goes_to_who_is_behind_by_then(world: World) -> None:
    shares = Shares({Scope("few", "c"): 1.0, Scope("few", "d"): 1.0, MANY: 1.0})
    network(world, Scope("many", "c", "p"), "under way", 0.5, 40)
    dispatch.claim(world.database, pool("before", buffer=4, max_in_flight=4, shares=shares))
    network(world, Scope("few", "c", "p"), "behind", 0.5, 40)
    network(world, Scope("few", "d", "p"), "short", 0.5, 1)
    dispatch.claim(world.database, pool(buffer=12, max_in_flight=12, shares=shares))
    rows = world.rows(
        "select s.org || '-' || s.campaign as place, count(*) as n from attempt a join task t on t.id = a.task_id "
        "join scope s on s.id = t.scope_id group by 1"
    )
    claimed = {row.place: row.n for row in rows}
    # four places of the short one are left over: with what they were given just before, the others are even
    assert claimed["few-d"] == 1
    assert sorted((claimed["few-c"], claimed["many-c"])) == [7, 8]


def test_a_scope_of_an_organisation_may_have_a_share_of_its_own(world: World) -> None:
    for scope in (Scope("few", "c", "p"), Scope("few", "d", "p"), Scope("many", "c", "p")):
        network(world, scope, str(scope), 0.5, 40)
    of_scopes = Shares({Scope("few", "d"): 2.0, FEW: 1.0, Scope(): 1.0})
    dispatch.claim(world.database, pool(buffer=40, max_in_flight=40, shares=of_scopes))
    rows = world.rows(
        "select s.org || '-' || s.campaign as place, count(*) as n from attempt a join task t on t.id = a.task_id "
        "join scope s on s.id = t.scope_id group by 1"
    )
    assert {row.place: row.n for row in rows} == {"few-d": 20, "few-c": 10, "many-c": 10}
    assert [(part.group, part.share, part.due, part.used) for part in shares.parts(world.database, of_scopes)] == [
        ("few-*-*", 1.0, 0.25, 0.0),
        ("few-d-*", 2.0, 0.5, 0.0),
        ("many-*-*", 1.0, 0.25, 0.0),
    ]


def test_what_each_had_is_told_beside_its_share(world: World) -> None:
    crowd(world, 4, 8)
    assert "ALCHEMISCALE_SHARES is not set" in shares.check(world.database, None).detail
    work(world, {"few": 100.0, "many": 100.0}, passes=6)
    said = shares.check(world.database, THREE_TO_ONE)
    assert said.status == "ok"
    told = r"few-\*-\* due 75%, used [67]\d%; many-\*-\* due 25%, used [23]\d% \(of the last 24 hours\)"
    assert re.fullmatch(told, said.detail)
    operator = Principal.operating()
    parts = metrics.compute(world.database, operator, fair_share=THREE_TO_ONE).shares
    assert [part.group for part in parts] == ["few-*-*", "many-*-*"]
    assert sum(part.used for part in parts) == pytest.approx(1.0)
    assert metrics.compute(world.database, operator).shares == ()


def test_a_whole_pass_goes_by_the_shares(world: World) -> None:
    crowd(world, 5, 8)
    launcher = MemoryLauncher()
    assert dispatch.dispatch(world.database, launcher, pool(buffer=8, shares=THREE_TO_ONE)).launched == 8
    assert organisations(world) == {"few": 6, "many": 2}
    with world.database.transaction() as connection:
        assert queue.load(connection, "pool").in_flight == 8


def test_what_ended_long_ago_is_read_now_and_then_and_counts_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "MOST_AGE", timedelta(hours=1))
    crowd(world, 3, 20)
    launcher, books = MemoryLauncher(), shares.Books()
    eight = pool(buffer=8, max_in_flight=8, shares=THREE_TO_ONE)
    asked: list[str] = []
    event.listen(world.database.engine, "before_cursor_execute", lambda _c, _u, told, *_: asked.append(told))

    def one_pass() -> list[float]:
        """What the books have, beside what a read of the whole window gives."""
        dispatch.dispatch(world.database, launcher, eight, books)
        with world.database.transaction() as connection:
            kept = Ledger(THREE_TO_ONE, books.usages(connection, THREE_TO_ONE.window)).standings()
            read = Ledger(THREE_TO_ONE, queries.usages(connection, THREE_TO_ONE.window)).standings()
        for one, other in zip(kept, read, strict=True):
            assert one.group == other.group
            assert one.used == pytest.approx(other.used, rel=1e-9)
            assert (one.committed, one.expected) == pytest.approx((other.committed, other.expected), rel=1e-9)
        return [one.used for one in kept]

    # some ended an hour ago, others end from now on, with each pass
    dispatch.claim(world.database, eight)
    world.execute("update attempt set state = 'complete', started_at = created_at, ended_at = now()")
    world.age(3600)
    used = [one_pass()]
    for _ in range(3):
        world.execute(
            "update attempt set state = 'complete', started_at = now() - interval '100 s', ended_at = now() "
            "where state = 'dispatched'"
        )
        used.append(one_pass())
    assert [round(sum(after) - sum(before)) for before, after in pairwise(used)] == [800, 800, 800]
    assert sum("a.ended_at <=" in statement for statement in asked) == 1
    monkeypatch.setattr(shares, "MOST_AGE", timedelta(seconds=-1))
    one_pass()
    assert sum("a.ended_at <=" in statement for statement in asked) == 2
