"""Restart patterns of a network, and how often each has restarted a Task."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from alchemiscale_prefect.store.tables.base import created_at, metadata

restart_pattern = Table(
    "restart_pattern",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("network_id", ForeignKey("network.id", ondelete="CASCADE"), nullable=False),
    Column("pattern", Text, nullable=False, comment="a regular expression, searched for in tracebacks"),
    Column("max_retries", Integer, nullable=False),
    created_at(),
    UniqueConstraint("network_id", "pattern"),
    CheckConstraint("max_retries > 0", name="max_retries"),
)

# a Task that leaves the network takes its counts with it
restart_count = Table(
    "restart_count",
    metadata,
    Column("network_id", BigInteger, primary_key=True),
    Column("task_id", BigInteger, primary_key=True),
    Column("pattern_id", ForeignKey("restart_pattern.id", ondelete="CASCADE"), primary_key=True),
    Column("num_retries", Integer, nullable=False, server_default=text("0")),
    ForeignKeyConstraint(["network_id", "task_id"], ["action.network_id", "action.task_id"], ondelete="CASCADE"),
    Index("ix_restart_count_pattern_id", "pattern_id"),
)
