"""iterations of Strategies"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ROLE = "alchemiscale_scoped"
VISIBLE = "exists (select 1 from network where network.id = strategy_proposal.network_id)"


def upgrade() -> None:
    op.add_column("strategy", sa.Column("weighting", sa.Text(), server_default="relative", nullable=False))
    op.create_check_constraint(op.f("ck_strategy_weighting"), "strategy", "weighting in ('relative', 'share')")
    op.add_column(
        "strategy",
        sa.Column(
            "requested_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it was asked for before its time; none: it was not, or has been performed since",
        ),
    )
    op.create_table(
        "strategy_proposal",
        sa.Column("network_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("proposal", postgresql.JSONB(), nullable=False, comment="of the last iteration; wire.strategies"),
        sa.ForeignKeyConstraint(
            ["network_id"],
            ["strategy.network_id"],
            name=op.f("fk_strategy_proposal_network_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("network_id", name=op.f("pk_strategy_proposal")),
    )
    op.execute(f"grant select, insert, update, delete on strategy_proposal to {ROLE}")
    op.execute("alter table strategy_proposal enable row level security")
    for command in ("select", "insert", "update", "delete"):
        condition = f"with check ({VISIBLE})" if command == "insert" else f"using ({VISIBLE})"
        op.execute(f"create policy {command}_scoped on strategy_proposal for {command} to {ROLE} {condition}")
