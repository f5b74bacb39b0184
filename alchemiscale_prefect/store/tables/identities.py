"""Who may log in, with which keys, to which scopes; and what they did."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from alchemiscale_prefect.domain.access import IdentityKind, Permission
from alchemiscale_prefect.store.tables.base import created_at, metadata, one_of

identity = Table(
    "identity",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("identifier", Text, nullable=False),
    Column("email", Text, nullable=True),
    Column("full_name", Text, nullable=True),
    Column("disabled", Boolean, nullable=False, server_default=false()),
    Column("expires_at", DateTime(timezone=True), nullable=True),
    # tokens carry it: one that was issued before a change of rights is refused
    Column("version", Integer, nullable=False, server_default=text("1")),
    created_at(),
    UniqueConstraint("kind", "identifier"),
    one_of("kind", IdentityKind),
)

identity_key = Table(
    "identity_key",
    metadata,
    Column("identity_id", ForeignKey("identity.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True, comment="tells an identity's keys apart; no secret"),
    Column("hash", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=True),
    created_at(),
)

identity_scope = Table(
    "identity_scope",
    metadata,
    Column("identity_id", ForeignKey("identity.id", ondelete="CASCADE"), primary_key=True),
    Column("scope", Text, primary_key=True, comment="org-campaign-project, with '*' as wildcard"),
    Column("permission", Text, nullable=False, server_default=Permission.write.value),
    one_of("permission", Permission),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False, comment="of the identity, or 'operator' for who has the database itself"),
    Column("identifier", Text, nullable=False, comment="who"),
    Column("action", Text, nullable=False, comment="what, for example network.create"),
    Column("scope", Text, nullable=True),
    Column("target", Text, nullable=True, comment="the ScopedKey or identity acted on"),
    Column("details", JSONB, nullable=True),
    created_at(),
    Index("ix_audit_identifier", "identifier", "id"),
    Index("ix_audit_created_at", "created_at"),
)
