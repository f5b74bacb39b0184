"""A real Postgres for the integration tests, and in it a fresh, migrated database for each test.

``ALCHEMISCALE_TEST_DATABASE_URL`` names a server (15 or newer) whose user may create databases; without it a Postgres
of our own is started.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from alchemiscale_prefect.api.app import create_app
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.settings import ApiSettings
from alchemiscale_prefect.store import schema
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.embedded import EmbeddedPostgres
from alchemiscale_prefect.store.objects.local import LocalObjectStore
from tests.api_server import SECRET
from tests.api_server import Server as ApiServer
from tests.integration.databases import Databases, Server

SERVER = "ALCHEMISCALE_TEST_DATABASE_URL"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server that the tests use."""
    if url := os.environ.get(SERVER):
        server = Server(url)
        yield server
        server.close()
        return
    # not in pytest's own folder: for root, Postgres runs as another user, and pytest closes its folder to all others
    with tempfile.TemporaryDirectory(prefix="alch-") as folder:
        embedded = EmbeddedPostgres(Path(folder) / "postgres")
        server = Server(embedded.start())
        server.hurry()
        yield server
        server.close()
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


@pytest.fixture(scope="session")
def databases(postgres: Server, template_database: str) -> Iterator[Databases]:
    """Migrated databases, used again."""
    databases = Databases(postgres, template_database)
    yield databases
    databases.close()


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """URL of a migrated database with nothing in it."""
    url = databases.take()
    yield url
    databases.give_back(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database with nothing in it."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A running API, whose system each test replaces by its own."""
    settings = ApiSettings(jwt_secret=SECRET)
    nowhere = System(Database("postgresql://nowhere"), LocalObjectStore(tmp_path_factory.mktemp("objects")), settings)
    with ApiServer(create_app(nowhere)) as running:
        yield running


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
