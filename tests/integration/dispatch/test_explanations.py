"""What stands before a Task: told as the claim has it, and of others no more than two rounded numbers."""

import pytest
from sqlalchemy import event

from alchemiscale_prefect.domain import explanations as domain
from alchemiscale_prefect.domain.errors import NotAuthorized, NotFound
from alchemiscale_prefect.domain.explanations import HindranceCode, Standing, hindrances
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.shares import Shares
from alchemiscale_prefect.services import dispatch, explanations, networks, tasks
from alchemiscale_prefect.store import queue
from tests.integration.dispatch.failing import CUDA, add, fail_once
from tests.integration.dispatch.world import MemoryLauncher, Net, World, own_keys, pool

OTHER = Scope("other", "c", "p")


@pytest.fixture(autouse=True)
def dispatcher(world: World) -> None:
    """One was heard of, whose pool has room."""
    dispatch.dispatch(world.database, MemoryLauncher(), pool())


def stand(world: World, key: ScopedKey, shares: Shares | None = None) -> Standing:
    """As the Task's user sees it."""
    mine = world.database.restricted(world.user.scopes)
    return explanations.explain(mine, world.database, world.user, shares, key)


def codes(standing: Standing) -> list[HindranceCode]:
    return [hindrance.code for hindrance in hindrances(standing)]


def said(standing: Standing) -> str:
    return "; ".join(hindrance.text for hindrance in hindrances(standing))


# --- what is under way, or over ---------------------------------------------------------------------------------------


def test_the_life_of_a_task(world: World, launcher: MemoryLauncher, net: Net) -> None:
    (key,) = world.create(net)
    assert codes(stand(world, key)) == ["unactioned"]
    world.action(net, [key])
    assert codes(stand(world, key)) == []

    launcher.free = dispatch.UNLIMITED
    (launch,) = dispatch.claim(world.database, pool())
    assert codes(stand(world, key)) == ["launch"]
    assert "attempt 1, for the work pool pool, was claimed at" in said(stand(world, key))
    world.age(60)
    dispatch.dispatch(world.database, launcher, pool())
    assert codes(stand(world, key)) == ["worker"]
    assert "waits for a worker since" in said(stand(world, key))
    world.execute("update attempt set pending_since = now()")
    assert "taken by a worker at" in said(stand(world, key))

    run = world.run(launch.attempt, launcher.of(launch.attempt))
    run.begin()
    assert codes(stand(world, key)) == ["running"]
    assert "runs on host since" in said(stand(world, key))
    assert "its lease holds until" in said(stand(world, key))
    world.age(1000)
    assert "its lease ran out at" in said(stand(world, key))
    run.heartbeat()
    run.complete(ok=False)
    assert codes(stand(world, key)) == ["error"]
    world.set_status([key], "waiting")
    world.started()[0].complete()
    assert codes(stand(world, key)) == ["final"]
    tasks.set_status(world.database, world.user, [key], "invalid", "by mistake")
    assert said(stand(world, key)) == "it is invalid: by mistake"


def test_a_task_that_rests_or_whose_parent_is_not_complete(world: World, net: Net) -> None:
    (parent,) = world.tasks(net)
    (child,) = world.create(net, extends=parent)
    world.action(net, [child])
    assert said(stand(world, child)) == f"it extends {parent}, which is waiting"
    world.execute(
        "update task set losses = 3, not_before = now() + interval '1 hour' where key = :key", key=parent.gufe_key
    )
    resting = stand(world, parent)
    assert codes(resting) == ["rest"]
    assert "3 attempts in a row were lost" in said(resting)
    assert resting.not_before is not None
    world.execute("update task set losses = 0 where key = :key", key=parent.gufe_key)
    assert said(stand(world, parent)).endswith(": its last attempt was given back, or refused by its host")


