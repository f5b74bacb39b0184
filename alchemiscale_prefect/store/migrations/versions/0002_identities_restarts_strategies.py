"""identities, restarts, strategies"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="of the identity, or 'operator' for who has the database itself"
        ),
        sa.Column("identifier", sa.Text(), nullable=False, comment="who"),
        sa.Column("action", sa.Text(), nullable=False, comment="what, for example network.create"),
        sa.Column("scope", sa.Text(), nullable=True),
        sa.Column("target", sa.Text(), nullable=True, comment="the ScopedKey or identity acted on"),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_created_at", "audit", ["created_at"], unique=False)
    op.create_index("ix_audit_identifier", "audit", ["identifier", "id"], unique=False)
    op.create_table(
        "identity_key",
        sa.Column("identity_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="tells an identity's keys apart; no secret"),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identity.id"], name=op.f("fk_identity_key_identity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("identity_id", "name", name=op.f("pk_identity_key")),
    )
    op.create_table(
        "restart_pattern",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("network_id", sa.BigInteger(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False, comment="a regular expression, searched for in tracebacks"),
        sa.Column("max_retries", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("max_retries > 0", name=op.f("ck_restart_pattern_max_retries")),
        sa.ForeignKeyConstraint(
            ["network_id"], ["network.id"], name=op.f("fk_restart_pattern_network_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restart_pattern")),
        sa.UniqueConstraint("network_id", "pattern", name=op.f("uq_restart_pattern_network_id_pattern")),
    )
    op.create_table(
        "strategy",
        sa.Column("network_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("strategy_id", sa.BigInteger(), nullable=False),
        sa.Column("mode", sa.Text(), server_default="partial", nullable=False),
        sa.Column("status", sa.Text(), server_default="awake", nullable=False),
        sa.Column("iterations", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("sleep_interval", sa.Integer(), server_default=sa.text("3600"), nullable=False, comment="s"),
        sa.Column("last_iteration", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_iteration_result_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_tasks_per_transformation", sa.Integer(), server_default=sa.text("3"), nullable=False),
        sa.Column("task_scaling", sa.Text(), server_default="exponential", nullable=False),
        sa.Column(
            "exception",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="[class, message] of the last iteration, if it failed",
        ),
        sa.Column("traceback", sa.Text(), nullable=True),
        sa.Column("creator", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("mode in ('full', 'partial', 'disabled')", name=op.f("ck_strategy_mode")),
        sa.CheckConstraint("status in ('awake', 'dormant', 'error')", name=op.f("ck_strategy_status")),
        sa.CheckConstraint("task_scaling in ('linear', 'exponential')", name=op.f("ck_strategy_task_scaling")),
        sa.CheckConstraint("max_tasks_per_transformation > 0", name=op.f("ck_strategy_max_tasks_per_transformation")),
        sa.CheckConstraint("sleep_interval > 0", name=op.f("ck_strategy_sleep_interval")),
        sa.ForeignKeyConstraint(
            ["network_id"], ["network.id"], name=op.f("fk_strategy_network_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["strategy_id"], ["gufe_object.id"], name=op.f("fk_strategy_strategy_id")),
        sa.PrimaryKeyConstraint("network_id", name=op.f("pk_strategy")),
    )
    op.create_table(
        "restart_count",
        sa.Column("network_id", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("pattern_id", sa.BigInteger(), nullable=False),
        sa.Column("num_retries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id", "task_id"],
            ["action.network_id", "action.task_id"],
            name=op.f("fk_restart_count_network_id_task_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["pattern_id"], ["restart_pattern.id"], name=op.f("fk_restart_count_pattern_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("network_id", "task_id", "pattern_id", name=op.f("pk_restart_count")),
    )
    op.create_index("ix_restart_count_pattern_id", "restart_count", ["pattern_id"], unique=False)
    op.create_index(
        "ix_attempt_ended_at",
        "attempt",
        ["ended_at"],
        unique=False,
        postgresql_where=sa.text("started_at is not null"),
    )
    op.add_column("identity", sa.Column("email", sa.Text(), nullable=True))
    op.add_column("identity", sa.Column("full_name", sa.Text(), nullable=True))
    op.add_column("identity", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.execute("insert into identity_key (identity_id, name, hash) select id, 'first', key_hash from identity")
    op.drop_column("identity", "key_hash")
    op.drop_constraint(op.f("ck_identity_kind"), "identity", type_="check")
    op.create_check_constraint(op.f("ck_identity_kind"), "identity", "kind in ('user', 'compute', 'admin')")
    op.add_column("identity_scope", sa.Column("permission", sa.Text(), server_default="write", nullable=False))
    op.create_check_constraint(
        op.f("ck_identity_scope_permission"), "identity_scope", "permission in ('read', 'write', 'domain')"
    )
    op.add_column("network", sa.Column("ancestor_id", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_network_ancestor_id",
        "network",
        ["ancestor_id"],
        unique=False,
        postgresql_where=sa.text("ancestor_id is not null"),
    )
    op.create_foreign_key(op.f("fk_network_ancestor_id"), "network", "network", ["ancestor_id"], ["id"])
    op.add_column("result", sa.Column("gufe_version", sa.Text(), nullable=True, comment="of the run that wrote it"))
    op.add_column("task", sa.Column("copied_from_id", sa.BigInteger(), nullable=True))
    op.create_index(
        "uq_task_copied_from_id_transformation_id",
        "task",
        ["copied_from_id", "transformation_id"],
        unique=True,
        postgresql_where=sa.text("copied_from_id is not null"),
    )
    op.create_foreign_key(op.f("fk_task_copied_from_id"), "task", "task", ["copied_from_id"], ["id"])
