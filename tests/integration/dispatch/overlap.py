"""Two calls whose transactions overlap: one is held before a statement of its choice while the other is made."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import event, text

from alchemiscale_prefect.store.database import Database

Call = Callable[[Database], str]
# nothing waits for so long but a machine that is very busy
PATIENCE = 60.0


class Gate:
    """Holds the thread that uses a database before its n-th statement, until it is opened."""

    def __init__(self, database: Database, statement: int) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()
        self._left = statement
        event.listen(database.engine, "before_cursor_execute", self._before)
        self._remove = lambda: event.remove(database.engine, "before_cursor_execute", self._before)

    def _before(self, *_: Any) -> None:
        self._left -= 1
        if self._left == 0:
            self.reached.set()
            assert self._open.wait(PATIENCE), "nobody opened the gate"

    def open(self) -> None:
        """Let it go on."""
        self._open.set()

    def remove(self) -> None:
        """Nothing is held any more."""
        self._remove()


class Overlap:
    """Makes two calls at once.

    Parameters
    ----------
    looks
        Asked who waits for a lock.
    first, second
        The databases (connections) of the two calls.
    """

    def __init__(self, looks: Database, first: Database, second: Database) -> None:
        self._looks = looks
        self._databases = (first, second)

    def run(self, first: Call, second: Call, statement: int) -> tuple[str, str]:
        """Hold `first` before its n-th statement; make `second` until it has ended or waits for a lock; go on.

        Returns
        -------
        str, str
            What the two answered.
        """
        gate = Gate(self._databases[0], statement)
        with ThreadPoolExecutor(2) as threads:
            one = threads.submit(first, self._databases[0])
            try:
                _wait(lambda: gate.reached.is_set() or one.done())
                two = threads.submit(second, self._databases[1])
                _wait(lambda: two.done() or self._waits())
            finally:
                gate.open()
            answers = one.result(PATIENCE), two.result(PATIENCE)
        gate.remove()
        return answers

    def _waits(self) -> bool:
        """Whether somebody waits for a lock in this database."""
        with self._looks.transaction() as connection:
            return bool(
                connection.execute(
                    text(
                        "select count(*) from pg_stat_activity "
                        "where datname = current_database() and wait_event_type = 'Lock'"
                    )
                ).scalar_one()
            )


def _wait(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "neither an end nor a lock"
        time.sleep(0.002)
