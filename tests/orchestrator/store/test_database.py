"""The writer, the readers and the migrations, on real files."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import IntegrityError, OperationalError

from orchestrator.errors import Conflict, StorageFull
from orchestrator.store.access_schema import owners
from orchestrator.store.database import Database
from orchestrator.store.migrate import migrate
from orchestrator.store.schema import metadata


def add(conn: Connection, name: str) -> str:
    conn.execute(owners.insert(), {"id": name, "name": name, "created_at": "2026"})
    return name


def names(conn: Connection) -> list[str]:
    return list(conn.execute(select(owners.c.name).order_by(owners.c.name)).scalars())


async def test_a_failing_write_undoes_itself_and_nothing_of_its_group(database: Database) -> None:
    async with asyncio.TaskGroup() as group:
        good = [group.create_task(database.write(add, f"good-{n}")) for n in range(10)]
        bad = group.create_task(expect_integrity_error(database))
        more = [group.create_task(database.write(add, f"more-{n}")) for n in range(10)]
    assert [task.result() for task in good] == [f"good-{n}" for n in range(10)]
    assert bad.result()
    assert len(await database.read(names)) == 2 + len(good) + len(more)


async def expect_integrity_error(database: Database) -> bool:
    with pytest.raises(IntegrityError):
        await database.write(add, "ann")
    return True


async def test_a_cancelled_caller_does_not_undo_its_write(database: Database) -> None:
    writing = asyncio.create_task(database.write(add, "kept"))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await database.write(add, "next")
    assert "kept" in await database.read(names)


async def test_readers_cannot_write_and_see_a_snapshot(database: Database) -> None:
    with pytest.raises(OperationalError):
        await database.read(add, "sneaky")
    assert "sneaky" not in await database.read(names)


async def test_every_write_is_on_the_disk(database: Database, tmp_path: Path) -> None:
    def synchronous(conn: Connection) -> int:
        return conn.exec_driver_sql("PRAGMA synchronous").scalar_one()

    assert await database.write(synchronous) == 2
    with closing(sqlite3.connect(tmp_path / "chat_sessions.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


async def test_a_full_disk_is_said_plainly_and_reading_goes_on(database: Database) -> None:
    def shrink(conn: Connection) -> None:
        conn.exec_driver_sql("PRAGMA max_page_count = 1")

    def fill(conn: Connection) -> None:
        conn.execute(owners.insert(), {"id": "big", "name": "x" * 300_000, "created_at": "2026"})

    await database.write(shrink)
    with pytest.raises(StorageFull, match="Free some space"):
        await database.write(fill)
    assert await database.read(names) == ["ann", "bo"]


async def test_close_waits_for_what_was_asked_before(tmp_path: Path) -> None:
    path = tmp_path / "chat_sessions.db"
    migrate(path)
    database = Database(path)
    writes = [asyncio.create_task(database.write(add, f"n{n}")) for n in range(100)]
    await asyncio.sleep(0)
    await database.close()
    assert all(task.done() for task in writes) or await asyncio.wait(writes)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM owners").fetchone()[0] == 100


def test_the_migrations_make_exactly_the_schema(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - slow to import
    from alembic.migration import MigrationContext  # noqa: PLC0415
    from sqlalchemy import create_engine  # noqa: PLC0415

    path = tmp_path / "chat_sessions.db"
    migrate(path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        search = {name for name in inspect(connection).get_table_names() if "_text" in name}
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or name not in search},
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "chat_sessions.db"
    migrate(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(Conflict, match="9999"):
        migrate(path)
    assert path.read_bytes() == before


def test_an_older_file_is_copied_before_it_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "chat_sessions.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("CREATE TABLE keepsake (words TEXT)")
        connection.execute("INSERT INTO keepsake VALUES ('do not lose me')")
    migrate(path)
    copies = list(tmp_path.glob("chat_sessions.db.before-*"))
    assert len(copies) == 1
    with closing(sqlite3.connect(copies[0])) as copy:
        assert copy.execute("SELECT words FROM keepsake").fetchone()[0] == "do not lose me"
