"""The kept counts of Tasks by status: equal to a recount, whatever was written, by whomever, at whatever moment."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.services import submission
from alchemiscale_prefect.store import schema
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.queries import objects, status_counts
from alchemiscale_prefect.store.queries.status_counts import Difference
from tests.chains import network_chain

SCOPE = Scope("test_org", "test_campaign", "test_project")
EDGES = 3
STATUSES = [status.value for status in TaskStatus]


@pytest.fixture
def network(database: Database) -> int:
    """The id of a network of three Transformations."""
    chain = network_chain("counted", ("a", "b", "c", "d"), [(0, n + 1) for n in range(EDGES)])
    principal = Principal.writing("user", IdentityKind.user, (SCOPE,))
    key = submission.create_network(database, principal, chain, SCOPE)
    with database.transaction() as connection:
        return objects.ids_of(connection, "network", [key])[str(key)]


def _run(connection: Connection, statement: str, **parameters: object) -> None:
    connection.execute(text(statement), parameters)


def _insert(connection: Connection, tasks: int, status: str = "waiting") -> None:
    """Tasks spread over all Transformations."""
    _run(
        connection,
        "insert into task (key, scope_id, transformation_id, status) "
        "select 'Task-' || gen_random_uuid(), tf.scope_id, tf.id, :status "
        "from generate_series(1, :tasks) n join (select *, row_number() over (order by id) as at from transformation) "
        "tf on tf.at = 1 + n % :edges",
        tasks=tasks,
        status=status,
        edges=EDGES,
    )


def _counts(database: Database, network: int) -> dict[str, int]:
    with database.transaction() as connection:
        return status_counts.of_networks(connection, [network])[network]


_CHANGES = {
    "insert": "insert into task (key, scope_id, transformation_id, status) "
    "select 'Task-' || gen_random_uuid(), scope_id, id, :status from transformation, generate_series(1, 1 + :n % 4)",
    "update": "update task set status = :status where id % 5 = :n % 5",
    "update all": "update task set status = :status",
    "swap": "update task set status = case status when :status then 'error' when 'error' then :status else status end",
    "move": "update task set transformation_id = (select max(id) from transformation) where id % 7 = :n % 7",
    "touch": "update task set attempts = attempts + 1, status = status where :status <> '' and id % 3 = :n % 3",
    "delete": "delete from task where id % 4 = :n % 4 and status <> :status",
    "upsert": "insert into task (key, scope_id, transformation_id, status) "
    "select key, scope_id, transformation_id, 'waiting' from task where id % 3 = :n % 3 "
    "on conflict (key) do update set status = :status",
}
_HISTORY = st.lists(
    st.lists(
        st.tuples(st.sampled_from(sorted(_CHANGES)), st.sampled_from(STATUSES), st.integers(0, 11)),
        min_size=1,
        max_size=4,
    ).flatmap(lambda steps: st.tuples(st.just(steps), st.booleans())),
    max_size=8,
)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(history=_HISTORY)
def test_after_any_history_the_counts_equal_a_recount(database, network, history):
    """Transactions of any statements on Tasks, some of them rolled back."""
    for steps, keep in history:
        with database.engine.connect() as connection:
            for name, status, n in steps:
                _run(connection, _CHANGES[name], status=status, n=n)
                # within the transaction too
                assert status_counts.differences(connection) == []
            if keep:
                connection.commit()
    with database.transaction() as connection:
        assert status_counts.differences(connection) == []
        expected = connection.execute(text("select status, count(*) from task group by 1 order by 1"))
        assert status_counts.of_networks(connection, [network])[network] == dict(expected.tuples().all())


def test_statuses_that_nothing_has_any_more_are_left_out(database, network):
    with database.transaction() as connection:
        _insert(connection, 6)
        _run(connection, "update task set status = 'complete'")
    assert _counts(database, network) == {"complete": 6}


def test_counting_waits_for_nobody(database, network):
    """However many transactions change the same counts at once, in whatever order, each goes on."""
    with database.transaction() as connection:
        _insert(connection, 12)
    with database.engine.connect() as first, database.engine.connect() as second, database.engine.connect() as third:
        for n, connection in enumerate((first, second, third)):
            _run(connection, "set local lock_timeout = '1s'")
            _run(connection, "update task set status = 'error' where id % 12 in (:a, :b)", a=n, b=n + 3)
        assert _counts(database, network) == {"waiting": 12}
        second.commit()
        assert _counts(database, network) == {"error": 2, "waiting": 10}
        first.rollback()
        third.commit()
    assert _counts(database, network) == {"error": 4, "waiting": 8}
    with database.transaction() as connection:
        assert status_counts.differences(connection) == []


def test_bulk_changes_at_once_do_not_deadlock_and_the_rows_stay_few(database, network):
    with database.transaction() as connection:
        _insert(connection, 240)
        transformations = list(connection.execute(text("select id from transformation")).scalars())

    def change(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(15):
            with database.transaction() as connection:
                # Tasks of its own, Transformations that all have in common, one after the other in any order
                for transformation in chance.sample(transformations, EDGES):
                    _run(
                        connection,
                        "update task set status = :status where transformation_id = :transformation and id % 4 = :seed",
                        status=chance.choice(STATUSES),
                        transformation=transformation,
                        seed=seed,
                    )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, range(4)))
    with database.transaction() as connection:
        assert status_counts.differences(connection) == []
        rows = connection.execute(text("select count(*) from task_count")).scalar_one()
    assert rows <= EDGES * 4


def test_what_was_written_with_the_triggers_off_is_found_and_mended(database, network):
    with database.transaction() as connection:
        _insert(connection, 3)
        _run(connection, "alter table task disable trigger user")
        _run(connection, "update task set status = 'error' where id = (select min(id) from task)")
        _run(connection, "alter table task enable trigger user")
    with database.transaction() as connection:
        found = status_counts.differences(connection)
        assert [(item.status, item.kept, item.counted) for item in found] == [("error", 0, 1), ("waiting", 1, 0)]
        assert isinstance(found[0], Difference)
        assert found[0].transformation.startswith("Transformation-")
        assert found[0].transformation.endswith(f"-{SCOPE}")
        status_counts.recount(connection)
        assert status_counts.differences(connection) == []
    assert _counts(database, network) == {"error": 1, "waiting": 2}


def test_who_may_not_write_the_counts_still_keeps_them(database, network):
    with database.transaction() as connection:
        _insert(connection, 3)
    with database.restricted([SCOPE]).transaction() as connection:
        _run(connection, "update task set status = 'error'")
    assert _counts(database, network) == {"error": 3}


def test_the_migration_counts_what_is_there(empty_database):
    with empty_database.transaction() as connection:
        command.upgrade(schema.configuration(connection), "0002")
        for statement in (
            "insert into scope (org, campaign, project) values ('a', 'b', 'c')",
            *(
                "insert into gufe_object (scope_id, key, qualname, module, content, digest, refers_to, gufe_version) "
                f"values (1, '{key}', 'Q', 'm', '', '', '{{}}', '1')"
                for key in ("S-1", "P-1", "T-1")
            ),
            "insert into chemical_system (id, scope_id) values (1, 1)",
            "insert into transformation (id, scope_id, state_a_id, state_b_id, protocol_id, non_transformation) "
            "values (3, 1, 1, 1, 2, true)",
            "insert into task (key, scope_id, transformation_id, status) values "
            "('Task-1', 1, 3, 'waiting'), ('Task-2', 1, 3, 'error'), ('Task-3', 1, 3, 'waiting')",
        ):
            connection.exec_driver_sql(statement)
    schema.upgrade(empty_database)
    with empty_database.transaction() as connection:
        assert status_counts.differences(connection) == []
        counts = connection.execute(text("select waiting, error, complete from task_count")).tuples().all()
    assert counts == [(2, 1, 0)]


def test_planned_for_one_row_of_an_empty_table_it_reads_no_more_for_thousands(database, network):
    """Each session plans the functions once; a sequential scan for each Transformation would be quadratic."""
    with database.transaction() as connection:
        _run(
            connection,
            "with o as (insert into gufe_object "
            "(scope_id, key, qualname, module, content, digest, refers_to, gufe_version) "
            "select scope_id, 'T-' || n, 'T', 'm', '', '', '{}', '1' from network, generate_series(1, 2000) n "
            "returning id) "
            "insert into transformation select o.id, t.scope_id, t.state_a_id, t.state_b_id, t.protocol_id, false "
            "from o, (select * from transformation limit 1) t",
        )
        _insert(connection, 1)
        for _ in range(2):
            _run(
                connection,
                "insert into task (key, scope_id, transformation_id) "
                "select 'Task-' || gen_random_uuid(), scope_id, id from transformation",
            )
        _run(connection, "update task set status = 'error'")
        read = connection.execute(
            text("select seq_tup_read, idx_tup_fetch from pg_stat_xact_user_tables where relname = 'task_count'")
        ).one()
    assert read.seq_tup_read == 0
    assert read.idx_tup_fetch < 50_000
