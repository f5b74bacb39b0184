"""Scopes that hold something."""

from sqlalchemy import Column, Identity, Integer, Table, Text, UniqueConstraint

from alchemiscale_prefect.store.tables.base import created_at, metadata

scope = Table(
    "scope",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("org", Text, nullable=False),
    Column("campaign", Text, nullable=False),
    Column("project", Text, nullable=False),
    # "0" (gufe < 1) or "1": keys of one line mean nothing in the other, so a scope holds one
    Column("gufe_line", Text, nullable=True),
    created_at(),
    UniqueConstraint("org", "campaign", "project"),
)
