"""hosts, and what failed on them"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATES = "state in ('dispatched', 'running', 'complete', 'error', 'cancelled', 'lost', 'refused')"


def upgrade() -> None:
    op.create_table(
        "host",
        sa.Column("name", sa.Text(), nullable=False, comment="as its flow runs give it"),
        sa.Column("state", sa.Text(), server_default="healthy", nullable=False),
        sa.Column("bans", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="in a row"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True, comment="of the state"),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True, comment="of a ban; none: without an end"),
        sa.Column("banned_by", sa.Text(), nullable=True, comment="the operator; none: by itself"),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column(
            "counts_from", sa.DateTime(timezone=True), nullable=True, comment="failures up to then count no more"
        ),
        sa.Column("probe_task_id", sa.BigInteger(), nullable=True, comment="the attempt that it is tried with"),
        sa.Column("probe_n", sa.Integer(), nullable=True),
        sa.Column(
            "judged_at", sa.DateTime(timezone=True), nullable=True, comment="when its attempts were last looked at"
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state in ('healthy', 'probation', 'banned')", name=op.f("ck_host_state")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_host")),
    )
    op.add_column("attempt", sa.Column("image", sa.Text(), nullable=True, comment="of the container that it runs in"))
    op.add_column("attempt", sa.Column("failure", sa.Text(), nullable=True))
    op.create_index(
        "ix_attempt_host_ended_at", "attempt", ["host", "ended_at"], postgresql_where=sa.text("failure is not null")
    )
    op.drop_constraint(op.f("ck_attempt_state"), "attempt")
    op.create_check_constraint(op.f("ck_attempt_state"), "attempt", STATES)
