"""Regular expressions that users send: full matches, by Postgres, within a time limit."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from alchemiscale_prefect.domain.errors import InvalidInput

TIMEOUT_SECONDS = 5
_INVALID_PATTERN = "2201B"
_TIMED_OUT = "57014"
# Postgres takes options only at the very start, so before our anchor
_IGNORE_CASE = re.compile(r"\(\?i\)")


def anchored(pattern: str) -> str:
    """`pattern` as one that must match the whole of a string; a leading ``(?i)`` ignores case."""
    option = _IGNORE_CASE.match(pattern)
    return f"(?i)^(?:{pattern[option.end() :]})$" if option else f"^(?:{pattern})$"


@contextmanager
def matching(connection: Connection, given: Mapping[str, str | None]) -> Iterator[dict[str, str | None]]:
    """Check patterns, and give them anchored to the block that queries with them.

    Parameters
    ----------
    given
        Field → pattern; ``None`` matches everything and stays ``None``.

    Raises
    ------
    InvalidInput
        A pattern is no regular expression, or the block's queries took too long with it.
    """
    connection.execute(text(f"set local statement_timeout = '{TIMEOUT_SECONDS}s'"))
    for field, pattern in given.items():
        if pattern is not None:
            _check(connection, field, pattern)
    try:
        yield {field: None if pattern is None else anchored(pattern) for field, pattern in given.items()}
    except DBAPIError as error:
        raise _mapped(error, ", ".join(field for field, pattern in given.items() if pattern is not None)) from error
    connection.execute(text("set local statement_timeout to default"))


def check_text(value: str | None, field: str) -> None:
    """Raise `InvalidInput` for the one character that Postgres cannot hold."""
    if value is not None and "\0" in value:
        raise InvalidInput(f"`{field}` must not hold a NUL character", field=field)


def _check(connection: Connection, field: str, pattern: str) -> None:
    check_text(pattern, field)
    try:
        # by itself first: `a)|(b` is none, though it would be within our parentheses
        option = _IGNORE_CASE.match(pattern)
        connection.execute(text("select '' ~ :pattern"), {"pattern": pattern[option.end() :] if option else pattern})
        connection.execute(text("select '' ~ :pattern"), {"pattern": anchored(pattern)})
    except DBAPIError as error:
        raise _mapped(error, field) from error


def _mapped(error: DBAPIError, field: str) -> Exception:
    state = getattr(error.orig, "sqlstate", None)
    if state == _INVALID_PATTERN:
        reason = str(error.orig).splitlines()[0].removeprefix("invalid regular expression: ")
        return InvalidInput(f"`{field}` is not a valid regular expression: {reason}", field=field)
    if state == _TIMED_OUT:
        return InvalidInput(
            f"the regular expression in `{field}` took more than {TIMEOUT_SECONDS} s; use a simpler one", field=field
        )
    return error
