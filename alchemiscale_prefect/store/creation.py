"""Making the database itself."""

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.store.database import Database

_MAINTENANCE = "postgres"
_NO_DATABASE, _NO_RIGHT, _THERE = "3D000", "42501", ("42P04", "23505")


def create(database: Database) -> bool:
    """Make the database that the URL names, unless it is there; whether it was made.

    Raises
    ------
    InvalidInput
        The user may not make databases; says what an administrator of the server is to run.
    Unavailable
        The server cannot be reached, or refuses the user.
    """
    if _exists(database):
        return False
    url = database.engine.url
    engine = create_engine(url.set(database=_MAINTENANCE), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    try:
        with engine.connect() as connection:
            quoted = engine.dialect.identifier_preparer.quote_identifier(str(url.database))
            connection.execute(text(f"create database {quoted} encoding 'UTF8' template template0".replace(":", r"\:")))
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state in _THERE:
            return False
        if state == _NO_RIGHT:
            raise InvalidInput(
                f"the user {url.username} may not make databases; have an administrator of the server run: "
                f'create database "{url.database}" owner "{url.username}" encoding \'UTF8\' template template0;',
                field="database_url",
            ) from error
        raise
    finally:
        engine.dispose()
    return True


def _exists(database: Database) -> bool:
    try:
        with database.engine.connect():
            return True
    except DBAPIError as error:
        # psycopg gives no SQLSTATE for what fails before there is a connection
        if f'database "{database.engine.url.database}" does not exist' in str(error.orig):
            return False
        # anything else in our own words
        with database.transaction():
            return True
