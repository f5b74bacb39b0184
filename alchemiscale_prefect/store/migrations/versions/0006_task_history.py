"""history of Tasks' statuses"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ROLE = "alchemiscale_scoped"
STATUSES = "'complete', 'waiting', 'running', 'error', 'invalid', 'deleted'"
CAUSES = "'user', 'begin', 'outcome', 'loss', 'regain', 'stop', 'restart'"
# as in 0004
SCOPED = (
    "(select current_setting('alchemiscale.every_scope')::bool) "
    "or (select current_setting('alchemiscale.scope_ids')::int4multirange) @> scope_id"
)


def upgrade() -> None:
    op.create_table(
        "task_history",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("scope_id", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("from_status", sa.Text(), nullable=False),
        sa.Column("to_status", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=True, comment="identifier of the identity that asked for it"),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True, comment="the one that it concerns, else the last one"),
        sa.CheckConstraint(f"from_status in ({STATUSES})", name=op.f("ck_task_history_from_status")),
        sa.CheckConstraint(f"to_status in ({STATUSES})", name=op.f("ck_task_history_to_status")),
        sa.CheckConstraint(f"cause in ({CAUSES})", name=op.f("ck_task_history_cause")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_history")),
    )
    op.create_index("ix_task_history_task_id_id", "task_history", ["task_id", "id"])
    # a history is written to and read; nobody changes what it says
    op.execute(f"grant select, insert on task_history to {ROLE}")
    op.execute("alter table task_history enable row level security")
    op.execute(f"create policy select_scoped on task_history for select to {ROLE} using ({SCOPED})")
    op.execute(f"create policy insert_scoped on task_history for insert to {ROLE} with check ({SCOPED})")
