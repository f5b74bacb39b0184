"""Which Task is claimed next: networks by weight, strict priorities, action weights, `extends`; each Task once.

The statistical tests allow six standard deviations: each fails by chance less than once in ten million runs.
"""

import math
import threading
import time
from collections import Counter

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from alchemiscale_prefect.domain.selection import LEAST_WEIGHT, draw
from alchemiscale_prefect.services import networks, tasks
from alchemiscale_prefect.store import queue
from tests.integration.dispatch.world import World, own_keys


def _expected(left: dict[float, int], taken: int) -> dict[float, float]:
    """Of `left` contenders per weight, how many of each weight are among the first `taken` of a race."""
    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        if sum(n * -math.expm1(-w * middle) for w, n in left.items()) < taken:
            low = middle
        else:
            high = middle
    return {w: n * -math.expm1(-w * low) for w, n in left.items()}


def test_expected_numbers_of_a_race() -> None:
    assert _expected({0.5: 100, 1.0: 0}, 30)[0.5] == pytest.approx(30)
    both = _expected({0.5: 1000, 1.0: 1000}, 3)
    assert both[1.0] / both[0.5] == pytest.approx(2, rel=0.01)


def test_heavier_tasks_are_claimed_sooner_in_proportion(world: World) -> None:
    net = world.network()
    light = {key.gufe_key for key in world.tasks(net, 1000, 0.25)}
    world.tasks(net, 1000, 1.0)
    first = own_keys(world.claim(300))
    expected = _expected({0.25: 1000, 1.0: 1000}, 300)[0.25]
    assert expected == pytest.approx(65, abs=1)
    assert abs(len(light.intersection(first)) - expected) < 6 * math.sqrt(expected)


def test_networks_share_by_weight_whatever_their_size(world: World) -> None:
    large, small = world.network("large", 0.25), world.network("small", 0.75, ("c", "d"))
    world.tasks(large, 2000)
    ours = {key.gufe_key for key in world.tasks(small, 300)}
    first = own_keys(world.claim(200))
    assert abs(len(ours.intersection(first)) - 150) < 6 * math.sqrt(200 * 0.75 * 0.25)


def test_a_network_without_work_leaves_its_share_to_the_others(world: World) -> None:
    busy = world.network("busy", 1e-6)
    for name in "xyz":
        world.network(name, 1.0, (name, "end"))
    keys = world.tasks(busy, 5)
    assert sorted(own_keys(world.claim(10))) == sorted(key.gufe_key for key in keys)


def test_priorities_are_strict_within_a_network(world: World) -> None:
    net = world.network()
    by_priority = {p: [key.gufe_key for key in world.tasks(net, 20, 1.0 / p, p)] for p in (10, 1, 3)}
    order = own_keys(world.claim_all())
    assert [set(order[n : n + 20]) for n in (0, 20, 40)] == [set(by_priority[p]) for p in (1, 3, 10)]


def test_a_new_priority_holds_at_once(world: World) -> None:
    net = world.network()
    waiting = world.tasks(net, 50)
    urgent = waiting[17:20]
    tasks.set_priority(world.database, world.user, urgent, 1)
    assert set(own_keys(world.claim(3))) == {key.gufe_key for key in urgent}
    tasks.set_priority(world.database, world.user, waiting[:5], 2**63 - 1)
    assert set(own_keys(world.claim_all())[-5:]) == {key.gufe_key for key in waiting[:5]}


def test_weight_zero_is_never_claimed(world: World) -> None:
    net, stopped = world.network(), world.network("stopped", 0.0, ("c", "d"))
    idle = world.tasks(net, 5, 0.0)
    world.tasks(stopped, 5)
    assert world.claim(10) == []
    world.action(net, idle[:2], 0.1)
    networks.set_weights(world.database, world.user, [stopped.key], [1.0])
    assert len(world.claim(20)) == 7
    world.check()


def test_weight_zero_takes_a_task_out_of_the_queue(world: World) -> None:
    net = world.network()
    keys = world.tasks(net, 4)
    world.action(net, keys[:3], 0.0)
    assert own_keys(world.claim_all()) == [keys[3].gufe_key]


@pytest.mark.parametrize("least", [5e-324, 1e-300])
def test_the_least_weights_there_are_serve(world: World, least: float) -> None:
    net = world.network("least", least)
    keys = world.tasks(net, 20, least)
    for _ in range(20):  # it was the division that overflowed, for one random number in some
        world.action(net, keys, least)
    assert len(world.claim_all()) == 20
    assert math.isfinite(draw(least, 1 - 2**-53))