def test_what_restart_patterns_did_with_it(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    add(world, net, ["CUDA", "Segmentation"], 1)
    fail_once(world, CUDA)
    again = stand(world, key)
    assert codes(again) == []
    assert [(one.pattern, one.num_retries, one.max_retries) for one in again.restarts] == [
        ("CUDA", 1, 1),
        ("Segmentation", 0, 1),
    ]
    fail_once(world, CUDA)
    assert said(stand(world, key)).endswith("no network has it actioned; actioned and set to waiting it runs again")
    world.action(net, [key])
    assert said(stand(world, key)).endswith(
        "the restart patterns of its networks leave it; set to waiting it runs again"
    )


# --- the queue --------------------------------------------------------------------------------------------------------


def test_weights_of_zero(world: World) -> None:
    net, other = world.network("one"), world.network("two", 0.0)
    (key,) = world.create(net)
    world.action(net, [key], 0.0)
    assert said(stand(world, key)) == f"it has weight 0 on {net.key}"
    world.action(other, [key], 0.5)
    assert said(stand(world, key)) == f"its network has weight 0: {other.key}"
    networks.set_weights(world.database, world.user, [other.key], [0.5])
    assert codes(stand(world, key)) == []
    assert len(world.claim(2)) == 1


def test_its_place_is_where_it_is_claimed(world: World, net: Net) -> None:
    by_priority = {n: world.tasks(net, 6, priority=n) for n in (5, 3, 8)}
    standings = {key.gufe_key: stand(world, key) for keys in by_priority.values() for key in keys}
    places = {key: standing.places[0] for key, standing in standings.items()}
    assert own_keys(world.claim(18)) == sorted(places, key=lambda key: places[key].before)
    assert sorted(place.before for place in places.values()) == list(range(18))
    assert {place.by_priority for place in places.values()} == {0, 6, 12}
    last = standings[max(places, key=lambda key: places[key].before)]
    assert said(last) == (
        f"before it on {net.key}, which has 100 % of the next Tasks: "
        "12 Tasks of lower priority numbers and 5 Tasks of its own priority"
    )


def test_no_more_is_counted_than_is_told(world: World, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    key = world.tasks(net, 1, priority=20)[0]
    world.execute(
        """
        with made as (
            insert into task (key, scope_id, transformation_id)
            select 'Task-' || md5(n::text), t.scope_id, t.transformation_id
            from (select * from task limit 1) t, generate_series(1, 10002) n returning id)
        insert into action (network_id, task_id, scope_id, weight, priority, draw, queued)
        select a.network_id, made.id, a.scope_id, 0.5, 10, random(), true from made, (select * from action limit 1) a
        """
    )
    statements: list[tuple[str, object]] = []
    event.listen(
        world.database.engine, "before_cursor_execute", lambda _c, _u, text, given, *_: statements.append((text, given))
    )
    assert "more than 10,000 Tasks of lower priority numbers" in said(stand(world, key))
    # and no more is read: each statement goes by an index
    with world.database.restricted(world.user.scopes).transaction() as connection:
        queue.read_in_order(connection)
        for statement, given in [item for item in statements if "from action" in item[0] and "busy" not in item[0]]:
            plan = "\n".join(connection.exec_driver_sql(f"explain {statement}", given).scalars())
            assert "Seq Scan on action " not in plan, plan
            assert "Bitmap" not in plan, plan


# --- others -----------------------------------------------------------------------------------------------------------


def test_of_others_nothing_but_two_parts_is_told(world: World, net: Net) -> None:
    world.tasks(net, 3)
    key = world.tasks(net, 1, priority=20)[0]
    user = world.user
    world.act_in(OTHER)
    theirs = world.network("theirs", 1.0)
    their_key = world.tasks(theirs, 50)[0]
    world.user = user
    alone = stand(world, key)
    assert alone.places[0].before == 3
    assert alone.places[0].chance == 0.33
    assert alone.share is None
    with pytest.raises(NotAuthorized):
        stand(world, their_key)
    with pytest.raises(NotFound):
        stand(world, ScopedKey.of("Task-none", key.scope))


def test_fair_share_is_told(world: World, net: Net) -> None:
    keys = world.tasks(net, 30)
    user = world.user
    world.act_in(OTHER)
    world.tasks(world.network("theirs", 1.0), 30)
    world.user = user
    shares = Shares({Scope("test_org"): 1.0, Scope("other"): 3.0})
    for attempt in world.claim(8):
        world.run(attempt).begin()
    world.execute("update attempt set started_at = now() - interval '1 hour'")
    world.execute(
        "update attempt a set started_at = now() - interval '1 second' from task t join scope s on s.id = t.scope_id "
        "where t.id = a.task_id and s.org = 'other'"
    )
    waiting = next(key for key in keys if stand(world, key).attempt is None)
    ahead = stand(world, waiting, shares)
    assert ahead.share is not None
    assert (ahead.share.group, ahead.share.share, ahead.share.due, ahead.share.hours) == ("test_org-*-*", 1.0, 0.25, 24)
    # of the networks of its own group it is the only one
    assert ahead.places[0].chance == 1.0
    if ahead.share.used > 0.25:
        assert codes(ahead)[-1] == "share"
        assert "and its share is 25 %: others who have work come first" in said(ahead)


def test_counts_and_parts_as_they_are_said() -> None:
    assert [domain.counted(n) for n in (1, 2000, 10_001)] == ["1 Task", "2,000 Tasks", "more than 10,000 Tasks"]
    assert [domain.percent(part) for part in (0.0, 0.001, 0.126)] == ["0 %", "less than 1 %", "13 %"]
