"""Short statements that are executed many times a second, by psycopg itself.

What SQLAlchemy adds to such a statement and its rows takes as much CPU again as all the rest of a claim. Its
transactions, listeners and errors stay. Of what psycopg adds, two things are saved: a new cursor for each statement,
which takes half as long as the statement, and the search for the type of a list's numbers, which takes as long.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import psycopg
from sqlalchemy import Connection, TextClause
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError

_CURSOR = "alchemiscale_cursor"


def fetch(
    connection: Connection, statement: TextClause, parameters: Mapping[str, Any] | None = None
) -> Sequence[tuple[Any, ...]]:
    """Execute a statement in the connection's transaction; the rows that it returns.

    Parameters
    ----------
    statement
        A constant: its form for psycopg is kept.
    parameters
        Lists are of numbers.

    Raises
    ------
    sqlalchemy.exc.DBAPIError
        As of SQLAlchemy's `execute`.
    """
    if not connection.in_transaction():
        connection.begin()
    form = _form(statement)
    given = {name: _literal(value) for name, value in parameters.items()} if parameters else {}
    cursor = _cursor(connection)
    connection.dispatch.before_cursor_execute(connection, cursor, form, given, None, False)
    try:
        cursor.execute(form, given)
        return cursor.fetchall()
    except psycopg.Error as error:
        raise DBAPIError.instance(
            form, None, error, psycopg.Error, hide_parameters=True, dialect=connection.dialect
        ) from error


def _cursor(connection: Connection) -> DBAPICursor:
    """The one that is kept with the pooled connection, as long as that lives."""
    pooled = connection.connection
    kept: DBAPICursor | None = pooled.info.get(_CURSOR)
    if kept is None:
        kept = pooled.info[_CURSOR] = pooled.cursor()
    return kept


def _literal(value: Any) -> Any:
    return "{" + ",".join(map(str, value)) + "}" if isinstance(value, list) else value


@cache
def _form(statement: TextClause) -> str:
    dialect = make_url("postgresql+psycopg://").get_dialect()
    return str(statement.compile(dialect=dialect()))