def test_a_minute_weight_does_not_blur_the_draws_after_it(world: World) -> None:
    net = world.network()
    world.tasks(net, 1, 5e-324)
    light = {key.gufe_key for key in world.tasks(net, 500, 0.25)}
    world.tasks(net, 500, 1.0)
    first = own_keys(world.claim(150))
    expected = _expected({0.25: 500, 1.0: 500}, 150)[0.25]
    assert abs(len(light.intersection(first)) - expected) < 6 * math.sqrt(expected)
    (largest,) = world.rows("select max(draw) from action")
    assert largest[0] < 100 / LEAST_WEIGHT


# --- newcomers, and those that come back -----------------------------------------------------------------------------


def test_newcomers_get_their_share_and_no_more(world: World) -> None:
    net = world.network()
    world.tasks(net, 1000)
    world.claim(300)
    new = {key.gufe_key for key in world.tasks(net, 1000)}
    share = len(new.intersection(own_keys(world.claim(200))))
    assert abs(share - 200 * 1000 / 1700) < 6 * math.sqrt(200 * (10 / 17) * (7 / 17))


def test_a_lost_task_shares_the_head_and_gives_newcomers_no_advantage(world: World) -> None:
    net = world.network()
    world.tasks(net, 1000)
    (lost,) = world.started()
    world.claim(299)
    lost.release()
    new = {key.gufe_key for key in world.tasks(net, 1000)}
    first = own_keys(world.claim(201))
    assert lost.task.gufe_key in first[:2]
    share = len(new.intersection(first))
    assert abs(share - 200 * 1000 / 1700) < 6 * math.sqrt(200 * (10 / 17) * (7 / 17))


def test_a_lost_task_does_not_wait_behind_a_new_queue(world: World) -> None:
    net = world.network()
    world.tasks(net, 200)
    world.claim(199)
    (last,) = world.started()  # with the largest draw of all
    world.tasks(net, 200)
    last.release()
    assert last.task.gufe_key in own_keys(world.claim(2))


def test_a_task_let_in_by_its_parent_gives_newcomers_no_advantage(world: World) -> None:
    net = world.network()
    parent = world.create(net)[0]
    children = world.create(net, 20, extends=parent)
    world.action(net, children)  # with draws of the queue's first hour
    world.tasks(net, 1000)
    world.claim(300)
    world.action(net, [parent], 1.0)
    tasks.set_priority(world.database, world.user, [parent], 1)
    (run,) = world.started()
    run.complete()
    new = {key.gufe_key for key in world.tasks(net, 1000)}
    share = len(new.intersection(own_keys(world.claim(220))))
    assert abs(share - 200 * 1000 / 1700) < 6 * math.sqrt(200 * (10 / 17) * (7 / 17)) + 20


def test_reweighting_changes_the_order_of_what_waits(world: World) -> None:
    net = world.network()
    keys = world.tasks(net, 1000, 0.5)
    world.action(net, keys[:500], 0.1)
    light = {key.gufe_key for key in keys[:500]}
    first = own_keys(world.claim(150))
    expected = _expected({0.1: 500, 0.5: 500}, 150)[0.1]
    assert abs(len(light.intersection(first)) - expected) < 6 * math.sqrt(expected)


# --- extends ---------------------------------------------------------------------------------------------------------


def test_a_child_waits_until_its_parent_is_complete(world: World) -> None:
    net = world.network()
    (parent,) = world.tasks(net)
    (child,) = world.create(net, extends=parent)
    (grandchild,) = world.create(net, extends=child)
    world.action(net, [child, grandchild])
    (run,) = world.started()
    assert run.task == parent
    assert world.claim() == []
    run.complete(ok=False)
    assert world.claim() == []
    world.set_status([parent], "waiting")
    (run,) = world.started()
    assert run.task == parent
    run.complete()
    assert own_keys(world.claim(2)) == [child.gufe_key]
    world.check()


def test_a_child_actioned_after_its_parent_is_complete_is_claimed_at_once(world: World) -> None:
    net = world.network()
    (parent,) = world.tasks(net)
    world.started()[0].complete()
    (child,) = world.create(net, extends=parent)
    world.action(net, [child])
    assert own_keys(world.claim()) == [child.gufe_key]


