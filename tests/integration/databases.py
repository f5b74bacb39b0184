"""Databases for tests: one for each test, of which most are an earlier test's, emptied.

To make a database and to drop it costs Postgres a fifth of a second of CPU, most of it for reading its catalogues anew.
"""

import time
import uuid

import psycopg
from psycopg import sql
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

# what a test may have changed beside rows: tables, columns, rights, triggers, policies, functions, statistics
_SHAPE = """
    select (select sum(hashtext(concat(relname, relacl, relowner, relrowsecurity, relforcerowsecurity, reltuples)))
            from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'S', 'v', 'm', 'p')),
           (select sum(hashtext(concat(a.attrelid, a.attname, a.atttypid, a.attnotnull)))
            from pg_attribute a join pg_class c on c.oid = a.attrelid
            where c.relnamespace = 'public'::regnamespace and not a.attisdropped and a.attnum > 0),
           (select sum(hashtext(concat(tgrelid, tgname, tgenabled))) from pg_trigger),
           (select sum(hashtext(concat(proname, prosrc))) from pg_proc where pronamespace = 'public'::regnamespace),
           (select sum(hashtext(concat(conrelid, conname))) from pg_constraint),
           (select sum(hashtext(concat(polrelid, polname))) from pg_policy),
           (select count(*) from pg_statistic s join pg_class c on c.oid = s.starelid
            where c.relnamespace = 'public'::regnamespace),
           (select count(*) from pg_namespace where nspname !~ '^pg_(toast_)?temp_')
"""
_SIZE = "select sum(pg_table_size(oid)) from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
_TABLES = "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by relname"
_SEQUENCES = """
    select format('select setval(%L, %s, %L)', format('%I.%I', schemaname, sequencename),
                  coalesce(last_value, start_value), last_value is not null)
    from pg_sequences where schemaname = 'public'
"""
_GROWTH = 2_000_000  # bytes that deleted rows may take, before a new database is cheaper
_END_SECONDS = 30.0


class Server:
    """A Postgres server that makes databases."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url).set(drivername="postgresql+psycopg")
        self._engine = create_engine(self.url, isolation_level="AUTOCOMMIT", pool_size=1, pool_pre_ping=True)

    def hurry(self) -> None:
        """Trade safety against a crash of the machine for speed; and let statistics be what tests make them."""
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
            self._execute(f"alter system set {setting} = off")
        self._execute("select pg_reload_conf()")

    def create(self, template: str | None = None) -> str:
        """A new database, empty or a copy of `template`; its URL."""
        name = _new_name()
        self._execute(f"create database {name}" + (f" template {template}" if template else ""))
        return self.url_of(name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        self._execute(f"drop database if exists {make_url(url).database} with (force)")

    def rename(self, name: str) -> str:
        """Disconnect whoever is connected to a database, for good: its new name."""
        end = time.monotonic() + _END_SECONDS
        while self._execute(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"):
            assert time.monotonic() < end, f"connections to {name} do not end"
            time.sleep(0.002)
        new = _new_name()
        self._execute(f"alter database {name} rename to {new}")
        return new

    def url_of(self, name: str) -> str:
        """The URL of a database."""
        return self.url.set(database=name).render_as_string(hide_password=False)

    def close(self) -> None:
        self._engine.dispose()

    def _execute(self, statement: str) -> int:
        """Execute it; how many rows it gave."""
        with self._engine.connect() as connection:
            result = connection.execute(text(statement))
            return len(result.all()) if result.returns_rows else 0


class Databases:
    """Databases that are as `template` is whenever they are taken.

    Parameters
    ----------
    server
        Where they are.
    template
        Name of a database to whom nobody is connected.
    """

    def __init__(self, server: Server, template: str) -> None:
        self._server, self._template = server, template
        self._used: list[str] = []
        self._contents: dict[str, bytes] = {}
        self._sequences: list[str] = []
        self._size = 0

    def take(self) -> str:
        """One's URL. Nobody else has it until it is given back."""
        while self._used:
            name = self._server.rename(self._used.pop())
            if self._reset(name):
                return self._server.url_of(name)
            self._server.drop(self._server.url_of(name))
        url = self._server.create(self._template)
        if not self._sequences:
            self._look(url)
        return url

    def give_back(self, url: str) -> None:
        """Let the next one have it."""
        self._used.append(str(make_url(url).database))

    def close(self) -> None:
        """Drop those that were given back."""
        while self._used:
            self._server.drop(self._server.url_of(self._used.pop()))

    def _connect(self, url: str) -> psycopg.Connection:
        return psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))

    def _look(self, url: str) -> None:
        """Note what the template holds, in a copy of it."""
        with self._connect(url) as connection:
            self._shape = connection.execute(_SHAPE).fetchone()
            self._size = _number(connection, _SIZE)
            self._sequences = [row[0] for row in connection.execute(_SEQUENCES)]
            for (table,) in connection.execute(_TABLES).fetchall():
                with connection.cursor().copy(_of("copy {} to stdout (format binary)", table)) as copy:
                    self._contents[table] = b"".join(copy)
        connection.close()

    def _reset(self, name: str) -> bool:
        """Bring a database to what the template is; whether that could be done."""
        connection = self._connect(self._server.url_of(name))
        try:
            with connection:
                if connection.execute(_SHAPE).fetchone() != self._shape:
                    return False
                if _number(connection, _SIZE) > self._size + _GROWTH:
                    return False
                # neither foreign keys nor triggers
                connection.execute("set local session_replication_role = replica")
                for table, content in self._contents.items():
                    deleted = connection.execute(_of("delete from {}", table)).rowcount
                    if deleted or len(content) > _EMPTY_COPY:
                        with connection.cursor().copy(_of("copy {} from stdin (format binary)", table)) as copy:
                            copy.write(content)
                connection.execute("; ".join(self._sequences))
        finally:
            connection.close()
        return True


_EMPTY_COPY = 21  # bytes of a binary copy without rows


def _new_name() -> str:
    return f"alchemiscale_test_{uuid.uuid4().hex}"


def _of(statement: str, table: str) -> sql.Composed:
    return sql.SQL(statement).format(sql.Identifier(table))


def _number(connection: psycopg.Connection, statement: str) -> int:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return int(row[0])
