"""The migrated database is the one that the tables declare, and the server is new enough."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.store import schema
from alchemiscale_prefect.store.database import MINIMUM_VERSION, Database


def test_the_migrations_make_what_the_tables_declare(database):
    assert schema.differences(database) == []


def test_a_change_by_hand_is_seen(database):
    with database.transaction() as connection:
        connection.execute(text("alter table task add column surprise int"))
    assert schema.differences(database) != []


def test_upgrading_brings_an_empty_database_up_to_date_and_again_changes_nothing(empty_database):
    current, needed = schema.revisions(empty_database)
    assert current is None
    schema.upgrade(empty_database)
    schema.upgrade(empty_database)
    assert schema.revisions(empty_database) == (needed, needed)
    assert schema.differences(empty_database) == []


def test_upgrading_from_several_places_at_once(empty_database):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: schema.upgrade(empty_database), range(4)))
    assert schema.differences(empty_database) == []


def test_the_server_is_new_enough_and_an_older_one_would_be_refused(database, monkeypatch):
    assert database.version() >= MINIMUM_VERSION
    monkeypatch.setattr("alchemiscale_prefect.store.database.MINIMUM_VERSION", 99)
    with pytest.raises(InvalidInput, match="too old"):
        database.version()


@pytest.mark.parametrize("url", ["sqlite:///x.db", "mysql://a@b/c"])
def test_another_database_than_postgres_is_refused(url):
    with pytest.raises(InvalidInput, match="must be Postgres") as caught:
        Database(url)
    assert caught.value.field == "database_url"


@pytest.mark.parametrize(
    "statement",
    [
        "insert into scope (org, campaign, project) values ('a', 'b', 'c')",
        "insert into identity (kind, identifier) values ('robot', 'x')",
        "insert into identity (kind, identifier) values ('user', 'known')",
        "update task set status = 'sleeping'",
        "update task set priority = 0",
        "update network set state = 'gone'",
        "update network set weight = 1.5",
        "insert into gufe_object (scope_id, key, qualname, module, content, digest, refers_to, gufe_version) "
        "select scope_id, key, qualname, module, content, digest, refers_to, gufe_version from gufe_object limit 1",
        "insert into attempt (task_id, n, pool, state, tags) select id, 2, 'p', 'running', '[]' from task",
    ],
)
def test_the_database_itself_refuses_what_must_not_be(database, statement):
    with database.transaction() as connection:
        for sql in (
            "insert into scope (org, campaign, project) values ('a', 'b', 'c')",
            "insert into identity (kind, identifier) values ('user', 'known')",
            *(
                "insert into gufe_object (scope_id, key, qualname, module, content, digest, refers_to, gufe_version) "
                f"values (1, '{key}', 'Q', 'm', '', '', '{{}}', '1')"
                for key in ("N-1", "S-1", "P-1", "T-1")
            ),
            "insert into network (id, scope_id, state, chain, creator) values (1, 1, 'active', '{1}', 'u')",
            "insert into chemical_system (id, scope_id) values (2, 1)",
            "insert into transformation (id, scope_id, state_a_id, state_b_id, protocol_id, non_transformation) "
            "values (4, 1, 2, 2, 3, true)",
            "insert into task (key, scope_id, transformation_id) values ('Task-1', 1, 4)",
            "insert into attempt (task_id, n, pool, state, tags) values (1, 1, 'p', 'dispatched', '[]')",
        ):
            connection.exec_driver_sql(sql)
    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.exec_driver_sql(statement)
