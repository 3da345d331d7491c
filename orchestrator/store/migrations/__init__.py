"""Alembic migrations, run by `orchestrator.store.migrate`."""
