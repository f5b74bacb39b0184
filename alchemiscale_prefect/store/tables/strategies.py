"""The Strategy of a network, how far it has come, and what it proposed last."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Integer,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from alchemiscale_prefect.domain.strategies import (
    DEFAULT_MAX_TASKS,
    DEFAULT_SLEEP_INTERVAL,
    StrategyMode,
    StrategyStatus,
    StrategyTaskScaling,
    StrategyWeighting,
)
from alchemiscale_prefect.store.tables.base import created_at, metadata, one_of

strategy = Table(
    "strategy",
    metadata,
    Column("network_id", ForeignKey("network.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("strategy_id", ForeignKey("gufe_object.id"), nullable=False),
    Column("mode", Text, nullable=False, server_default=StrategyMode.partial.value),
    Column("status", Text, nullable=False, server_default=StrategyStatus.awake.value),
    Column("iterations", Integer, nullable=False, server_default=text("0")),
    Column("sleep_interval", Integer, nullable=False, server_default=text(str(DEFAULT_SLEEP_INTERVAL)), comment="s"),
    Column("last_iteration", DateTime(timezone=True), nullable=True),
    Column("last_iteration_result_count", Integer, nullable=False, server_default=text("0")),
    Column("max_tasks_per_transformation", Integer, nullable=False, server_default=text(str(DEFAULT_MAX_TASKS))),
    Column("task_scaling", Text, nullable=False, server_default=StrategyTaskScaling.exponential.value),
    Column("weighting", Text, nullable=False, server_default=StrategyWeighting.relative.value),
    Column("exception", JSONB, nullable=True, comment="[class, message] of the last iteration, if it failed"),
    Column("traceback", Text, nullable=True),
    Column(
        "requested_at",
        DateTime(timezone=True),
        nullable=True,
        comment="when it was asked for before its time; none: it was not, or has been performed since",
    ),
    Column("creator", Text, nullable=False),
    created_at(),
    one_of("mode", StrategyMode),
    one_of("status", StrategyStatus),
    one_of("task_scaling", StrategyTaskScaling),
    one_of("weighting", StrategyWeighting),
    CheckConstraint("sleep_interval > 0", name="sleep_interval"),
    CheckConstraint("max_tasks_per_transformation > 0", name="max_tasks_per_transformation"),
)

# apart from the state, which is read often and small
strategy_proposal = Table(
    "strategy_proposal",
    metadata,
    Column("network_id", ForeignKey("strategy.network_id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("proposal", JSONB, nullable=False, comment="of the last iteration; wire.strategies"),
)
