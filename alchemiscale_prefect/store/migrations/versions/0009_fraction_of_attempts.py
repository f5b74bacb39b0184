"""how far attempts are"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "attempt", sa.Column("fraction", sa.Double(), nullable=True, comment="of the whole, where running units say")
    )
