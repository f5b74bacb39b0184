"""Postgres plans by what it last saw. A queue is often seen empty, and then gets thousands of Tasks at once."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, text

from alchemiscale_prefect.services import restarts, tasks
from tests.integration.dispatch.world import World


@pytest.fixture
def statements(world: World) -> Iterator[list[tuple[str, Any]]]:
    """What is executed, with its parameters."""
    noted: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        noted.append((statement, parameters))

    event.listen(world.database.engine, "before_cursor_execute", note)
    yield noted
    event.remove(world.database.engine, "before_cursor_execute", note)


def test_no_task_is_held_against_each_action(world: World, statements: list[tuple[str, Any]]) -> None:
    network = world.network()
    with world.database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("vacuum analyze"))
    keys = world.tasks(network, 300)
    statements.clear()
    tasks.set_priority(world.database, world.user, keys, 5)
    restarts.add(world.database, world.user, network.key, ["MemoryError"], 1)
    queries = [item for item in statements if re.search(r"\b(from|join|update) action\b", item[0])]
    assert any("with due" in query for query, _ in queries)
    assert any("for key share of p" in query for query, _ in queries)
    with world.database.transaction() as connection:
        for statement, parameters in queries:
            plan = "\n".join(connection.exec_driver_sql(f"explain {statement}", parameters).scalars())
            filters = [line for line in plan.splitlines() if "Join Filter" in line and "task_id" in line]
            assert filters == [], f"{statement}\n{plan}"
            assert "with due" not in statement or "Tid Scan on action a " in plan, plan
