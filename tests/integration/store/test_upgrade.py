"""A database that was used under the first revision is brought up to date with all that is in it."""

from alembic import command

from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.store import row_security, schema
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import status_counts

# two scopes; each with a network of one Transformation and ten Tasks of every status
ROWS = (
    "insert into scope (org, campaign, project, gufe_line) values ('a', 'b', 'c', '1'), ('d', 'e', 'f', '0')",
    "insert into identity (kind, identifier, key_hash, disabled) values ('user', 'u', 'h1', false), "
    "('compute', 'k', 'h2', true)",
    "insert into identity_scope (identity_id, scope) values (1, 'a-b-*'), (2, '*-*-*')",
    "insert into gufe_object (scope_id, key, qualname, module, content, digest, refers_to, gufe_version) "
    "select s, q || '-' || s, q, 'm', '', '', '{}', '1' from generate_series(1, 2) s, "
    "unnest(array['ChemicalSystem', 'Protocol', 'Transformation', 'AlchemicalNetwork']) with ordinality as "
    "q(q, n) order by s, n",
    "insert into chemical_system select id, scope_id from gufe_object where qualname = 'ChemicalSystem'",
    "insert into transformation select id, scope_id, id - 2, id - 2, id - 1, true from gufe_object where "
    "qualname = 'Transformation'",
    "insert into network (id, scope_id, state, chain, creator) select id, scope_id, 'active', array[id], 'u' "
    "from gufe_object where qualname = 'AlchemicalNetwork'",
    "insert into network_chemical_system select id, id - 3 from network",
    "insert into network_transformation select id, id - 1 from network",
    "insert into task (key, scope_id, transformation_id, status, attempts) select 'Task-' || md5(n::text || "
    "id), scope_id, id, (array['waiting', 'running', 'complete', 'error', 'invalid', 'deleted'])[1 + mod(n, "
    "6)], 1 from transformation, generate_series(1, 60) n",
    "insert into action (network_id, task_id, weight, priority, draw, queued) select transformation_id + 1, "
    "id, 0.5, 10, 1.0, status = 'waiting' from task where status in ('waiting', 'running', 'error')",
    "insert into attempt (task_id, n, pool, state, tags) select id, 1, 'p', status, '[]' from task where "
    "status in ('running', 'complete', 'error')",
    "insert into result (key, scope_id, transformation_id, task_id, attempt, ok, protocol_dag_result_key, "
    "location, size, creator) select 'ProtocolDAGResultRef-' || md5(id::text), scope_id, transformation_id, "
    "id, 1, status = 'complete', 'x', 'l', 1, 'k' from task where status in ('complete', 'error')",
    "insert into checkpoint (task_id, dag_location, shared_id) select id, 'l', 's' from task where status = 'running'",
    "insert into unit_result (task_id, key, unit_key, attempt, ok, location, size) select id, 'k', 'u', 1, "
    "true, 'l', 1 from task where status = 'running'",
)
SEEN = {
    "scope": 1,
    "task": 60,
    "action": 30,
    "attempt": 30,
    "result": 20,
    "network_transformation": 1,
    "network_chemical_system": 1,
    "checkpoint": 10,
    "unit_result": 10,
}


def test_a_used_database_is_upgraded_with_all_that_is_in_it(empty_database: Database) -> None:
    with empty_database.transaction() as connection:
        row_security.ensure_role(connection)
        command.upgrade(schema.configuration(connection), "0001")
    with empty_database.transaction() as connection:
        for statement in ROWS:
            connection.exec_driver_sql(statement)
    schema.upgrade(empty_database)
    assert schema.differences(empty_database) == []
    with empty_database.transaction() as connection:
        assert status_counts.differences(connection) == []
        keys = connection.exec_driver_sql("select identity_id, name, hash, expires_at from identity_key order by 1")
        assert [tuple(row) for row in keys] == [(1, "first", "h1", None), (2, "first", "h2", None)]
        grants = connection.exec_driver_sql("select identity_id, scope, permission from identity_scope order by 1")
        assert [tuple(row) for row in grants] == [(1, "a-b-*", "write"), (2, "*-*-*", "write")]
        identities = connection.exec_driver_sql("select identifier, version, disabled from identity order by id")
        assert [tuple(row) for row in identities] == [("u", 1, False), ("k", 1, True)]
    # copies of the scope were made where the policies need them
    with empty_database.restricted([Scope("a", "b")]).transaction() as connection:
        seen = {table: connection.exec_driver_sql(f"select count(*) from {table}").scalar_one() for table in SEEN}
    assert seen == SEEN
