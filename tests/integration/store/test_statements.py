"""Statements that psycopg executes itself: what SQLAlchemy is there for stays."""

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from alchemiscale_prefect.domain.errors import Unavailable
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.statements import fetch

_SCOPE = text("insert into scope (org, campaign, project, gufe_line) values (:org, 'b', 'c', '1') returning org")
_SCOPES = text("select org from scope order by org")


def test_parameters_go_in_and_rows_come_out(database: Database) -> None:
    with database.transaction() as connection:
        assert fetch(connection, _SCOPE, {"org": "x"}) == [("x",)]
        assert fetch(connection, _SCOPE, {"org": "a"}) == [("a",)]
    with database.transaction() as connection:
        assert fetch(connection, _SCOPES) == [("a",), ("x",)]
        assert fetch(connection, text("select 7 % 4, :word"), {"word": ":%s"}) == [(3, ":%s")]
        assert fetch(connection, text("select 7 % 4")) == [(3,)]


def test_lists_of_numbers_are_arrays(database: Database) -> None:
    given = text("select sum(n), count(w) from unnest(cast(:n as bigint[]), cast(:w as double precision[])) as g(n, w)")
    with database.transaction() as connection:
        assert fetch(connection, given, {"n": [2**40, 1], "w": [1e-300, 0.5]}) == [(2**40 + 1, 2)]
        assert fetch(connection, given, {"n": [], "w": []}) == [(None, 0)]


def test_the_transaction_is_the_connections_own(database: Database) -> None:
    with database.engine.connect() as connection:
        fetch(connection, _SCOPE, {"org": "first"})
        connection.rollback()
        fetch(connection, _SCOPE, {"org": "second"})
        connection.commit()
    with database.transaction() as connection:
        assert fetch(connection, _SCOPES) == [("second",)]


def test_errors_are_those_of_sqlalchemy_and_show_no_values(database: Database) -> None:
    with database.transaction() as connection:
        fetch(connection, _SCOPE, {"org": "known"})
    with pytest.raises(IntegrityError) as caught, database.transaction() as connection:
        fetch(connection, _SCOPE, {"org": "known"})
    assert caught.value.params is None
    with pytest.raises(DBAPIError, match="division"), database.transaction() as connection:
        fetch(connection, text("select 1 / 0"))


def test_who_waits_too_long_for_a_lock_is_told_so(database: Database) -> None:
    with database.transaction() as holder, database.engine.connect() as waiter:
        holder.execute(text("lock table scope"))
        fetch(waiter, text("select set_config('lock_timeout', '50ms', true)"))
        with pytest.raises(OperationalError, match="lock timeout"):
            fetch(waiter, _SCOPES)


def test_a_connection_that_dies_is_a_passing_failure_and_is_replaced(database: Database) -> None:
    close = text("select pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(Unavailable), database.transaction() as connection:
        fetch(connection, close)
    with database.transaction() as connection:
        assert fetch(connection, text("select 1")) == [(1,)]


def test_who_listens_to_statements_hears_of_them_before(database: Database) -> None:
    heard: list[tuple[str, object]] = []
    event.listen(database.engine, "before_cursor_execute", lambda _c, _u, form, given, *_: heard.append((form, given)))
    with pytest.raises(DBAPIError), database.transaction() as connection:
        fetch(connection, text("select 1 / :divisor"), {"divisor": 0})
    assert [(form.split()[0], given) for form, given in heard] == [("select", {"divisor": 0})]
