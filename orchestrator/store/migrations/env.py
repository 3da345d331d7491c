"""Alembic's entry: one transaction for all pending migrations."""

from alembic import context
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

from orchestrator.store.schema import metadata


def run() -> None:
    """Run the migrations of the configured database."""
    url = context.config.get_main_option("sqlalchemy.url")
    if url is None:
        raise RuntimeError("sqlalchemy.url is not set")
    engine = create_engine(url, poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        # SQLite can roll DDL back only if the driver does not commit before it.
        driver.isolation_level = None  # pyright: ignore[reportOptionalMemberAccess]
        context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
        with context.begin_transaction():
            context.run_migrations()


run()
