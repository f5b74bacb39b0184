"""The dispatcher's loop and its ear: a pass on every change, and neither outlives its welcome nor dies of an error."""

import threading
import time
from itertools import pairwise

import psycopg
import pytest
from sqlalchemy import text

from alchemiscale_prefect.services import dispatch, dispatcher
from alchemiscale_prefect.services.dispatch import Pass
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.notifications import QueueListener
from tests.integration.dispatch.world import MemoryLauncher, World, pool
from tests.waiting import wait_for


@pytest.fixture
def listener(database: Database):
    listener = QueueListener(database)
    yield listener
    listener.close()


def _notify(database: Database) -> None:
    with database.transaction() as connection:
        queue.notify(connection)


def _terminate_listeners(database: Database) -> int:
    with database.transaction() as connection:
        return len(
            connection.execute(
                text(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where datname = current_database() and query like 'listen%' and pid <> pg_backend_pid()"
                )
            ).all()
        )


# --- the listener ----------------------------------------------------------------------------------------------------


def test_hears_a_change_and_nothing_else(database: Database, listener: QueueListener) -> None:
    assert listener.wait(0.05), "nobody heard what came before it listened"
    assert not listener.wait(0.05)
    _notify(database)
    assert listener.wait(60)
    assert not listener.wait(0.05)


def test_hears_what_came_while_nobody_waited_once(database: Database, listener: QueueListener) -> None:
    listener.wait(0.01)
    for _ in range(20):
        _notify(database)
    assert listener.wait(60)
    # they may come in more than one packet, but each call gives up a whole one
    while listener.wait(0.05):
        pass
    _notify(database)
    assert listener.wait(60)


def test_hears_only_what_is_committed(database: Database, listener: QueueListener) -> None:
    listener.wait(0.01)
    with database.engine.connect() as connection:
        queue.notify(connection)
        assert not listener.wait(0.1)
        connection.rollback()
    assert not listener.wait(0.1)


def test_every_change_of_the_queue_is_heard(world: World, listener: QueueListener) -> None:
    net = world.network()
    keys = world.create(net, 2)
    listener.wait(0.01)
    changes = [
        lambda: world.action(net, keys),
        lambda: world.set_status(keys[:1], "invalid"),
        lambda: world.started()[0].release(),
        lambda: world.started()[0].complete(ok=False),
        lambda: world.set_status(keys[1:], "waiting"),
        lambda: world.cancel(net, keys[1:]),
    ]
    for change in changes:
        change()
        assert listener.wait(60)
        while listener.wait(0.02):
            pass


def test_survives_a_terminated_backend(database: Database, listener: QueueListener) -> None:
    listener.wait(0.01)
    assert not listener.wait(0.01)
    assert _terminate_listeners(database) == 1
    assert listener.wait(60), "who knows what was missed"
    assert listener.wait(60), "and until it listens again"
    assert not listener.wait(0.05)
    _notify(database)
    assert listener.wait(60)


def test_a_backend_terminated_under_its_ear_wakes_it(database: Database, listener: QueueListener) -> None:
    listener.wait(0.01)
    timer = threading.Timer(0.2, _terminate_listeners, [database])
    timer.start()
    began = time.monotonic()
    assert listener.wait(250)
    assert time.monotonic() - began < 200
    timer.join()


def test_a_database_out_of_reach_is_a_change_and_not_the_end(database_url: str) -> None:
    database = Database(database_url.replace("host=", "host=/nowhere"))
    listener = QueueListener(database)
    for _ in range(3):
        assert listener.wait(1)
    listener.close()
    database.close()


def test_a_listen_that_fails_is_tried_again(
    database: Database, listener: QueueListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alchemiscale_prefect.store.notifications.CHANNEL", "no good name")
    assert listener.wait(1)
    monkeypatch.undo()
    assert listener.wait(1)
    assert not listener.wait(0.05)
    _notify(database)
    assert listener.wait(60)


def test_close_gives_no_listening_connection_back_to_the_pool(database: Database) -> None:
    listener = QueueListener(database)
    listener.wait(0.01)
    listener.close()
    listener.close()
    with database.transaction() as connection:
        assert connection.execute(text("select count(*) from pg_listening_channels()")).scalar_one() == 0
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


# --- the loop --------------------------------------------------------------------------------------------------------


class Loop:
    """The dispatcher in a thread."""

    def __init__(self, one_pass, listener: QueueListener, interval: float) -> None:
        self.stop = threading.Event()
        self.thread = threading.Thread(target=dispatcher.run, args=(one_pass, listener, interval, self.stop))

    def __enter__(self) -> "Loop":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


def test_what_is_actioned_is_launched_at_once(world: World, launcher: MemoryLauncher, listener: QueueListener) -> None:
    net = world.network()
    with Loop(lambda: dispatch.dispatch(world.database, launcher, pool()), listener, 3600):
        for count in (1, 2, 3):
            world.tasks(net)
            wait_for(lambda count=count: len(launcher.runs) == count, "a pass", every=0.01)


def test_a_run_that_begins_makes_room_for_the_next(
    world: World, launcher: MemoryLauncher, listener: QueueListener
) -> None:
    world.tasks(world.network(), 3)
    with Loop(lambda: dispatch.dispatch(world.database, launcher, pool(buffer=1)), listener, 3600):
        for count in (1, 2, 3):
            wait_for(lambda count=count: len(launcher.runs) == count, "the next launch", every=0.01)
            attempt = launcher.launched[-1].attempt
            wait_for(lambda attempt=attempt: world.attempt(attempt).flow_run_id, "its record", every=0.01)
            world.run(attempt, launcher.of(attempt)).begin()


def test_passes_are_made_without_any_change_too(listener: QueueListener) -> None:
    passes: list[float] = []

    def one_pass() -> Pass:
        passes.append(time.monotonic())
        return Pass()

    with Loop(one_pass, listener, 0.2):
        wait_for(lambda: len(passes) >= 4, "passes", every=0.01)
    # the first waits for a connection too; however busy the machine is, none comes early
    assert min(after - before for before, after in pairwise(passes)) > 0.15


def test_a_pass_that_fails_is_made_again(database: Database, listener: QueueListener) -> None:
    passes: list[int] = []

    def one_pass() -> Pass:
        passes.append(len(passes))
        if len(passes) == 1:
            raise ConnectionError("Prefect is out of reach")
        if len(passes) == 2:
            raise psycopg.OperationalError("the database is out of reach")
        return Pass(launched=1)

    with Loop(one_pass, listener, 0.05):
        wait_for(lambda: len(passes) >= 4, "passes", every=0.01)


def test_the_loop_outlives_its_listener(world: World, launcher: MemoryLauncher, listener: QueueListener) -> None:
    net = world.network()
    with Loop(lambda: dispatch.dispatch(world.database, launcher, pool()), listener, 3600):
        while not _terminate_listeners(world.database):
            time.sleep(0.02)
        world.tasks(net)
        wait_for(lambda: launcher.runs, "a pass", every=0.01)
