"""The audit trail: append-only rows, each of which holds the hash of the one before."""

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from servers.kit.gate.canonical import canonical_json

Decision = Literal["not_needed", "approved", "denied", "expired"]
DecidedBy = Literal["web", "terminal", "api", "elicitation", "standing approval", "undo"]
Outcome = Literal["done", "failed", "unknown", "not_run"]

_FIRST = "0" * 64
_APPEND = "INSERT INTO audit (position, entry, hash) VALUES (?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Head:
    """The newest row; position 0 and 64 zeros before the first."""

    position: int
    hash: str


NOTHING = Head(0, _FIRST)
"""The head of a trail without rows."""


def append(conn: sqlite3.Connection, entry: dict[str, Any], now_s: float) -> None:
    """Adds a row with the content of `entry`, inside the caller's transaction."""
    last = head(conn)
    row = {
        **entry,
        "position": last.position + 1,
        "at": _rfc3339(now_s),
        "previous_hash": last.hash,
    }
    text = canonical_json(row)
    conn.execute(_APPEND, (row["position"], text.decode(), hashlib.sha256(text).hexdigest()))


def head(conn: sqlite3.Connection) -> Head:
    """The newest row's position and hash. Who remembers it notices when the end is cut off."""
    row = conn.execute("SELECT position, hash FROM audit ORDER BY position DESC LIMIT 1").fetchone()
    return Head(*row) if row else NOTHING


def rows_after(conn: sqlite3.Connection, after: int, limit: int) -> list[dict[str, Any]]:
    """At most `limit` rows with a position above `after`, oldest first, each with its hash.

    A row's `hash` is the SHA-256 of the canonical JSON of all its other fields.
    """
    rows = conn.execute(
        "SELECT entry, hash FROM audit WHERE position > ? ORDER BY position LIMIT ?", (after, limit)
    )
    return [{**json.loads(entry), "hash": hash_} for entry, hash_ in rows]


def first_broken(conn: sqlite3.Connection) -> int | None:
    """The position of the first row that was changed, moved, or follows a removed one."""
    last = NOTHING
    for position, text, hash_ in conn.execute(
        "SELECT position, entry, hash FROM audit ORDER BY position"
    ):
        if hash_ != _hash(text) or _place(text) != (position, last):
            return position
        last = Head(position, hash_)
    return None


def _place(text: str) -> tuple[int, Head] | None:
    """An entry's position and what it says of the row before; None when it is no entry."""
    try:
        entry = json.loads(text)
        return entry["position"], Head(entry["position"] - 1, entry["previous_hash"])
    except (ValueError, TypeError, KeyError):
        return None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _rfc3339(time_s: float) -> str:
    at = datetime.fromtimestamp(time_s, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
