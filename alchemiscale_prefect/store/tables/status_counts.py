"""How many Tasks of each status a Transformation has, kept by triggers on ``task`` (migration 0003)."""

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, Index, Table, Text

from alchemiscale_prefect.store.tables.base import metadata

# Several rows may stand for one (Transformation, status); the count is their sum. A transaction adds to a row that no
# other one holds, and makes one where all are held: so counting never waits, and cannot deadlock. There are as many
# rows as transactions ever changed that count at the same moment.
task_count = Table(
    "task_count",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("scope_id", ForeignKey("scope.id"), nullable=False),
    Column("transformation_id", ForeignKey("transformation.id", ondelete="CASCADE"), nullable=False),
    Column("status", Text, nullable=False),
    Column("tasks", BigInteger, nullable=False, comment="may be negative in one of several rows"),
    Index("ix_task_count_transformation_id_status", "transformation_id", "status"),
)
