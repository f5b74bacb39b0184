"""Pooled connections that the server closed: replaced after a rest, and a passing failure in the middle of work."""

import psycopg
import pytest
from sqlalchemy import text

from alchemiscale_prefect.domain.errors import Unavailable
from alchemiscale_prefect.store import liveness
from alchemiscale_prefect.store.database import Database

_BACKEND = text("select pg_backend_pid()")
_CLOSE_OTHERS = text(
    "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
    "where datname = current_database() and pid <> pg_backend_pid()"
)


@pytest.fixture
def backend(database):
    """Opens a connection or takes the pooled one; the process that serves it."""

    def serving() -> int:
        with database.transaction() as connection:
            return connection.execute(_BACKEND).scalar_one()

    return serving


@pytest.fixture
def close_all(database_url):
    """Has the server close every connection of `database`'s pool."""
    other = Database(database_url, pool_size=1)

    def close() -> None:
        with other.transaction() as connection:
            connection.execute(_CLOSE_OTHERS)

    yield close
    other.close()


def test_a_connection_in_use_is_not_asked_for(database, backend, monkeypatch):
    monkeypatch.setattr(liveness, "FRESH_SECONDS", 600.0)
    first = backend()
    monkeypatch.setattr(database.engine.dialect, "do_ping", lambda _: pytest.fail("asked"))
    assert backend() == first


def test_one_that_died_while_idle_is_replaced_unnoticed(backend, close_all, monkeypatch):
    first = backend()
    monkeypatch.setattr(liveness, "FRESH_SECONDS", 0.0)
    close_all()
    assert backend() != first


def test_one_that_dies_in_use_is_a_passing_failure_once(backend, close_all, monkeypatch):
    monkeypatch.setattr(liveness, "FRESH_SECONDS", 600.0)
    first = backend()
    backend()
    close_all()
    with pytest.raises(Unavailable):
        backend()
    assert backend() != first


def test_a_server_that_vanished_without_a_word_is_noticed_unless_the_url_says_otherwise(database_url: str) -> None:
    for query, idle in (("", "30"), ("keepalives_idle=99", "99")):
        database = Database(f"{database_url}{'&' if '?' in database_url else '?'}{query}")
        with database.transaction() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            told = driver.info.get_parameters()
        database.close()
        assert (told["keepalives_idle"], told["keepalives_count"], told["tcp_user_timeout"]) == (idle, "3", "30000")
        assert told["connect_timeout"] == "10"


@pytest.mark.parametrize("state", ["25006", "25P03", "40P01", "53100", "53300", "57014", "57P03", "58030"])
def test_what_passes_is_no_defect(database: Database, state: str) -> None:
    """Else the API would answer 500, on which a flow run gives its attempt back."""
    with pytest.raises(Unavailable), database.transaction() as connection:
        connection.exec_driver_sql(f"do $$ begin raise exception using errcode = '{state}'; end $$")


def test_a_server_that_became_a_standby_is_no_defect(database: Database) -> None:
    with pytest.raises(Unavailable), database.transaction() as connection:
        connection.exec_driver_sql("set transaction read only; insert into scope (org) values ('o')")
