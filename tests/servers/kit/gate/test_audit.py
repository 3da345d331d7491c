"""The audit trail shows when one of its rows was touched."""

import asyncio
import hashlib
import json
import sqlite3
from pathlib import Path

import pytest

from servers.kit.gate import audit
from servers.kit.gate.canonical import canonical_json
from servers.kit.gate.ledger import Ledger
from tests.servers.kit.gate.calls import NOW_S


@pytest.fixture
def trail(conn: sqlite3.Connection) -> sqlite3.Connection:
    """Five rows that somebody with the file in his hands can change."""
    for number in range(1, 6):
        audit.append(conn, {"call_id": f"call_{number}", "taint": ["é"]}, NOW_S + number)
    conn.execute("DROP TRIGGER audit_rows_stay")
    conn.execute("DROP TRIGGER audit_rows_stay_as_they_are")
    return conn


def test_an_untouched_trail_is_whole(trail: sqlite3.Connection) -> None:
    assert audit.first_broken(trail) is None
    assert [row["position"] for row in audit.rows_after(trail, 0, 10)] == [1, 2, 3, 4, 5]


def test_a_changed_row_is_found(trail: sqlite3.Connection) -> None:
    trail.execute("UPDATE audit SET entry = replace(entry, 'call_3', 'call_9') WHERE position = 3")

    assert audit.first_broken(trail) == 3


def test_a_changed_row_with_a_new_hash_is_found_at_the_next_one(trail: sqlite3.Connection) -> None:
    (text,) = trail.execute("SELECT entry FROM audit WHERE position = 3").fetchone()
    forged = text.replace("call_3", "call_9")
    trail.execute(
        "UPDATE audit SET entry = ?, hash = ? WHERE position = 3",
        (forged, hashlib.sha256(forged.encode()).hexdigest()),
    )

    assert audit.first_broken(trail) == 4


@pytest.mark.parametrize(("removed", "found"), [(1, 2), (3, 4)])
def test_a_removed_row_is_found(trail: sqlite3.Connection, removed: int, found: int) -> None:
    trail.execute("DELETE FROM audit WHERE position = ?", (removed,))

    assert audit.first_broken(trail) == found


def test_a_removed_row_is_found_although_the_rest_moved_up(trail: sqlite3.Connection) -> None:
    trail.execute("DELETE FROM audit WHERE position = 3")
    trail.execute("UPDATE audit SET position = position - 1 WHERE position > 3")

    assert audit.first_broken(trail) == 3


def test_rows_in_another_order_are_found(trail: sqlite3.Connection) -> None:
    for old, new in ((2, 99), (3, 2), (99, 3)):
        trail.execute("UPDATE audit SET position = ? WHERE position = ?", (new, old))

    assert audit.first_broken(trail) == 2


@pytest.mark.parametrize("text", ["[", "[]", "{}", "1"])
def test_a_row_that_is_no_entry_is_found(trail: sqlite3.Connection, text: str) -> None:
    hash_ = hashlib.sha256(text.encode()).hexdigest()
    trail.execute("UPDATE audit SET entry = ?, hash = ? WHERE position = 2", (text, hash_))

    assert audit.first_broken(trail) == 2


def test_a_cut_off_end_shows_in_the_head(trail: sqlite3.Connection) -> None:
    before = audit.head(trail)
    trail.execute("DELETE FROM audit WHERE position = 5")

    assert audit.first_broken(trail) is None
    assert audit.head(trail) != before
    assert (before.position, audit.head(trail).position) == (5, 4)


@pytest.mark.parametrize("statement", ["UPDATE audit SET hash = 'x'", "DELETE FROM audit"])
def test_the_program_itself_cannot_change_a_row(conn: sqlite3.Connection, statement: str) -> None:
    audit.append(conn, {"call_id": "call_1"}, NOW_S)

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        conn.execute(statement)


def test_rows_come_in_pages_and_each_can_be_checked_by_its_reader(
    trail: sqlite3.Connection,
) -> None:
    first = audit.rows_after(trail, 0, 2)
    rest = audit.rows_after(trail, 2, 10)

    assert [row["call_id"] for row in first] == ["call_1", "call_2"]
    assert [row["position"] for row in rest] == [3, 4, 5]
    previous = "0" * 64
    for row in json.loads(json.dumps(first + rest)):
        assert row["previous_hash"] == previous
        previous = row.pop("hash")
        assert previous == hashlib.sha256(canonical_json(row)).hexdigest()


def test_an_empty_trail_has_a_head(conn: sqlite3.Connection) -> None:
    assert audit.head(conn) == audit.Head(0, "0" * 64)
    assert audit.rows_after(conn, 0, 10) == []
    assert audit.first_broken(conn) is None


async def test_two_who_write_at_once_share_one_chain(ledger_path: Path) -> None:
    async with Ledger(ledger_path) as left, Ledger(ledger_path) as right:
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                for ledger in (left, right):
                    entry = {"call_id": f"call_{number}"}
                    group.create_task(ledger.write(audit.append, entry, NOW_S, durable=False))

        assert (await left.read(audit.head)).position == 200
        assert await right.read(audit.first_broken) is None
