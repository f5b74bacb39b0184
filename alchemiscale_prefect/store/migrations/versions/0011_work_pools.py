"""work pools, as their dispatchers see them"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # no scope owns them: what users are told of them, services choose, which read as the owner
    op.create_table(
        "work_pool",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("buffer", sa.Integer(), nullable=False),
        sa.Column("max_in_flight", sa.Integer(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=True, comment="what limits leave room for; none: there is no limit"),
        sa.Column("paused", sa.Boolean(), nullable=True, comment="none: Prefect was not asked yet"),
        sa.Column("workers_online", sa.Boolean(), nullable=True, comment="none: Prefect does not say"),
        sa.Column(
            "heard_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when a dispatcher had made a whole pass",
        ),
        sa.Column(
            "heard_until", sa.DateTime(timezone=True), nullable=False, comment="who is silent for longer is away"
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_work_pool")),
    )
