"""Postgres itself keeps a restricted transaction to the rows of its scopes, in every table."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, ProgrammingError

from alchemiscale_prefect.domain.errors import InvalidInput, NotAuthorized, Unavailable
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.store import queue, row_security, schema
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import scopes

MINE, THEIRS = Scope("mine", "c", "p"), Scope("theirs", "c", "p")
# what no scope owns: a restricted transaction has nothing to do with it, save that it writes to the audit
CLOSED = {"identity", "identity_key", "identity_scope", "audit", "host", "work_pool"}
CONFINED = {table.name for table in schema.metadata.sorted_tables} - CLOSED

# one row in every table, all of one organisation; the ids follow from its number
ROWS = """
insert into scope (id, org, campaign, project) overriding system value values ({n}, '{org}', 'c', 'p');
insert into gufe_object (id, scope_id, key, qualname, module, content, digest, refers_to, gufe_version)
    overriding system value
    select {n} * 10 + i, {n}, 'Key-' || i, 'Q', 'm', '', '', '{{}}', '1' from generate_series(1, 4) i;
insert into network (id, scope_id, state, chain, creator) values ({n}1, {n}, 'active', '{{}}', 'u');
insert into chemical_system (id, scope_id) values ({n}2, {n});
insert into transformation (id, scope_id, state_a_id, state_b_id, protocol_id, non_transformation)
    values ({n}3, {n}, {n}2, {n}2, {n}4, true);
insert into network_transformation values ({n}1, {n}3, {n});
insert into network_chemical_system values ({n}1, {n}2, {n});
insert into task (id, key, scope_id, transformation_id) overriding system value values ({n}5, 'Task-{n}', {n}, {n}3);
insert into task_history (task_id, scope_id, from_status, to_status, cause)
    values ({n}5, {n}, 'waiting', 'running', 'begin');
insert into action (network_id, task_id, scope_id, priority, draw, queued) values ({n}1, {n}5, {n}, 10, 0, true);
insert into attempt (task_id, n, pool, state, tags) values ({n}5, 1, 'p', 'running', '[]');
insert into checkpoint (task_id, dag_location, shared_id) values ({n}5, 'l', 's');
insert into unit_result (task_id, key, unit_key, attempt, ok, location, size) values ({n}5, 'k', 'u', 1, true, 'l', 1);
insert into result (key, scope_id, transformation_id, task_id, attempt, ok, protocol_dag_result_key, location, size,
    creator) values ('Ref-{n}', {n}, {n}3, {n}5, 1, true, 'k', 'l', 1, 'u');
