"""The file: its rights, its transactions, its thread, and what happens when it cannot be used."""

import asyncio
import fcntl
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from servers.kit import database
from servers.kit.gate.ledger import Ledger, LedgerUnavailable, ledger_file


def _insert(conn: sqlite3.Connection, position: int, text: str = "x") -> None:
    conn.execute("INSERT INTO audit VALUES (?, ?, 'h')", (position, text))


def _count(conn: sqlite3.Connection) -> int:
    return conn.execute("SELECT COUNT(*) FROM audit").fetchone()[0]


def _synchronous(conn: sqlite3.Connection) -> int:
    return conn.execute("PRAGMA synchronous").fetchone()[0]


async def test_only_its_owner_may_read_it(ledger: Ledger, ledger_path: Path) -> None:
    await ledger.write(_insert, 1)
    files = {path.name: path.stat().st_mode & 0o777 for path in ledger_path.parent.iterdir()}

    assert ledger_path.parent.stat().st_mode & 0o777 == 0o700
    assert {"gate.db", "gate.db-wal", "gate.db.lock"} <= files.keys()
    assert set(files.values()) == {0o600}
    assert ledger_file("mail") == Path("servers", "mail", "gate.db")


async def test_what_was_written_is_there_after_reopening(ledger_path: Path) -> None:
    async with Ledger(ledger_path) as first:
        await first.write(_insert, 1)
    async with Ledger(ledger_path) as second:
        assert await second.read(_count) == 1


async def test_a_durable_write_is_synced_and_another_is_not(ledger: Ledger) -> None:
    full, normal = 2, 1

    assert await ledger.write(_synchronous) == full
    assert await ledger.write(_synchronous, durable=False) == normal
    assert await ledger.write(_synchronous) == full


async def test_a_change_that_fails_leaves_nothing(ledger: Ledger) -> None:
    def half(conn: sqlite3.Connection) -> None:
        _insert(conn, 1)
        raise LookupError("half way")

    with pytest.raises(LookupError, match="half way"):
        await ledger.write(half)

    assert await ledger.read(_count) == 0
    await ledger.write(_insert, 1)


async def test_a_fault_in_sql_is_not_taken_for_a_fault_of_the_disk(ledger: Ledger) -> None:
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        await ledger.read(lambda conn: conn.execute("SELECT * FROM nowhere"))
    await ledger.write(_insert, 1)
    with pytest.raises(sqlite3.IntegrityError):
        await ledger.write(_insert, 1)


async def test_the_event_loop_runs_on_while_the_file_is_locked(
    ledger: Ledger, ledger_path: Path
) -> None:
    lock = os.open(ledger_path.with_name("gate.db.lock"), os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    waiting = asyncio.create_task(ledger.write(_insert, 1))

    for _ in range(100):
        await asyncio.sleep(0)
    assert not waiting.done()
    os.close(lock)
    await waiting

    assert await ledger.read(_count) == 1


async def test_a_lock_that_is_never_given_back_is_reported(
    ledger: Ledger, ledger_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_PATIENCE_S", 0.0)
    lock = os.open(ledger_path.with_name("gate.db.lock"), os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)

    with pytest.raises(LedgerUnavailable, match="held by another process"):
        await ledger.write(_insert, 1)
    os.close(lock)


async def test_a_write_ends_although_its_caller_is_cancelled(ledger: Ledger) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(conn: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait()
        _insert(conn, 1)

    running = asyncio.create_task(ledger.write(slow))
    queued = asyncio.create_task(ledger.write(_insert, 2))
    await asyncio.to_thread(begun.wait)
    running.cancel()
    queued.cancel()
    go_on.set()

    assert await ledger.read(_count) == 2
    for task in (running, queued):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_full_disk_refuses_the_change_and_keeps_the_rest(ledger: Ledger) -> None:
    await ledger.write(_insert, 1)
    pages = await ledger.read(lambda conn: conn.execute("PRAGMA page_count").fetchone()[0])
    await ledger.write(lambda conn: conn.execute(f"PRAGMA max_page_count = {pages}").fetchall())

    with pytest.raises(LedgerUnavailable, match="The disk is full"):
        await ledger.write(_insert, 2, "x" * 100_000)

    assert await ledger.read(_count) == 1
    await ledger.write(lambda conn: conn.execute("PRAGMA max_page_count = 100000").fetchall())
    await ledger.write(_insert, 2)


async def test_a_file_that_may_not_be_written_is_reported(ledger: Ledger) -> None:
    await ledger.read(lambda conn: conn.execute("PRAGMA query_only = ON").fetchall())

    with pytest.raises(LedgerUnavailable, match="cannot be written: check the owner"):
        await ledger.write(_insert, 1)


async def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "servers").write_text("a file", encoding="utf-8")

    with pytest.raises(LedgerUnavailable, match="check the folder"):
        async with Ledger(tmp_path / "servers" / "mail" / "gate.db"):
            pass


async def test_a_file_that_is_no_ledger_is_reported_and_kept(ledger_path: Path) -> None:
    ledger_path.parent.mkdir(parents=True)
    ledger_path.write_bytes(b"not a database" * 100)

    with pytest.raises(LedgerUnavailable, match="damaged: put a backup"):
        async with Ledger(ledger_path):
            pass

    assert ledger_path.read_bytes() == b"not a database" * 100


async def test_a_file_of_a_newer_program_is_left_alone(ledger_path: Path) -> None:
    async with Ledger(ledger_path) as ledger:
        await ledger.write(lambda conn: conn.execute("PRAGMA user_version = 99"))

    with pytest.raises(LedgerUnavailable, match="newer Flotilla"):
        async with Ledger(ledger_path):
            pass


async def test_a_ledger_that_failed_to_open_gives_its_files_back(ledger_path: Path) -> None:
    async with Ledger(ledger_path) as ledger:
        await ledger.write(lambda conn: conn.execute("PRAGMA user_version = 99"))
    before = len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(3):
        with pytest.raises(LedgerUnavailable):
            async with Ledger(ledger_path):
                pass

    assert len(list(Path("/proc/self/fd").iterdir())) == before
