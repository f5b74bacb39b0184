"""A real Postgres for the integration tests, and in it a fresh, migrated database for each test.

``ALCHEMISCALE_TEST_DATABASE_URL`` names a server (15 or newer) whose user may create databases; without it a Postgres
of our own is started.
"""

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from alchemiscale_prefect.store import schema
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.embedded import EmbeddedPostgres

SERVER = "ALCHEMISCALE_TEST_DATABASE_URL"


class Server:
    """A Postgres server that makes databases."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url).set(drivername="postgresql+psycopg")
        self._engine = create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)

    def hurry(self) -> None:
        """Trade safety against a crash of the machine for speed."""
        with self._engine.connect() as connection:
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                connection.execute(text(f"alter system set {setting} = off"))
            connection.execute(text("select pg_reload_conf()"))

    def create(self, template: str | None = None) -> str:
        """A new database, empty or a copy of `template`; its URL."""
        name = f"alchemiscale_test_{uuid.uuid4().hex}"
        with self._engine.connect() as connection:
            connection.execute(text(f"create database {name}" + (f" template {template}" if template else "")))
        return self.url.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        with self._engine.connect() as connection:
            connection.execute(text(f"drop database if exists {make_url(url).database} with (force)"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server that the tests use."""
    if url := os.environ.get(SERVER):
        yield Server(url)
        return
    # not in pytest's own folder: for root, Postgres runs as another user, and pytest closes its folder to all others
    with tempfile.TemporaryDirectory(prefix="alch-") as folder:
        embedded = EmbeddedPostgres(Path(folder) / "postgres")
        server = Server(embedded.start())
        server.hurry()
        yield server
        embedded.stop()


@pytest.fixture(scope="session")
def template_database(postgres: Server) -> Iterator[str]:
    """Name of a migrated database to copy."""
    url = postgres.create()
    database = Database(url)
    schema.upgrade(database)
    database.close()
    yield str(make_url(url).database)
    postgres.drop(url)


@pytest.fixture
def database_url(postgres: Server, template_database: str) -> Iterator[str]:
    """URL of a fresh, migrated database."""
    url = postgres.create(template_database)
    yield url
    postgres.drop(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def empty_database(postgres: Server) -> Iterator[Database]:
    """A database without any table."""
    url = postgres.create()
    database = Database(url)
    yield database
    database.close()
    postgres.drop(url)


@pytest.fixture
def count_rows(database: Database) -> Callable[[], dict[str, int]]:
    """Counts the rows of every table of `database`."""

    def count() -> dict[str, int]:
        with database.transaction() as connection:
            return {
                table.name: connection.execute(text(f"select count(*) from {table.name}")).scalar_one()
                for table in schema.metadata.sorted_tables
            }

    return count
