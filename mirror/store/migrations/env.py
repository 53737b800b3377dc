"""Alembic's entry: it runs on the connection, and in the transaction, that mirror.store.migrating hands over."""

from alembic import context

from mirror.store.columns import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=False
)
context.run_migrations()
