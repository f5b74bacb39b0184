"""The schema: bring a database to this version, and say where it stands."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from alchemiscale_prefect.store import row_security
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.tables import metadata

# any fixed number: only one process at a time may migrate
_MIGRATION_LOCK = 0x616C6368


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(database: Database) -> None:
    """Bring the database to this version's schema; no-op if it is there."""
    with database.transaction() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        row_security.ensure_role(connection)
        command.upgrade(configuration(connection), "head")


def revisions(database: Database) -> tuple[str | None, str | None]:
    """The revision the database has, and the one this version needs."""
    with database.transaction() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return current, ScriptDirectory.from_config(configuration()).get_current_head()


def is_known(revision: str) -> bool:
    """Whether this version has a migration of this name; if not, a newer one has upgraded the database."""
    return revision in {script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()}


def differences(database: Database) -> list[Any]:
    """What distinguishes the migrated database from the tables this version declares; empty if nothing does."""
    with database.transaction() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return list(compare_metadata(context, metadata))


def check_row_security(database: Database) -> None:
    """Raise `Unavailable`, saying what to mend, unless requests can be kept to their scopes and nothing else is."""
    with database.transaction() as connection:
        row_security.check(connection)
