"""files of finished units, kept with the checkpoint"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "unit_result",
        sa.Column(
            "directory",
            sa.Text(),
            nullable=True,
            comment="what the try had of the shared directory; a path on its host",
        ),
    )
    op.add_column(
        "unit_result",
        sa.Column(
            "file_parts",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="stored of the files in it",
        ),
    )
    for name in ("files_complete", "files_relocatable"):
        op.add_column("unit_result", sa.Column(name, sa.Boolean(), server_default=sa.text("false"), nullable=False))
