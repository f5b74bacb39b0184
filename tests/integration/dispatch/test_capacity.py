"""How far a work pool is filled by what Prefect has room for; and that an idle dispatcher leaves the database alone."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from alchemiscale_prefect.domain.attempts import Capacity
from alchemiscale_prefect.domain.pools import BEAT
from alchemiscale_prefect.services import dispatch
from alchemiscale_prefect.services.dispatch import LAUNCH_GRACE, Pass
from alchemiscale_prefect.settings import DispatchSettings
from alchemiscale_prefect.store.database import Database
from tests.integration.dispatch.world import MemoryLauncher, Net, World, pool


def _begin(world: World, launcher: MemoryLauncher, count: int) -> None:
    begun = {row.flow_run_id for row in world.rows("select flow_run_id from attempt where state <> 'dispatched'")}
    ready = [item.attempt for item in launcher.launched if launcher.of(item.attempt) not in begun]
    for attempt in ready[:count]:
        world.run(attempt, launcher.of(attempt)).begin()


def _live(world: World) -> Counter[str]:
    return Counter(
        row.state for row in world.rows("select state from attempt where state in ('dispatched', 'running')")
    )


def test_all_free_slots_are_filled_at_once_and_a_buffer_beyond_them(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    world.tasks(net, 30)
    launcher.free = Capacity(slots=6)
    small = pool(buffer=2, max_in_flight=100)
    assert dispatch.dispatch(world.database, launcher, small) == Pass(launched=8)
    _begin(world, launcher, 6)
    # the workers are busy: nothing more than the buffer waits for them
    assert dispatch.dispatch(world.database, launcher, small) == Pass()
    assert _live(world) == {"running": 6, "dispatched": 2}
    # others take two of the slots; two of ours end
    launcher.free = Capacity(slots=4)
    for launch in launcher.launched[:2]:
        world.run(launch.attempt, launcher.of(launch.attempt)).complete()
    assert dispatch.dispatch(world.database, launcher, small) == Pass()
    launcher.free = Capacity(slots=6)
    assert dispatch.dispatch(world.database, launcher, small) == Pass(launched=2)


def test_the_limit_in_flight_holds_in_a_wider_pool(world: World, launcher: MemoryLauncher, net: Net) -> None:
    world.tasks(net, 30)
    launcher.free = Capacity(slots=1000)
    assert dispatch.dispatch(world.database, launcher, pool(buffer=2, max_in_flight=7)) == Pass(launched=7)


def test_a_pool_that_is_full_of_others_runs_keeps_its_buffer(world: World, launcher: MemoryLauncher, net: Net) -> None:
    world.tasks(net, 5)
    launcher.free = Capacity(slots=0)
    assert dispatch.dispatch(world.database, launcher, pool(buffer=2)) == Pass(launched=2)


def test_a_paused_pool_gets_nothing_until_it_goes_on(world: World, launcher: MemoryLauncher, net: Net) -> None:
    first, second, third = world.tasks(net, 3)
    with pytest.raises(ConnectionError):
        dispatch.dispatch(world.database, MemoryLauncher(fail_before=True), pool(buffer=1))
    launcher.free = Capacity(paused=True)
    world.age(LAUNCH_GRACE.total_seconds() + 1)
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass()
    assert launcher.launched == []
    assert _live(world) == {"dispatched": 1}
    # what nobody wants is stopped there all the same
    launcher.free = Capacity()
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(launched=3)
    launcher.free = Capacity(paused=True)
    world.cancel(net, [first, second, third])
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(cancelled=3)


# --- idle -------------------------------------------------------------------------------------------------------------


@contextmanager
def _statements(database: Database) -> Iterator[list[str]]:
    """What is sent to the database, with the beginning and the end of each transaction."""
    sent: list[str] = []

    def executed(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    def began(_connection: object) -> None:
        sent.append("begin")

    def ended(_connection: object) -> None:
        sent.append("end")

    listeners = {"before_cursor_execute": executed, "begin": began, "commit": ended, "rollback": ended}
    for name, listener in listeners.items():
        event.listen(database.engine, name, listener)
    try:
        yield sent
    finally:
        for name, listener in listeners.items():
            event.remove(database.engine, name, listener)


def test_an_idle_pass_is_one_statement_however_many_networks_there_are(
    world: World, launcher: MemoryLauncher, net: Net
) -> None:
    # as much as an idle system can have: Tasks that are not actioned, wait for nobody, run, have run, were cancelled
    world.create(net, 2)
    world.tasks(net, 2, weight=0)
    world.tasks(world.network("never", weight=0), 2)
    world.tasks(net, 3)
    dispatch.dispatch(world.database, launcher, pool())
    runs = [world.run(launch.attempt, launcher.of(launch.attempt)) for launch in launcher.launched]
    for run in runs:
        run.begin()
    runs[0].complete()
    world.cancel(net, [runs[1].task])
    assert dispatch.dispatch(world.database, launcher, pool()) == Pass(cancelled=1)
    for number in range(5):
        world.network(f"idle {number}")
    deaf = MemoryLauncher(fail_before=True, free=None)
    with _statements(world.database) as sent:
        assert dispatch.dispatch(world.database, deaf, pool()) == Pass()
    assert [statement.split()[0] for statement in sent] == ["begin", "select", "end"]
    # now and then it lets itself be heard of
    world.execute("update work_pool set heard_at = heard_at - :beat", beat=BEAT)
    with _statements(world.database) as heard:
        assert dispatch.dispatch(world.database, deaf, pool()) == Pass()
    assert [statement.split()[0] for statement in heard] == ["begin", "select", "end", "begin", "insert", "end"]
    with _statements(world.database) as again:
        dispatch.dispatch(world.database, deaf, pool())
    assert len(again) == len(sent)
    # and a ping, as the connection lay idle: less than one a second
    every = DispatchSettings.model_fields["dispatch_interval_seconds"].default
    assert (len(sent) + 1) / every + (len(heard) - len(sent)) / BEAT.total_seconds() < 1
