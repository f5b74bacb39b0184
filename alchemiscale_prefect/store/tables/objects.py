"""gufe objects: each key once per scope, as the client sent it, with what it refers to."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from alchemiscale_prefect.store.tables.base import created_at, metadata

gufe_object = Table(
    "gufe_object",
    metadata,
    # ids are given in chain order, dependencies first, so `order by id` is a topological order
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("scope_id", ForeignKey("scope.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("qualname", Text, nullable=False),
    Column("module", Text, nullable=False),
    Column("name", Text, nullable=True),
    Column("content", LargeBinary, nullable=False, comment="zstd of the keyed dict's JSON text"),
    Column("digest", LargeBinary, nullable=False, comment="sha256 of the keyed dict's JSON text"),
    # no table of its own: with its foreign keys that took longer than all the rest of a submission
    Column("refers_to", ARRAY(BigInteger), nullable=False, comment="ids of the objects it names directly"),
    Column("gufe_version", Text, nullable=False, comment="as the client said, else its major line"),
    created_at(),
    UniqueConstraint("scope_id", "key"),
    Index("ix_gufe_object_scope_id_name", "scope_id", "name"),
)
