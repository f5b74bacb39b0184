"""What Alembic runs: our migrations on the connection it is given."""

from alembic import context

from alchemiscale_prefect.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, compare_server_default=True
)
with context.begin_transaction():
    context.run_migrations()
