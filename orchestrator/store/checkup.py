"""Looks at the database file of another process without changing anything."""

import time
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import cast

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DatabaseError

from orchestrator.store.access_schema import secrets
from orchestrator.store.database import opened_read_only
from orchestrator.store.migrate import known_revisions
from orchestrator.store.vault import readable_secrets

_STEPS = 100_000
"""Of SQLite's machine, between two looks at the clock: some milliseconds."""


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What was found."""

    size_bytes: int
    revision: str | None
    """None when there is no schema yet."""
    newest: str
    is_known: bool
    """False when a newer Flotilla wrote it."""
    verdict: str | None
    """`ok`, or what SQLite says is damaged; None when the time was up before it knew."""


def examine(path: Path, *, patience_s: float) -> DatabaseState:
    """Return the state of the file at `path`. Raises FileNotFoundError, and DatabaseError."""
    size_bytes = path.stat().st_size
    newest, known = known_revisions()
    with opened_read_only(path) as conn:
        revision = _revision(conn)
        verdict = _verdict(conn, patience_s)
    is_known = revision is None or revision in known
    return DatabaseState(size_bytes, revision, newest, is_known, verdict)


def stored_secrets(path: Path, key_file: Path) -> dict[str, str | None]:
    """Return the secrets in the file at `path`, None for one that the key does not open.

    None of either in a file that is missing or older than secrets. Raises VaultUnusable,
    DatabaseError.
    """
    if not path.exists():
        return {}
    with opened_read_only(path) as conn:
        if not inspect(conn).has_table(secrets.name):
            return {}
        return readable_secrets(conn, key_file)


def _revision(conn: Connection) -> str | None:
    if not inspect(conn).has_table("alembic_version"):
        return None
    return conn.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _verdict(conn: Connection, patience_s: float) -> str | None:
    until_s = time.monotonic() + patience_s
    driver = cast("SqliteConnection", conn.connection.driver_connection)
    driver.set_progress_handler(lambda: time.monotonic() > until_s, _STEPS)
    try:
        return conn.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    except DatabaseError:
        if time.monotonic() <= until_s:
            raise
        return None
