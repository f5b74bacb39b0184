"""Work pools, as their dispatchers saw them last: the API, which explains the queue, does not ask Prefect."""

from sqlalchemy import Boolean, Column, DateTime, Integer, Table, Text

from alchemiscale_prefect.store.tables.base import metadata

work_pool = Table(
    "work_pool",
    metadata,
    Column("name", Text, primary_key=True),
    Column("buffer", Integer, nullable=False),
    Column("max_in_flight", Integer, nullable=False),
    Column("slots", Integer, nullable=True, comment="what limits leave room for; none: there is no limit"),
    Column("paused", Boolean, nullable=True, comment="none: Prefect was not asked yet"),
    Column("workers_online", Boolean, nullable=True, comment="none: Prefect does not say"),
    Column("heard_at", DateTime(timezone=True), nullable=False, comment="when a dispatcher had made a whole pass"),
    Column("heard_until", DateTime(timezone=True), nullable=False, comment="who is silent for longer is away"),
)
