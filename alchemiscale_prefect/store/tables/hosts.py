"""Hosts that Tasks run on: which of them may not, or only to be tried."""

from sqlalchemy import BigInteger, Column, DateTime, Integer, Table, Text, text

from alchemiscale_prefect.domain.hosts import HostState
from alchemiscale_prefect.store.tables.base import created_at, metadata, one_of

# a host has a row once there is anything to say of it
host = Table(
    "host",
    metadata,
    Column("name", Text, primary_key=True, comment="as its flow runs give it"),
    Column("state", Text, nullable=False, server_default=HostState.healthy.value),
    Column("bans", Integer, nullable=False, server_default=text("0"), comment="in a row"),
    Column("since", DateTime(timezone=True), nullable=True, comment="of the state"),
    Column("until", DateTime(timezone=True), nullable=True, comment="of a ban; none: without an end"),
    Column("banned_by", Text, nullable=True, comment="the operator; none: by itself"),
    Column("reason", Text, nullable=True),
    Column("counts_from", DateTime(timezone=True), nullable=True, comment="failures up to then count no more"),
    # no foreign key: it is only written from a row of the attempt
    Column("probe_task_id", BigInteger, nullable=True, comment="the attempt that it is tried with"),
    Column("probe_n", Integer, nullable=True),
    Column("judged_at", DateTime(timezone=True), nullable=True, comment="when its attempts were last looked at"),
    created_at(),
    one_of("state", HostState),
)
