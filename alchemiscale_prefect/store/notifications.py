"""Waiting for a change of the queue: Postgres LISTEN."""

import psycopg
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queue import CHANNEL

log = structlog.get_logger(__name__)


class QueueListener:
    """Hears of changes to the queue. One connection, taken on the first `wait` and renewed when it breaks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None

    def wait(self, seconds: float) -> bool:
        """Wait until the queue changed, `seconds` at most; whether it did.

        Several changes since the last call count as one. A broken connection is reported as a change, and so is a new
        one: nobody heard what came before it, so that the caller looks at the queue itself.
        """
        try:
            if self._connection is None:
                self._listen()
                return True
            heard = next(iter(self._driver().notifies(timeout=seconds, stop_after=1)), None)
        except (psycopg.Error, SQLAlchemyError) as error:
            log.warning("queue_listener_lost", error=str(error))
            self.close()
            return True
        return heard is not None

    def _listen(self) -> None:
        connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            connection.exec_driver_sql(f"listen {CHANNEL}")
        except SQLAlchemyError:
            connection.close()
            raise
        self._connection = connection

    def _driver(self) -> "psycopg.Connection[object]":
        driver = self._connection.connection.driver_connection if self._connection is not None else None
        if not isinstance(driver, psycopg.Connection):
            raise TypeError(f"expected a psycopg connection, not {type(driver).__name__}")
        return driver

    def close(self) -> None:
        """Give the connection up; it does not go back to the pool, where it would go on listening."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
