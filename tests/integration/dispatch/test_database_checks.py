"""Checks of the database: silent on what the services make, and not on anything that cannot be."""

import pytest
from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.checks import Check, CheckStatus, passed
from alchemiscale_prefect.services import database_checks
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import consistency
from tests.integration.dispatch.world import World

# what → how somebody comes to it by hand
BY_HAND = {
    "actions whose place in the queue is out of date": "update action set queued = not queued where queued",
    "running Tasks without a running attempt": "update attempt set state = 'lost' where state = 'running'",
    "attempts under way of Tasks that are at something else": (
        "update task set status = 'error' where status = 'running'"
    ),
    "attempts that their Task has not counted": "update task set attempts = 0 where status = 'complete'",
    "finished Tasks that are still actioned": (
        "insert into action (network_id, task_id, scope_id, weight, priority, draw, queued) "
        "select n.id, t.id, t.scope_id, 0.5, t.priority, 1, false from network n, task t "
        "join network_transformation link using (transformation_id) "
        "where t.status = 'complete' and link.network_id = n.id"
    ),
    "Tasks actioned on a network without their Transformation": (
        "delete from network_transformation link using action a join task t on t.id = a.task_id "
        "where link.network_id = a.network_id and link.transformation_id = t.transformation_id"
    ),
    "complete Tasks without a result": "delete from result where ok",
    "results that their attempts do not tell of": "update result set ok = not ok where not ok",
    "results of another Transformation than their Task's": (
        "update result r set transformation_id = (select max(id) from transformation where id <> r.transformation_id)"
    ),
    "Tasks that extend one of another Transformation": (
        "update task t set extends_id = (select min(id) from task where transformation_id <> t.transformation_id) "
        "where status = 'complete'"
    ),
    "Tasks in another Scope than their Transformation": (
        "update transformation set scope_id = (select id from scope where project = 'elsewhere')"
    ),
    "networks with Transformations of another Scope": (
        "update transformation set scope_id = (select id from scope where project = 'elsewhere')"
    ),
    "gufe objects that refer to what is not there": "update gufe_object set refers_to = refers_to || -1::bigint",
    "networks whose keyed chain has gaps": "update network set chain = chain || -1::bigint",
}


@pytest.fixture
def worked(world: World) -> World:
    """Networks with Tasks that wait, run, are complete and in error."""
    one, two = world.network("one"), world.network("two", systems=("c", "d"))
    world.tasks(one, 2)
    first, second = world.started(2)
    first.complete()
    second.complete(ok=False)
    world.tasks(two)
    world.started()
    world.tasks(one, priority=3)
    world.execute("insert into scope (org, campaign, project) values ('some', 'where', 'elsewhere')")
    return world


def contradictions(connection: Connection) -> set[str]:
    return {item.what for item in consistency.contradictions(connection)}


def test_every_contradiction_is_found_and_nothing_else_is_taken_for_one(worked: World) -> None:
    worked.check()
    assert set(BY_HAND) == set(consistency.CONTRADICTIONS)
    with worked.database.engine.connect() as connection:
        for what, statement in BY_HAND.items():
            with connection.begin() as transaction:
                assert contradictions(connection) == set()
                assert connection.execute(text(statement)).rowcount > 0
                assert what in contradictions(connection), what
                transaction.rollback()


def named(checks: list[Check], name: str) -> list[Check]:
    return [check for check in checks if check.name == name]


def test_a_database_that_works_passes(worked: World) -> None:
    checks = database_checks.thorough(worked.database)
    assert passed(checks)
    assert {check.status for check in checks} == {CheckStatus.ok}
    assert len(checks) == 6


def test_what_is_wrong_is_told_with_how_to_mend_it_and_mended(worked: World) -> None:
    worked.execute("update action set queued = false")
    worked.execute("alter table task disable trigger user")
    worked.execute("update task set status = 'error' where status = 'complete'")
    worked.execute("alter table task enable trigger user")
    checks = database_checks.thorough(worked.database)
    assert not passed(checks)
    (counts,) = named(checks, database_checks.COUNTS)
    (rows,) = named(checks, database_checks.ROWS)
    assert counts.status is rows.status is CheckStatus.failed
    assert counts.fix == rows.fix == database_checks.MEND
    assert "error" in counts.detail or "complete" in counts.detail
    database_checks.mend(worked.database)
    assert passed(database_checks.thorough(worked.database))
    # the history, which nobody wrote, tells on who changed a status by hand
    with pytest.raises(AssertionError, match="'complete', 'outcome'"):
        worked.check()
    worked.execute("update task set status = 'complete' where id in (select task_id from result where ok)")
    worked.check()


def test_a_schema_that_was_changed_by_hand_is_told(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("alter table task drop column creator"))
    (schema,) = named(database_checks.thorough(database), database_checks.DIFFERENCES)
    assert schema.status is CheckStatus.failed
    assert "creator" in schema.detail


def test_a_database_of_another_version_is_looked_at_no_further(empty_database: Database) -> None:
    checks = database_checks.thorough(empty_database)
    assert [check.status for check in checks] == [CheckStatus.ok, CheckStatus.failed] + [CheckStatus.skipped] * 3
    assert checks[1].fix == database_checks.UPGRADE
    with empty_database.transaction() as connection:
        connection.execute(text("create table alembic_version (version_num text)"))
        connection.execute(text("insert into alembic_version values ('9999')"))
    assert "newer" in str(database_checks.reachable(empty_database)[1].fix)


def test_a_database_that_is_away_says_why() -> None:
    (database, schema) = database_checks.reachable(Database("postgresql://nobody@127.0.0.1:1/nothing"))
    assert (database.status, schema.status) == (CheckStatus.failed, CheckStatus.skipped)
    assert "refused" in database.detail
