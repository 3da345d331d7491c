"""A real, migrated SQLite file per test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.domain.times import now_rfc3339
from orchestrator.store.access_schema import owners
from orchestrator.store.database import Database
from orchestrator.store.migrate import migrate


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    path = tmp_path / "chat_sessions.db"
    migrate(path)
    database = Database(path)
    for name in ("ann", "bo"):
        row = {"id": f"own_{name}", "name": name, "created_at": now_rfc3339()}
        await database.write(lambda conn, row=row: conn.execute(owners.insert(), row) and None)
    yield database
    await database.close()
