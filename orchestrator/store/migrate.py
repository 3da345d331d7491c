"""Bring the database file to the newest schema, after copying it.

Alembic is imported only when there is something to migrate: it costs 0.3 s at every start.
"""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from orchestrator.errors import Conflict

logger = logging.getLogger(__name__)

_SCRIPTS = Path(__file__).parent / "migrations"


def migrate(path: Path) -> None:
    """Create or upgrade the database at `path`.

    An existing file is copied to `<name>.before-<revision>` first. Raises Conflict when the file
    was written by a newer Flotilla, or when it is not sound.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    newest, known = known_revisions()
    present = _present_revision(path)
    if present == newest:
        return
    if present is not None and present not in known:
        raise Conflict(
            f"{path.name} has schema {present!r}, which this version does not know. "
            "Run the newer Flotilla that wrote it, or restore a backup."
        )
    if path.exists():
        _copy(path, path.with_name(f"{path.name}.before-{newest}"))
    logger.info("database_migrating path=%s from=%s to=%s", path, present, newest)
    _upgrade(path)


def known_revisions() -> tuple[str, set[str]]:
    """Return the newest revision and all of them: the four digits their file names start with."""
    revisions = sorted(file.name[:4] for file in (_SCRIPTS / "versions").glob("[0-9]*.py"))
    return revisions[-1], set(revisions)


def _present_revision(path: Path) -> str | None:
    if not path.exists():
        return None
    with closing(sqlite3.connect(path)) as connection:
        table = connection.execute(
            "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
        ).fetchone()
        if table is None:
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return row[0] if row else None


def _copy(path: Path, target: Path) -> None:
    with closing(sqlite3.connect(path)) as source:
        verdict = source.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise Conflict(
                f"{path.name} is damaged ({verdict}). Restore a backup before upgrading."
            )
        with closing(sqlite3.connect(target)) as copy:
            source.backup(copy)


def _upgrade(path: Path) -> None:
    from alembic import command  # noqa: PLC0415 - see the module docstring
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}".replace("%", "%%"))
    command.upgrade(config, "head")
