"""Short statements that are executed many times a second, by psycopg itself.

What SQLAlchemy adds to such a statement and its rows takes as much CPU again as all the rest of a claim. Its
transactions, listeners and errors stay.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import psycopg
from sqlalchemy import Connection, TextClause
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError


def fetch(
    connection: Connection, statement: TextClause, parameters: Mapping[str, Any] | None = None
) -> Sequence[tuple[Any, ...]]:
    """Execute a statement in the connection's transaction; the rows that it returns.

    Parameters
    ----------
    statement
        A constant: its form for psycopg is kept.

    Raises
    ------
    sqlalchemy.exc.DBAPIError
        As of SQLAlchemy's `execute`.
    """
    if not connection.in_transaction():
        connection.begin()
    form, given = _form(statement), parameters or {}
    cursor = connection.connection.cursor()
    connection.dispatch.before_cursor_execute(connection, cursor, form, given, None, False)
    try:
        cursor.execute(form, given)
        return cursor.fetchall()
    except psycopg.Error as error:
        raise DBAPIError.instance(
            form, None, error, psycopg.Error, hide_parameters=True, dialect=connection.dialect
        ) from error
    finally:
        cursor.close()


@cache
def _form(statement: TextClause) -> str:
    dialect = make_url("postgresql+psycopg://").get_dialect()
    return str(statement.compile(dialect=dialect()))
