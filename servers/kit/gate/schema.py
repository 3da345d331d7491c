"""The tables of a server's ledger."""

import sqlite3

from servers.kit.database import make_tables

_TABLES = (
    """CREATE TABLE calls (
        call_id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        server TEXT NOT NULL,
        tool TEXT NOT NULL,
        hash TEXT NOT NULL,
        turn_id TEXT,
        client TEXT NOT NULL,
        labels TEXT NOT NULL,
        level INTEGER NOT NULL,
        effect TEXT,
        effects INTEGER NOT NULL,
        taint TEXT NOT NULL,
        grant_id TEXT,
        decision TEXT NOT NULL,
        decided_by TEXT,
        state TEXT NOT NULL CHECK (state IN ('started', 'done', 'failed', 'unknown')),
        result TEXT,
        pid INTEGER NOT NULL,
        process_began TEXT NOT NULL,
        opening TEXT NOT NULL,
        started_at REAL NOT NULL
    ) STRICT""",
    "CREATE UNIQUE INDEX calls_by_grant ON calls (grant_id) WHERE grant_id IS NOT NULL",
    "CREATE INDEX calls_by_turn ON calls (turn_id, effect) WHERE turn_id IS NOT NULL",
    "CREATE INDEX calls_by_effect ON calls (effect, started_at)",
    """CREATE TABLE tickets (
        ticket_id TEXT PRIMARY KEY,
        hash TEXT NOT NULL,
        call TEXT NOT NULL,
        arguments TEXT NOT NULL,
        reason TEXT NOT NULL CHECK (reason IN ('level', 'limit')),
        why TEXT NOT NULL,
        state TEXT NOT NULL
            CHECK (state IN ('pending', 'approved', 'denied', 'expired', 'used')),
        created_at REAL NOT NULL,
        expires_at REAL NOT NULL,
        decided_by TEXT,
        decision_reason TEXT,
        approval_id TEXT,
        approval_url TEXT
    ) STRICT""",
    "CREATE UNIQUE INDEX tickets_by_hash ON tickets (hash) WHERE state <> 'used'",
    """CREATE TABLE audit (
        position INTEGER PRIMARY KEY,
        entry TEXT NOT NULL,
        hash TEXT NOT NULL
    ) STRICT""",
    """CREATE TRIGGER audit_rows_stay_as_they_are BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    """CREATE TRIGGER audit_rows_stay BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
)
_PREVIEWS = ("ALTER TABLE tickets ADD COLUMN preview TEXT",)
_ACCOUNTS = (
    "ALTER TABLE calls ADD COLUMN account TEXT",
    "ALTER TABLE tickets ADD COLUMN account TEXT",
    "DROP INDEX tickets_by_hash",
    """CREATE UNIQUE INDEX tickets_by_call ON tickets (hash, coalesce(account, ''))
        WHERE state <> 'used'""",
)


def prepare(conn: sqlite3.Connection) -> None:
    """Makes the tables in an empty file. Raises NewerSchema."""
    make_tables(conn, _TABLES, _PREVIEWS, _ACCOUNTS)
