"""Alembic's scripts, run by mirror.store.migrating."""
