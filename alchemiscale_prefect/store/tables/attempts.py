"""Attempts: each execution of a Task, its lease, and the checkpoint a later one takes up."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from alchemiscale_prefect.domain.attempts import LIVE, AttemptState
from alchemiscale_prefect.store.tables.base import created_at, metadata, one_of

_LIVE = "state in ({})".format(", ".join(f"'{state}'" for state in LIVE))

attempt = Table(
    "attempt",
    metadata,
    Column("task_id", ForeignKey("task.id"), primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("pool", Text, nullable=False, comment="the Prefect work pool"),
    Column("state", Text, nullable=False),
    Column("tags", JSONB, nullable=False, comment="list; the flow run's tags, kept for a second asking"),
    Column("flow_run_id", Uuid, nullable=True),
    Column("lease_owner", Text, nullable=True, comment="<flow run id>/<run count>/<process>"),
    Column("lease_expires_at", DateTime(timezone=True), nullable=True),
    Column("host", Text, nullable=True),
    Column("image", Text, nullable=True, comment="of the container that it runs in"),
    Column("units_done", Integer, nullable=True),
    Column("units_total", Integer, nullable=True),
    Column("fraction", Double, nullable=True, comment="of the whole, where running units say"),
    Column("reason", Text, nullable=True),
    # of an attempt whose end may be the host's fault (domain.verdicts): how it failed, for comparing failures
    Column("failure", Text, nullable=True),
    Column("launched_at", DateTime(timezone=True), nullable=True),
    Column(
        "pending_since", DateTime(timezone=True), nullable=True, comment="when a worker was first seen to have taken it"
    ),
    Column("started_at", DateTime(timezone=True), nullable=True),
    Column("ended_at", DateTime(timezone=True), nullable=True),
    # a flow run of an attempt that nobody wants any more is cancelled in Prefect, then this is set
    Column("flow_run_settled", Boolean, nullable=False, server_default=text("false")),
    created_at(),
    one_of("state", AttemptState),
    # two live executions of one Task cannot be written down
    Index("uq_attempt_live", "task_id", unique=True, postgresql_where=text(_LIVE)),
    Index("ix_attempt_pool_state", "pool", "state", postgresql_where=text(_LIVE)),
    # what ran of late, for shares of the compute and for how fast a network goes
    Index("ix_attempt_ended_at", "ended_at", postgresql_where=text("started_at is not null")),
    # whether a host that asks to begin is to be looked at
    Index("ix_attempt_host_ended_at", "host", "ended_at", postgresql_where=text("failure is not null")),
    Index(
        "ix_attempt_unsettled",
        "pool",
        postgresql_where=text("state in ('cancelled', 'lost') and flow_run_id is not null and not flow_run_settled"),
    ),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("task_id", ForeignKey("task.id", ondelete="CASCADE"), primary_key=True),
    Column("dag_location", Text, nullable=False),
    Column("shared_id", Text, nullable=False, comment="names the shared directory its unit results refer to"),
    created_at(),
)

unit_result = Table(
    "unit_result",
    metadata,
    Column("task_id", ForeignKey("checkpoint.task_id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True, comment="of the ProtocolUnitResult or ProtocolUnitFailure"),
    Column("unit_key", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("location", Text, nullable=False),
    Column("size", BigInteger, nullable=False, comment="bytes"),
    Column("directory", Text, nullable=True, comment="what the try had of the shared directory; a path on its host"),
    Column("file_parts", Integer, nullable=False, server_default=text("0"), comment="stored of the files in it"),
    Column("files_complete", Boolean, nullable=False, server_default=text("false")),
    Column("files_relocatable", Boolean, nullable=False, server_default=text("false")),
    created_at(),
)
