"""The tables of a server's accounts, and what is asked of them."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from servers.kit.database import make_tables

MAX_SIGN_INS = 100
"""As many may be under way; of more, the oldest are forgotten."""

_TABLES = (
    # `secret` is encrypted anew with each change: who has it has seen the row as it is.
    """CREATE TABLE accounts (
        account TEXT PRIMARY KEY,
        secret BLOB NOT NULL,
        scopes TEXT NOT NULL,
        expires_at REAL NOT NULL,
        works_until REAL,
        ended_because TEXT,
        signed_in_at REAL NOT NULL,
        last_refresh_at REAL,
        is_default INTEGER NOT NULL
    ) STRICT""",
    "CREATE UNIQUE INDEX one_default ON accounts (is_default) WHERE is_default = 1",
    """CREATE TABLE sign_ins (
        state_digest TEXT PRIMARY KEY,
        secret BLOB NOT NULL,
        phase TEXT NOT NULL CHECK (phase IN ('waiting', 'exchanging', 'done', 'refused')),
        expires_at REAL NOT NULL
    ) STRICT""",
)
_COLUMNS = """account, secret, scopes, expires_at, works_until, ended_because, signed_in_at,
    last_refresh_at, is_default"""

Phase = Literal["waiting", "exchanging", "done", "refused"]


@dataclass(frozen=True, slots=True)
class Row:
    """An account somebody signed in to; times in seconds since the epoch."""

    account: str
    secret: bytes = field(repr=False)
    """Its tokens, encrypted."""
    scopes: frozenset[str]
    expires_at: float
    """When the access token ends."""
    works_until: float | None
    ended_because: str | None
    """Why the provider takes its tokens no more; None while it does."""
    signed_in_at: float
    last_refresh_at: float | None
    is_default: bool


def prepare(conn: sqlite3.Connection) -> None:
    """Makes the tables in an empty file. Raises NewerSchema."""
    make_tables(conn, _TABLES)


def rows(conn: sqlite3.Connection) -> list[Row]:
    """All accounts, the default first, then as they were signed in to."""
    found = conn.execute(
        f"SELECT {_COLUMNS} FROM accounts ORDER BY is_default DESC, signed_in_at, account"  # noqa: S608, own text
    )
    return [_row(values) for values in found]


def row(conn: sqlite3.Connection, account: str) -> Row | None:
    """One account."""
    found = conn.execute(
        f"SELECT {_COLUMNS} FROM accounts WHERE account = ?",  # noqa: S608, own text
        (account,),
    ).fetchone()
    return None if found is None else _row(found)


def put_signed_in(
    conn: sqlite3.Connection,
    account: str,
    secret: bytes,
    *,
    scopes: Iterable[str],
    expires_at: float,
    works_until: float | None,
    now_s: float,
) -> None:
    """Keeps an account, in place of what was known of it; the first one becomes the default."""
    conn.execute(
        "INSERT INTO accounts (account, secret, scopes, expires_at, works_until, signed_in_at,"
        " is_default) VALUES (?, ?, ?, ?, ?, ?,"
        " NOT EXISTS (SELECT 1 FROM accounts WHERE is_default = 1))"
        " ON CONFLICT (account) DO UPDATE SET secret = excluded.secret, scopes = excluded.scopes,"
        " expires_at = excluded.expires_at, works_until = excluded.works_until,"
        " signed_in_at = excluded.signed_in_at, ended_because = NULL, last_refresh_at = NULL",
        (account, secret, json.dumps(sorted(scopes)), expires_at, works_until, now_s),
    )


def renew(
    conn: sqlite3.Connection,
    seen: Row,
    secret: bytes,
    *,
    scopes: Iterable[str],
    expires_at: float,
    works_until: float | None,
    now_s: float,
) -> bool:
    """Keeps new tokens, unless the row changed since it was seen; says whether it did."""
    return bool(
        conn.execute(
            "UPDATE accounts SET secret = ?, scopes = ?, expires_at = ?, works_until = ?,"
            " last_refresh_at = ?, ended_because = NULL WHERE account = ? AND secret = ?",
            (
                secret,
                json.dumps(sorted(scopes)),
                expires_at,
                works_until,
                now_s,
                seen.account,
                seen.secret,
            ),
        ).rowcount
    )


def end(conn: sqlite3.Connection, seen: Row, because: str) -> None:
    """Notes that the tokens work no more, unless the row changed since it was seen."""
    conn.execute(
        "UPDATE accounts SET ended_because = ? WHERE account = ? AND secret = ?",
        (because, seen.account, seen.secret),
    )


def make_default(conn: sqlite3.Connection, account: str) -> bool:
    """Makes it the account that is used when none is named; False when there is none such."""
    if row(conn, account) is None:
        return False
    conn.execute("UPDATE accounts SET is_default = 0 WHERE account <> ?", (account,))
    conn.execute("UPDATE accounts SET is_default = 1 WHERE account = ?", (account,))
    return True


def forget(conn: sqlite3.Connection, account: str) -> None:
    """Deletes an account; if it was the default, the one signed in to first becomes it."""
    conn.execute("DELETE FROM accounts WHERE account = ?", (account,))
    conn.execute(
        "UPDATE accounts SET is_default = 1 WHERE account ="
        " (SELECT account FROM accounts ORDER BY is_default DESC, signed_in_at, account LIMIT 1)"
    )


def add_sign_in(
    conn: sqlite3.Connection, digest: str, secret: bytes, expires_at: float, now_s: float
) -> None:
    """Keeps a sign-in that waits for its person."""
    conn.execute("DELETE FROM sign_ins WHERE expires_at <= ?", (now_s,))
    conn.execute(
        "DELETE FROM sign_ins WHERE state_digest NOT IN"
        " (SELECT state_digest FROM sign_ins ORDER BY expires_at DESC LIMIT ?)",
        (MAX_SIGN_INS - 1,),
    )
    conn.execute(
        "INSERT INTO sign_ins VALUES (?, ?, 'waiting', ?)",
        (digest, secret, expires_at),
    )


def take_sign_in(conn: sqlite3.Connection, digest: str, now_s: float) -> tuple[Phase, bytes] | None:
    """The sign-in of that state and its phase before; one that waited is `exchanging` from now."""
    found = conn.execute(
        "SELECT phase, secret FROM sign_ins WHERE state_digest = ? AND expires_at > ?",
        (digest, now_s),
    ).fetchone()
    conn.execute(
        "UPDATE sign_ins SET phase = 'exchanging' WHERE state_digest = ? AND phase = 'waiting'",
        (digest,),
    )
    return found


def set_phase(conn: sqlite3.Connection, digest: str, phase: Phase) -> None:
    """Notes how a sign-in stands; what has ended keeps no secret."""
    conn.execute(
        "UPDATE sign_ins SET phase = ?, secret = CASE WHEN ? = 'waiting' THEN secret ELSE x'' END"
        " WHERE state_digest = ?",
        (phase, phase, digest),
    )


def _row(values: tuple[Any, ...]) -> Row:
    account, secret, scopes, *rest, is_default = values
    expires_at, works_until, ended_because, signed_in_at, last_refresh_at = rest
    return Row(
        account,
        secret,
        frozenset(json.loads(scopes)),
        expires_at,
        works_until,
        ended_because,
        signed_in_at,
        last_refresh_at,
        bool(is_default),
    )
