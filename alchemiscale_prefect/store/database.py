"""The connection to Postgres: an engine, and one transaction at a time."""

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from alchemiscale_prefect.domain.errors import InvalidInput, NotAuthorized, Unavailable
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.store import liveness, row_security

log = structlog.get_logger(__name__)

MINIMUM_VERSION = 15
# libpq's; who names one in the URL has it so. A host that does not answer at all cannot be reached; that one vanished
# without a word, as when its power fails, is noticed within a minute and not after a quarter of an hour
_REACH = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# what SQLSTATEs begin with that mean: not your fault, try again (connection; resources, a full disk among them;
# shutdown, or a statement that somebody stopped; serialisation; locks; a server that is a standby just now; a
# transaction that lay idle because its machine stood still; the server's own input and output)
_PASSING = ("08", "53", "57", "40", "55P", "25006", "25P03", "58")

# services hand a Connection from one query to the next; they take its name from here, and SQLAlchemy stays behind us
__all__ = ["Connection", "Database"]


class Database:
    """Postgres, reached by URL. Connects on first use.

    Parameters
    ----------
    url
        ``postgresql://user:password@host/name``; the psycopg 3 driver is put in where none is named.
    pool_size
        Connections kept; as many again may be opened under load.

    Raises
    ------
    InvalidInput
        The URL is not one of Postgres.
    """

    def __init__(self, url: str, pool_size: int = 10) -> None:
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError) as error:
            raise InvalidInput(
                "the database's URL is none; expected postgresql://user:password@host/name", field="database_url"
            ) from error
        if parsed.get_backend_name() != "postgresql":
            raise InvalidInput(
                f"the database must be Postgres, not {parsed.get_backend_name()}; set a postgresql:// URL",
                field="database_url",
            )
        self.engine: Engine = create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_size=pool_size,
            max_overflow=pool_size,
            # values of a failed statement may be secrets, and errors are logged
            hide_parameters=True,
            # a forgotten open transaction holds a snapshot, which hurts the queue most
            connect_args={
                "options": "-c timezone=utc -c idle_in_transaction_session_timeout=60000",
                **{name: value for name, value in _REACH.items() if name not in parsed.query},
            },
        )
        liveness.ask_before_use(self.engine)
        self._scopes: tuple[Scope, ...] | None = None

    def restricted(self, scopes: Iterable[Scope]) -> "Database":
        """This database as somebody with `scopes` may see it: Postgres itself keeps its transactions to their rows."""
        view = copy.copy(self)
        view._scopes = tuple(scopes)
        return view

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction: committed at the end, rolled back on any exception.

        Raises
        ------
        Unavailable
            Postgres cannot be reached, is out of connections, or gave up on a deadlock.
        NotAuthorized
            Of a restricted database: it would not write a row outside of the scopes.
        """
        try:
            with self.engine.begin() as connection:
                if self._scopes is not None:
                    row_security.confine(connection, self._scopes)
                yield connection
        except PoolTimeout as error:
            raise Unavailable("the server is busy; try again") from error
        except DBAPIError as error:
            if row_security.refused(error):
                # a check of ours is missing: nothing gets here that was authorised
                log.error("row_security_refused", statement=error.statement)
                raise NotAuthorized("the database refuses to write outside of this identity's scopes") from error
            state = getattr(error.orig, "sqlstate", None)
            lost = state is None and (error.connection_invalidated or isinstance(error, OperationalError))
            if lost or (state is not None and state.startswith(_PASSING)):
                raise Unavailable("the database cannot be reached or is busy; try again") from error
            raise

    def version(self) -> int:
        """The server's major version.

        Raises
        ------
        InvalidInput
            It is older than 15.
        """
        with self.transaction() as connection:
            major = int(connection.execute(text("show server_version_num")).scalar_one()) // 10000
        if major < MINIMUM_VERSION:
            raise InvalidInput(
                f"Postgres {major} is too old; version {MINIMUM_VERSION} or newer is needed", field="database_url"
            )
        return major

    def now(self) -> datetime:
        """The server's clock."""
        with self.transaction() as connection:
            told: datetime = connection.execute(text("select clock_timestamp()")).scalar_one()
        return told

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
