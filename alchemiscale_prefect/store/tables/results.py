"""ProtocolDAGResults: where the bytes are, and what they say in short."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

from alchemiscale_prefect.store.tables.base import created_at, metadata

result = Table(
    "result",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False, comment="ProtocolDAGResultRef-<uuid4 hex>"),
    Column("scope_id", ForeignKey("scope.id"), nullable=False),
    Column("transformation_id", ForeignKey("transformation.id"), nullable=False),
    Column("task_id", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("protocol_dag_result_key", Text, nullable=False),
    # shared by the results of copied Tasks: whoever deletes bytes looks for other results at their location first
    Column("location", Text, nullable=False),
    Column("size", BigInteger, nullable=False, comment="bytes, compressed"),
    Column("estimate", Double, nullable=True),
    Column("uncertainty", Double, nullable=True),
    Column("units", Text, nullable=True),
    Column("tracebacks", JSONB, nullable=True, comment="one object per ProtocolUnitFailure"),
    Column("creator", Text, nullable=False),
    Column("gufe_version", Text, nullable=True, comment="of the run that wrote it"),
    created_at(),
    UniqueConstraint("key"),
    # an attempt finishes once
    UniqueConstraint("task_id", "attempt"),
    ForeignKeyConstraint(["task_id", "attempt"], ["attempt.task_id", "attempt.n"]),
    Index("ix_result_transformation_id_ok", "transformation_id", "ok"),
)