def test_a_child_actioned_while_its_parent_finishes_is_not_forgotten(world: World) -> None:
    net = world.network()
    (parent,) = world.tasks(net)
    (child,) = world.create(net, extends=parent)
    (run,) = world.started()
    run.store_result()
    threads = [
        threading.Thread(target=run.finish),
        threading.Thread(target=world.action, args=(net, [child])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.check()
    assert own_keys(world.claim()) == [child.gufe_key]


# --- several networks ------------------------------------------------------------------------------------------------


def test_a_task_of_several_networks_is_claimed_once_and_leaves_all(world: World) -> None:
    nets = [world.network(name) for name in ("one", "two", "three")]
    keys = world.create(nets[0], 30)
    for net in nets:
        world.action(net, keys)
    assert set(world.queued().values()) == {3}
    claimed = world.claim(12)
    assert len(set(own_keys(claimed))) == 12
    assert set(own_keys(claimed)).isdisjoint(world.queued())
    claimed += world.claim_all()
    assert Counter(own_keys(claimed)) == Counter(key.gufe_key for key in keys)
    assert {tag for (tags,) in world.rows("select tags from attempt") for tag in tags if "network:" in tag} <= {
        f"network:{net.key}" for net in nets
    }
    world.check()


def test_a_lost_task_comes_back_to_all_its_networks(world: World) -> None:
    nets = [world.network(name) for name in ("one", "two")]
    (key,) = world.create(nets[0])
    for net in nets:
        world.action(net, [key])
    (run,) = world.started()
    assert world.queued() == {}
    run.release()
    assert world.queued() == {key.gufe_key: 2}


def test_a_network_that_comes_in_while_the_claim_is_under_way_is_left_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot of what locks the Task does not show an action that is committed just before it does.

    Left in the queue it would be claimed, refused by ``uq_attempt_live`` and be claimed again, by every dispatcher.
    """
    one, two = world.network("one"), world.network("two", 0.0)
    (key,) = world.tasks(one)
    world.execute(
        """
        create function gate() returns boolean language plpgsql volatile as
        'begin perform pg_advisory_xact_lock_shared(77); return true; end'
        """
    )
    pick = str(queue._PICK)
    gated = pick.replace("and a.queued", "and a.queued and gate()")
    assert gated != pick
    monkeypatch.setattr(queue, "_PICK", text(gated))
    claimed: list[object] = []

    with world.database.transaction() as gate:
        gate.execute(text("select pg_advisory_xact_lock(77)"))
        thread = threading.Thread(target=lambda: claimed.extend(world.claim()))
        thread.start()
        _until_one_waits(world)  # its snapshot is taken
        world.action(two, [key])
    thread.join()
    monkeypatch.undo()
    assert len(claimed) == 1
    assert world.queued() == {}
    networks.set_weights(world.database, world.user, [two.key], [0.5])
    assert world.claim() == []
    world.check()


def _until_one_waits(world: World) -> None:
    waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    while not world.rows(waiting):
        time.sleep(0.01)


# --- locks -----------------------------------------------------------------------------------------------------------


def test_the_claim_passes_over_locked_tasks_and_leaves_nothing_of_them_locked(world: World) -> None:
    net = world.network()
    keys = world.tasks(net, 6)
    ids = {row.key: row.id for row in world.rows("select key, id from task")}
    locked = [ids[key.gufe_key] for key in keys[:4]]
    with world.database.transaction() as other, world.database.transaction() as claimer:
        queue.lock(other, locked)
        claimed = queue.claim(claimer, "pool", 6)
        assert set(own_keys(launch.attempt for launch in claimed)) == {key.gufe_key for key in keys[4:]}
        # the claimer's transaction is still open: it holds none of what it passed over
        other.execute(text("set local lock_timeout = '2s'"))
        other.execute(text("update action set draw = draw where task_id = any(:tasks)"), {"tasks": locked})
        queue.refresh(other, locked)
    assert len(world.claim(6)) == 4
    world.check()


def test_a_network_whose_tasks_are_all_locked_does_not_stop_the_others(world: World) -> None:
    busy, free = world.network("busy", 0.5), world.network("free", 0.5, ("c", "d"))
    held = world.tasks(busy, 3)
    world.tasks(free, 300)
    ids = {row.key: row.id for row in world.rows("select key, id from task")}
    got = 0
    with world.database.transaction() as other:
        queue.lock(other, [ids[key.gufe_key] for key in held])
        for _ in range(50):
            got += len(world.claim(4))
    # every second draw is a miss, and the third one ends a claim: 120 ± 10
    assert got >= 70


def test_a_claimed_task_waits_for_nobody_but_holds_its_lock(world: World) -> None:
    net = world.network()
    world.tasks(net, 1)
    ids = [row.id for row in world.rows("select id from task")]
    with world.database.transaction() as claimer:
        assert len(queue.claim(claimer, "pool", 1)) == 1
        with world.database.engine.connect() as other:
            other.execute(text("set lock_timeout = '100ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                queue.lock(other, ids)


def test_nothing_is_left_of_a_claim_that_is_rolled_back(world: World) -> None:
    net = world.network()
    world.tasks(net, 3)
    before = world.content()
    with world.database.engine.connect() as connection:
        assert len(queue.claim(connection, "pool", 2)) == 2
        connection.rollback()
    assert world.content() == before


def test_the_second_attempt_has_the_next_number(world: World) -> None:
    net = world.network()
    (key,) = world.tasks(net)
    for n in (1, 2, 3):
        (run,) = world.started()
        assert (run.attempt.n, run.attempt.task) == (n, str(key))
        run.release()
    assert world.attempts(key) == [(1, "lost"), (2, "lost"), (3, "lost")]
