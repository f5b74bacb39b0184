"""rest after losses"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "task",
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True, comment="when its rest after a loss ends"),
    )
    op.create_index("ix_task_not_before", "task", ["not_before"], postgresql_where=sa.text("not_before is not null"))
