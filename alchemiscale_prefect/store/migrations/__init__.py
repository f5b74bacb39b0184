"""Alembic migrations of the tables in `store.tables`."""
