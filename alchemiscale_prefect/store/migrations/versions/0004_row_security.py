"""row-level security by scope"""

from collections.abc import Sequence

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
# a multirange is searched by halves, an array from its beginning
SCOPED = f"{EVERY} or (select current_setting('alchemiscale.scope_ids')::int4multirange) @> scope_id"
COVERED = (
    f"{EVERY} or array[org || '-*-*', org || '-' || campaign || '-*', org || '-' || campaign || '-' || project] "
    "&& (select current_setting('alchemiscale.scopes')::text[])"
)

WITH_SCOPE = ("gufe_object", "network", "chemical_system", "transformation", "task", "result")
# table -> the parents that a new row must see. There are as many rows as Tasks or edges, so they have a copy of the
# scope's id, and a look-up of the parents costs at the insertion only.
WITH_COPY = {
    "network_transformation": ("network", "transformation"),
    "network_chemical_system": ("network", "chemical_system"),
    "action": ("network", "task"),
}
# table -> the parent that must be visible, to see a row and to write it
WITH_PARENT = {
    "restart_pattern": "network",
    "restart_count": "network",
    "strategy": "network",
    "attempt": "task",
    "checkpoint": "task",
    "unit_result": "task",
}
VISIBLE = "exists (select 1 from {parent} where {parent}.id = {table}.{parent}_id)"


def upgrade() -> None:
    schema = op.get_bind().execute(sa.text("select quote_ident(current_schema())")).scalar_one()
    op.execute(f"grant usage on schema {schema} to {ROLE}")
    confine("scope", COVERED, "select, insert, update")
    confine("task_count", SCOPED, "select")
    for table in WITH_SCOPE:
        confine(table, SCOPED)
    for table, parents in WITH_COPY.items():
        copy_scope(table)
        confine(table, SCOPED, new=[VISIBLE.format(parent=parent, table=table) for parent in parents])
    for table, parent in WITH_PARENT.items():
        confine(table, VISIBLE.format(parent=parent, table=table))
    op.execute(f"grant usage on sequence gufe_object_id_seq to {ROLE}")
    op.execute(f"grant insert on audit to {ROLE}")


def copy_scope(table: str) -> None:
    op.add_column(table, sa.Column("scope_id", sa.Integer(), nullable=True))
    op.execute(f"update {table} set scope_id = network.scope_id from network where network.id = network_id")  # noqa: S608
    op.alter_column(table, "scope_id", nullable=False)


def confine(
    table: str, visible: str, privileges: str = "select, insert, update, delete", new: Sequence[str] = ()
) -> None:
    op.execute(f"grant {privileges} on {table} to {ROLE}")
    op.execute(f"alter table {table} enable row level security")
    new_row = " and ".join(f"({condition})" for condition in (visible, *new))
    for command in ("select", "insert", "update", "delete"):
        if command in privileges:
            condition = f"with check ({new_row})" if command == "insert" else f"using ({visible})"
            op.execute(f"create policy {command}_scoped on {table} for {command} to {ROLE} {condition}")
