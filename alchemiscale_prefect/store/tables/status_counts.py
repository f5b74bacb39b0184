"""How many Tasks of each status a Transformation has, kept by triggers on ``task`` (migration 0003)."""

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, Index, Integer, Table, text

from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.store.tables.base import metadata

# Several rows may stand for one Transformation; a count is their sum, and may be negative in one of them. A transaction
# adds to a row that no other one holds, and makes one where all are held: so counting never waits, and cannot deadlock.
# There are as many rows as transactions ever changed the counts of that Transformation at the same moment.
task_count = Table(
    "task_count",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("scope_id", ForeignKey("scope.id"), nullable=False),
    Column("transformation_id", ForeignKey("transformation.id", ondelete="CASCADE"), nullable=False),
    *(Column(status.value, Integer, nullable=False, server_default=text("0")) for status in TaskStatus),
    Index("ix_task_count_transformation_id", "transformation_id"),
)
