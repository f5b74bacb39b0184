"""gufe objects: each key once per scope, as the client sent it, with what it refers to."""

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, Index, LargeBinary, Table, Text, UniqueConstraint

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
    Column("digest", LargeBinary, nullable=False, comment="sha256 of the keyed dict, fields sorted"),
    Column("gufe_version", Text, nullable=False, comment="as the client said, else its major line"),
    created_at(),
    UniqueConstraint("scope_id", "key"),
    Index("ix_gufe_object_scope_id_name", "scope_id", "name"),
)

gufe_reference = Table(
    "gufe_reference",
    metadata,
    Column("object_id", ForeignKey("gufe_object.id", ondelete="CASCADE"), primary_key=True),
    Column("referenced_id", ForeignKey("gufe_object.id"), primary_key=True),
    Index("ix_gufe_reference_referenced_id", "referenced_id"),
)
