"""AlchemicalNetworks, their nodes and edges. An id here is the id of the gufe object."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    text,
)

from alchemiscale_prefect.domain.networks import NetworkState
from alchemiscale_prefect.domain.tasks import DEFAULT_WEIGHT
from alchemiscale_prefect.store.tables.base import created_at, metadata, one_of

network = Table(
    "network",
    metadata,
    Column("id", ForeignKey("gufe_object.id"), primary_key=True, autoincrement=False),
    Column("scope_id", ForeignKey("scope.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("weight", Double, nullable=False, server_default=text(str(DEFAULT_WEIGHT))),
    # the ids of the chain in the client's order: what was sent is what comes back, read in one join
    Column("chain", ARRAY(BigInteger), nullable=False),
    Column("creator", Text, nullable=False),
    # the network this one was extended from
    Column("ancestor_id", ForeignKey("network.id"), nullable=True),
    created_at(),
    one_of("state", NetworkState),
    CheckConstraint("weight between 0 and 1", name="weight"),
    Index("ix_network_scope_id", "scope_id"),
    Index("ix_network_ancestor_id", "ancestor_id", postgresql_where=text("ancestor_id is not null")),
)

chemical_system = Table(
    "chemical_system",
    metadata,
    Column("id", ForeignKey("gufe_object.id"), primary_key=True, autoincrement=False),
    Column("scope_id", ForeignKey("scope.id"), nullable=False),
    Index("ix_chemical_system_scope_id", "scope_id"),
)

transformation = Table(
    "transformation",
    metadata,
    Column("id", ForeignKey("gufe_object.id"), primary_key=True, autoincrement=False),
    Column("scope_id", ForeignKey("scope.id"), nullable=False),
    Column("state_a_id", ForeignKey("chemical_system.id"), nullable=False),
    Column("state_b_id", ForeignKey("chemical_system.id"), nullable=False),
    Column("protocol_id", ForeignKey("gufe_object.id"), nullable=False),
    Column("non_transformation", Boolean, nullable=False),
    Index("ix_transformation_scope_id", "scope_id"),
    Index("ix_transformation_state_a_id", "state_a_id"),
    Index("ix_transformation_state_b_id", "state_b_id"),
)

network_transformation = Table(
    "network_transformation",
    metadata,
    Column("network_id", ForeignKey("network.id", ondelete="CASCADE"), primary_key=True),
    Column("transformation_id", ForeignKey("transformation.id"), primary_key=True),
    # a copy of the network's, for row-level security; a foreign key would cost as much as the row
    Column("scope_id", Integer, nullable=False),
    Index("ix_network_transformation_transformation_id", "transformation_id"),
)

network_chemical_system = Table(
    "network_chemical_system",
    metadata,
    Column("network_id", ForeignKey("network.id", ondelete="CASCADE"), primary_key=True),
    Column("chemical_system_id", ForeignKey("chemical_system.id"), primary_key=True),
    Column("scope_id", Integer, nullable=False),
    Index("ix_network_chemical_system_chemical_system_id", "chemical_system_id"),
)
