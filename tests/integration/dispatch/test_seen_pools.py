"""What dispatchers write down of their work pools, and what a user is told of that."""

import pytest
from sqlalchemy import event

from alchemiscale_prefect.domain.attempts import Capacity
from alchemiscale_prefect.domain.explanations import hindrances
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.pools import BEAT
from alchemiscale_prefect.services import dispatch, explanations
from tests.integration.dispatch.world import MemoryLauncher, Net, World, pool


def said(world: World, key: ScopedKey) -> dict[str, str]:
    """What stands before a Task, as its user is told."""
    mine = world.database.restricted(world.user.scopes)
    standing = explanations.explain(mine, world.database, world.user, None, key)
    return {hindrance.code.value: hindrance.text for hindrance in hindrances(standing)}


def test_no_dispatcher_has_been_heard_of(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    assert said(world, key) == {
        "pool": "no dispatcher has been heard of: none runs, or it cannot reach Prefect",
    }
    closed = MemoryLauncher(free=Capacity(paused=True))
    dispatch.dispatch(world.database, closed, pool())
    assert "no dispatcher" not in said(world, key)["pool"]
    # one that cannot reach Prefect is as good as none
    world.execute("update work_pool set heard_at = now() - interval '1 hour', heard_until = now() - interval '59 min'")
    with pytest.raises(ConnectionError):
        dispatch.dispatch(world.database, MemoryLauncher(free=None), pool())
    (row,) = world.rows("select to_char(heard_at, 'YYYY-MM-DD HH24:MI:SS') as at from work_pool")
    assert said(world, key)["pool"].startswith(f"no dispatcher has been heard of since {row.at}")


@pytest.mark.parametrize(
    ("free", "small", "told"),
    [
        (Capacity(paused=True), {}, "is paused (it, or its queue, or their limit is 0)"),
        (Capacity(workers_online=False), {"buffer": 1}, "has no worker online"),
        (
            Capacity(slots=1, workers_online=True),
            {"buffer": 2},
            "is full: 3 of 3 places are taken, 2 of them by what waits for a worker",
        ),
        (
            Capacity(slots=9),
            {"max_in_flight": 3},
            "is full: 3 of 3 places are taken, 2 of them by what waits for a worker",
        ),
        (Capacity(), {"buffer": 2}, "is full: 1 run there, and 2 wait for a worker already"),
        (
            Capacity(),
            {"max_in_flight": 3},
            "is full: 3 of 3 places are taken, 2 of them by what waits for a worker",
        ),
    ],
)
def test_why_no_pool_takes_a_task(world: World, net: Net, free: Capacity, small: dict[str, int], told: str) -> None:
    key = world.tasks(net, priority=20)[0]
    world.tasks(net, 3)
    launcher = MemoryLauncher(free=Capacity(slots=77))
    dispatch.dispatch(world.database, launcher, pool(max_in_flight=1))
    first = launcher.launched[0].attempt
    world.run(first, launcher.of(first)).begin()
    launcher.free = free
    dispatch.dispatch(world.database, launcher, pool(**small))
    assert said(world, key)["pool"] == f"no work pool takes a Task now: pool {told}"


def test_what_waits_for_a_worker_is_told_what_keeps_the_workers(world: World, net: Net) -> None:
    taken, later = world.tasks(net)[0], world.tasks(net, priority=20)[0]
    launcher = MemoryLauncher(free=Capacity(workers_online=False))
    dispatch.dispatch(world.database, launcher, pool(buffer=1))
    assert said(world, taken)["worker"].endswith(": it has no worker online")
    launcher.free = Capacity(workers_online=True)
    dispatch.dispatch(world.database, launcher, pool(buffer=1))
    assert "online" not in said(world, taken)["worker"]
    assert said(world, later)["pool"].endswith("pool is full: 0 run there, and 1 wait for a worker already")
    # another pool has room
    with world.database.transaction() as connection:
        connection.exec_driver_sql(
            "insert into work_pool (name, buffer, max_in_flight, paused, heard_at, heard_until) "
            "select 'wide', 4, 100, false, heard_at, heard_until from work_pool"
        )
    assert "pool" not in said(world, later)


def test_what_does_not_change_is_not_written_again(world: World, net: Net) -> None:
    world.tasks(net, 3)
    launcher = MemoryLauncher(free=Capacity(slots=1))
    small = pool(buffer=1, max_in_flight=1)
    dispatch.dispatch(world.database, launcher, small)
    asked: list[str] = []
    event.listen(world.database.engine, "before_cursor_execute", lambda _c, _u, text, *_: asked.append(text))

    def writes() -> int:
        asked.clear()
        dispatch.dispatch(world.database, launcher, small)
        return sum("into work_pool" in statement for statement in asked)

    assert [writes(), writes()] == [0, 0]
    launcher.free = Capacity(slots=2)
    assert [writes(), writes()] == [1, 0]
    world.execute("update work_pool set heard_at = heard_at - :beat", beat=BEAT)
    assert [writes(), writes()] == [1, 0]
