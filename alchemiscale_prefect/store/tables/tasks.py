"""Tasks, the history of their statuses, and their actions: the queue."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from alchemiscale_prefect.domain.tasks import DEFAULT_PRIORITY, DEFAULT_WEIGHT, TaskStatus
from alchemiscale_prefect.domain.transitions import Cause
from alchemiscale_prefect.store.tables.base import created_at, metadata, one_of

task = Table(
    "task",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False, comment="Task-<uuid4 hex>"),
    Column("scope_id", ForeignKey("scope.id"), nullable=False),
    Column("transformation_id", ForeignKey("transformation.id"), nullable=False),
    Column("status", Text, nullable=False, server_default=TaskStatus.waiting.value),
    Column("status_changed_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("reason", Text, nullable=True, comment="why it is in this status, where that is not plain"),
    Column("priority", BigInteger, nullable=False, server_default=text(str(DEFAULT_PRIORITY))),
    Column("extends_id", ForeignKey("task.id"), nullable=True),
    Column("creator", Text, nullable=True),
    # the complete Task of another scope that it is a copy of
    Column("copied_from_id", ForeignKey("task.id"), nullable=True),
    Column("attempts", Integer, nullable=False, server_default=text("0"), comment="number of its last attempt"),
    Column("losses", Integer, nullable=False, server_default=text("0"), comment="attempts lost since it last waited"),
    # while it is set, the Task is not in the queue; the dispatcher takes it away when it is past
    Column("not_before", DateTime(timezone=True), nullable=True, comment="when its rest after a loss ends"),
    created_at(),
    UniqueConstraint("key"),
    one_of("status", TaskStatus),
    CheckConstraint("priority >= 1", name="priority"),
    Index("ix_task_transformation_id_status", "transformation_id", "status"),
    Index("ix_task_scope_id_status", "scope_id", "status"),
    Index(
        "uq_task_copied_from_id_transformation_id",
        "copied_from_id",
        "transformation_id",
        unique=True,
        postgresql_where=text("copied_from_id is not null"),
    ),
    Index("ix_task_not_before", "not_before", postgresql_where=text("not_before is not null")),
    Index("ix_task_extends_id", "extends_id", postgresql_where=text("extends_id is not null")),
)

# written by whoever changes a status, in the same statement (store.queries.transitions). No foreign key: it is only
# written from a row of the Task, and looking each one up again would cost as much as writing it
task_history = Table(
    "task_history",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("task_id", BigInteger, nullable=False),
    # a copy of the Task's, for the policies of row-level security
    Column("scope_id", Integer, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("from_status", Text, nullable=False),
    Column("to_status", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("who", Text, nullable=True, comment="identifier of the identity that asked for it"),
    Column("why", Text, nullable=True),
    Column("attempt", Integer, nullable=True, comment="the one that it concerns, else the last one"),
    one_of("from_status", TaskStatus),
    one_of("to_status", TaskStatus),
    one_of("cause", Cause),
    Index("ix_task_history_task_id_id", "task_id", "id"),
)

action = Table(
    "action",
    metadata,
    Column("network_id", ForeignKey("network.id", ondelete="CASCADE"), primary_key=True),
    Column("task_id", ForeignKey("task.id", ondelete="CASCADE"), primary_key=True),
    # a copy of the Task's, for the policies of row-level security
    Column("scope_id", Integer, nullable=False),
    Column("weight", Double, nullable=False, server_default=text(str(DEFAULT_WEIGHT))),
    # a copy of the Task's, so that one index gives the order
    Column("priority", BigInteger, nullable=False),
    # its place in the weighted random order (domain.selection)
    Column("draw", Double, nullable=False),
    # whether the Task may be claimed through this action now; store.queue keeps it
    Column("queued", Boolean, nullable=False),
    created_at(),
    CheckConstraint("weight between 0 and 1", name="weight"),
    Index("ix_action_queue", "network_id", "priority", "draw", postgresql_where=text("queued")),
    Index("ix_action_task_id", "task_id"),
)