insert into restart_pattern (id, network_id, pattern, max_retries) overriding system value values ({n}6, {n}1, 'x', 3);
insert into restart_count (network_id, task_id, pattern_id) values ({n}1, {n}5, {n}6);
insert into strategy (network_id, strategy_id, creator) values ({n}1, {n}4, 'u');
insert into strategy_proposal (network_id, proposal) values ({n}1, '{{}}');
"""


@pytest.fixture
def two(database: Database) -> Database:
    """A database with rows of two organisations in every table that a scope owns."""
    with database.transaction() as connection:
        for n, org in ((1, "mine"), (2, "theirs")):
            connection.exec_driver_sql(ROWS.format(n=n, org=org))
    return database


def rows(database: Database, table: str) -> set[str]:
    with database.transaction() as connection:
        return set(connection.exec_driver_sql(f"select {table}::text from {table}").scalars())


def test_every_table_is_confined_or_closed(database):
    with database.transaction() as connection:
        secured = set(connection.exec_driver_sql("select relname from pg_class where relrowsecurity").scalars())
        policies = set(
            connection.execute(
                text("select tablename from pg_policies where roles = array[cast(:role as name)]"),
                {"role": row_security.ROLE},
            ).scalars()
        )
        granted = set(
            connection.execute(
                text(
                    "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace and "
                    "has_table_privilege(:role, oid, 'select, insert, update, delete')"
                ),
                {"role": row_security.ROLE},
            ).scalars()
        )
    missing = "add the table to CLOSED, or in its migration: grant, enable row level security, create policy (see 0004)"
    assert secured == policies == CONFINED, missing
    assert granted == CONFINED | {"audit"}, missing


@pytest.mark.parametrize("table", sorted(CONFINED))
def test_only_rows_of_the_own_scopes_are_seen(two, table):
    mine, theirs = (rows(two.restricted([scope]), table) for scope in (MINE, THEIRS))
    assert mine
    assert theirs
    assert not mine & theirs
    assert mine | theirs == rows(two, table) == rows(two.restricted([MINE, THEIRS]), table)
    assert rows(two.restricted([Scope()]), table) == mine | theirs
    assert rows(two.restricted([Scope("mine", "c")]), table) == rows(two.restricted([Scope("mine")]), table) == mine
    assert rows(two.restricted([]), table) == rows(two.restricted([Scope("mine", "other")]), table) == set()


@pytest.mark.parametrize("table", sorted(CONFINED))
def test_rows_of_others_are_not_changed(two, table):
    before, theirs = rows(two, table), rows(two.restricted([THEIRS]), table)
    column = {"scope": "gufe_line", "task_count": None}.get(table, "created_at")
    with two.transaction() as connection:
        known = set(
            connection.execute(
                text("select column_name from information_schema.columns where table_name = :table"), {"table": table}
            ).scalars()
        )
    column = column if column in known else sorted(known)[0]
    for statement in (f"update {table} set {column} = {column}", f"delete from {table}"):
        try:
            with two.restricted([MINE]).transaction() as connection:
                changed = connection.exec_driver_sql(statement).rowcount
                connection.rollback()
        except DBAPIError:
            continue  # it has not even the right, or other rows hang on its own one
        assert changed == len(before - theirs), statement
    assert rows(two, table) == before


@pytest.mark.parametrize(
    "statement",
    [
        "insert into scope (org, campaign, project) values ('theirs', 'c', 'new')",
        "insert into task (key, scope_id, transformation_id) values ('Task-new', 2, 23)",
        "update task set scope_id = 2",
        "insert into network_transformation values (21, 13, 1)",
        "update network_transformation set scope_id = 2",
        "insert into network_transformation values (11, 23, 1)",
        "insert into action (network_id, task_id, scope_id, priority, draw, queued) values (21, 15, 1, 10, 0, true)",
        "insert into action (network_id, task_id, scope_id, priority, draw, queued) values (11, 25, 1, 10, 0, true)",
        "insert into task_history (task_id, scope_id, from_status, to_status, cause) "
        "values (25, 2, 'error', 'waiting', 'user')",
        "insert into attempt (task_id, n, pool, state, tags) values (25, 2, 'p', 'lost', '[]')",
        "insert into restart_pattern (network_id, pattern, max_retries) values (21, 'y', 3)",
    ],
)
def test_nothing_is_written_into_the_scopes_of_others(two, statement):
    with pytest.raises(NotAuthorized, match="refuses to write"), two.restricted([MINE]).transaction() as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize("table", sorted(CLOSED))
def test_what_no_scope_owns_cannot_be_read(database, table):
    with pytest.raises(ProgrammingError, match="permission denied"):
        rows(database.restricted([Scope()]), table)


def test_the_audit_can_be_written_to(database):
    with database.restricted([MINE]).transaction() as connection:
        connection.exec_driver_sql("insert into audit (kind, identifier, action) values ('user', 'u', 'a')")
    assert len(rows(database, "audit")) == 1


def test_the_connection_goes_back_as_it_was(two):
    one = Database(two.engine.url.render_as_string(hide_password=False), pool_size=1)
    try:
        for end in (None, KeyError):
            try:
                with one.restricted([MINE]).transaction() as connection:
                    assert connection.exec_driver_sql("select current_user").scalar_one() == row_security.ROLE
                    assert len(connection.exec_driver_sql("select id from task").all()) == 1
                    if end is not None:
                        raise end
            except KeyError:
                pass
            assert len(rows(one, "task")) == 2
            assert len(rows(one.restricted([THEIRS]), "task")) == 1
    finally:
        one.close()


def test_a_scope_is_seen_by_who_made_it_and_by_who_began_before_it_was_made(database):
    mine = database.restricted([Scope("mine")])
    new = "insert into gufe_object (scope_id, key, qualname, module, content, digest, refers_to, gufe_version) values "
    with mine.transaction() as early:
        with mine.transaction() as connection:
            scope_id = scopes.enter(connection, MINE, "1")
            connection.exec_driver_sql(f"{new} ({scope_id}, 'Key-1', 'Q', 'm', '', '', '{{}}', '1')")
            assert len(connection.exec_driver_sql("select id from gufe_object").all()) == 1
        assert early.exec_driver_sql("select id from gufe_object").all() == []
        assert scopes.enter(early, MINE, "1") == scope_id
        assert len(early.exec_driver_sql("select id from gufe_object").all()) == 1
        early.exec_driver_sql(f"{new} ({scope_id}, 'Key-2', 'Q', 'm', '', '', '{{}}', '1')")
    with pytest.raises(NotAuthorized), mine.transaction() as connection:
        scopes.enter(connection, THEIRS, "1")


def test_copying_is_lifted_above_the_policies_for_a_scope_of_ones_own_only(two):
    with two.restricted([MINE]).transaction() as connection:
        with row_security.lifted(connection, 1):
            assert len(connection.exec_driver_sql("select id from task").all()) == 2
        assert len(connection.exec_driver_sql("select id from task").all()) == 1
        with pytest.raises(NotAuthorized), row_security.lifted(connection, 2):
            pass
        assert len(connection.exec_driver_sql("select id from task").all()) == 1
    with two.transaction() as connection:
        with row_security.lifted(connection, 2):
            pass
        assert len(connection.exec_driver_sql("select id from task").all()) == 2


def test_what_the_queue_needs_works_under_the_policies(two):
    with two.restricted([MINE]).transaction() as connection:
        queue.lock(connection, [15, 25])
        queue.enqueue(connection, 11, [15, 25], [1.0, 1.0])
        queue.refresh(connection, [15, 25])
        assert queue.try_lock_pool(connection, "p")
        assert connection.exec_driver_sql("select task_id, queued from action").all() == [(15, False)]
    with two.transaction() as connection:
        assert connection.exec_driver_sql("select queued from action where task_id = 25").scalar_one()


@pytest.mark.parametrize("clear", ["select 1", "select set_config('alchemiscale.scope_ids', '', true)"])
def test_settings_that_are_missing_show_nothing(two, clear):
    with two.transaction() as connection:
        connection.exec_driver_sql(clear)
        connection.exec_driver_sql(f"set local role {row_security.ROLE}")
        with pytest.raises(DBAPIError):
            connection.exec_driver_sql("select * from task")
        connection.rollback()


@pytest.fixture
def owned(postgres, empty_database):
    """Gives an empty database of a new user, who has these attributes."""
    made = []
    target = make_url(empty_database.engine.url)

    def create(attributes: str) -> Database:
        name = f"owner_{target.database}_{len(made)}"
        with empty_database.transaction() as connection:
            connection.exec_driver_sql(f"create role {name} login password 'secret' {attributes}")
            connection.exec_driver_sql(f"alter database {target.database} owner to {name}")
        url = target.set(username=name, password="secret")
        made.append((name, Database(url.render_as_string(hide_password=False))))
        return made[-1][1]

    yield create
    with empty_database.transaction() as connection:
        owner = connection.exec_driver_sql("select current_user").scalar_one()
        connection.exec_driver_sql(f'alter database {target.database} owner to "{owner}"')
        for name, database in made:
            database.close()
            connection.exec_driver_sql(f'reassign owned by {name} to "{owner}"')
            connection.exec_driver_sql(f"drop owned by {name}")
            connection.exec_driver_sql(f"drop role {name}")


def test_a_database_of_an_ordinary_user(owned, empty_database, template_database):
    ordinary = owned("")
    with pytest.raises(InvalidInput, match=f"grant {row_security.ROLE} to owner_") as caught:
        schema.upgrade(ordinary)
    assert caught.value.field == "database_url"
    said = str(caught.value).rpartition("; ")[2]
    with empty_database.transaction() as connection:
        connection.exec_driver_sql(said)
    schema.upgrade(ordinary)
    assert rows(ordinary.restricted([MINE]), "task") == set()
    with ordinary.transaction() as connection:
        row_security.check(connection)


def test_the_role_is_made_from_several_databases_at_once(postgres, owned, monkeypatch):
    monkeypatch.setattr(row_security, "ROLE", f"scoped_{uuid.uuid4().hex}")
    maker = owned("createrole")
    urls = [postgres.create() for _ in range(3)]
    databases = [maker, *(Database(make_url(url).set(**_login(maker)).render_as_string(False)) for url in urls)]

    def ensure(database: Database) -> None:
        with database.transaction() as connection:
            row_security.ensure_role(connection)
            row_security.ensure_role(connection)
            connection.exec_driver_sql(f"set local role {row_security.ROLE}")

    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(ensure, databases))
    finally:
        for url, database in zip(urls, databases[1:], strict=True):
            database.close()
            postgres.drop(url)
        with maker.transaction() as connection:
            connection.exec_driver_sql(f"drop role {row_security.ROLE}")


def _login(database: Database) -> dict[str, str | None]:
    return {"username": database.engine.url.username, "password": database.engine.url.password}


def test_a_user_whom_the_policies_bind_is_told_so(database):
    restricted = database.restricted([MINE])
    with restricted.transaction() as connection, pytest.raises(Unavailable, match="owner of the tables"):
        row_security.check(connection)


def test_the_migration_gives_what_is_there_its_scope(empty_database):
    with empty_database.transaction() as connection:
        row_security.ensure_role(connection)
        command.upgrade(schema.configuration(connection), "0003")
        for statement in ROWS.format(n=3, org="mine").split(";")[:8]:
            connection.exec_driver_sql(statement.replace(", 3)", ")") if "network_" in statement else statement)
        connection.exec_driver_sql(
            "insert into action (network_id, task_id, priority, draw, queued) values (31, 35, 10, 0, true)"
        )
    schema.upgrade(empty_database)
    for table in ("network_transformation", "network_chemical_system", "action"):
        with empty_database.restricted([MINE]).transaction() as connection:
            assert connection.exec_driver_sql(f"select scope_id from {table}").scalars().all() == [3]


def test_psycopg_names_the_function_that_refuses():
    # `row_security.refused` tells policies from missing grants by it
    assert "source_function" in dir(psycopg.errors.Diagnostic)
