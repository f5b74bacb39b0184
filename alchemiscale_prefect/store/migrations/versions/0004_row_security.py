"""row-level security by scope"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ROLE = "alchemiscale_scoped"

# Settings are read in sub-selects without a reference to the row: once per statement, not per row. `every_scope` is
# for who sees all; beside it, planners take such a condition to hold for half of the rows and not for hardly any.
EVERY = "(select current_setting('alchemiscale.every_scope')::bool)"
SCOPED = f"{EVERY} or scope_id = any((select current_setting('alchemiscale.scope_ids')::int[])::int[])"
COVERED = (
    f"{EVERY} or array[org || '-*-*', org || '-' || campaign || '-*', org || '-' || campaign || '-' || project] "
    "&& (select current_setting('alchemiscale.scopes')::text[])"
)

WITH_SCOPE = ("gufe_object", "network", "chemical_system", "transformation", "task", "result")
# table -> the parents that must be visible: the first one to see a row, all to write it
WITH_PARENTS = {
    "network_transformation": ("network", "transformation"),
    "network_chemical_system": ("network", "chemical_system"),
    "action": ("network", "task"),
    "restart_pattern": ("network",),
    "restart_count": ("network",),
    "strategy": ("network",),
    "attempt": ("task",),
    "checkpoint": ("task",),
    "unit_result": ("task",),
}

SELECT = "select 1 from"


def upgrade() -> None:
    schema = op.get_bind().execute(sa.text("select quote_ident(current_schema())")).scalar_one()
    op.execute(f"grant usage on schema {schema} to {ROLE}")
    confine("scope", COVERED, COVERED, "select, insert, update")
    confine("task_count", SCOPED, "false", "select")
    for table in WITH_SCOPE:
        confine(table, SCOPED, SCOPED)
    for table, parents in WITH_PARENTS.items():
        visible = [f"exists ({SELECT} {parent} where {parent}.id = {table}.{parent}_id)" for parent in parents]
        confine(table, visible[0], " and ".join(visible))
    op.execute(f"grant usage on sequence gufe_object_id_seq to {ROLE}")
    op.execute(f"grant insert on audit to {ROLE}")


def confine(table: str, visible: str, writable: str, privileges: str = "select, insert, update, delete") -> None:
    op.execute(f"grant {privileges} on {table} to {ROLE}")
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"create policy scoped on {table} to {ROLE} using ({visible}) with check ({writable})")
