"""Who may log in, and to which scopes."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from alchemiscale_prefect.domain.access import IdentityKind
from alchemiscale_prefect.store.tables.base import created_at, metadata, one_of

identity = Table(
    "identity",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("identifier", Text, nullable=False),
    Column("key_hash", Text, nullable=False),
    Column("disabled", Boolean, nullable=False, server_default=false()),
    Column("expires_at", DateTime(timezone=True), nullable=True),
    created_at(),
    UniqueConstraint("kind", "identifier"),
    one_of("kind", IdentityKind),
)

identity_scope = Table(
    "identity_scope",
    metadata,
    Column("identity_id", ForeignKey("identity.id", ondelete="CASCADE"), primary_key=True),
    Column("scope", Text, primary_key=True, comment="org-campaign-project, with '*' as wildcard"),
)
