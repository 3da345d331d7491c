"""The audit trail: append-only rows, each holding the hash of the one before."""

import hashlib
import json
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from orchestrator.domain.times import now_rfc3339
from orchestrator.store.schema import audit

_FIRST = "0" * 64
acting_as: ContextVar[str] = ContextVar("acting_as", default="settings")
"""Who asked for what is being done; `settings` is whoever edited the documents by hand."""
_SEEN = "audit_head_seen"


def append(
    conn: Connection,
    owner_id: str,
    *,
    actor: str,
    action: str,
    subject: str,
    details: dict[str, Any] | None = None,
) -> None:
    """Record that `actor` did `action` to `subject`; `details` holds no content and no secrets."""
    previous = conn.execute(
        select(audit.c.hash)
        .where(audit.c.owner_id == owner_id)
        .order_by(audit.c.position.desc())
        .limit(1)
    ).scalar_one_or_none()
    row = {
        "owner_id": owner_id,
        "at": now_rfc3339(),
        "actor": actor,
        "action": action,
        "subject": subject,
        "details": details or {},
        "previous_hash": previous or _FIRST,
    }
    conn.execute(audit.insert(), {**row, "hash": _hash(row)})


def page(conn: Connection, owner_id: str, before: int | None, limit: int) -> list[RowMapping]:
    """Return rows whose position is below `before`, the newest first, without their owner."""
    query = select(*(column for column in audit.c if column.name != "owner_id"))
    query = query.where(audit.c.owner_id == owner_id)
    if before is not None:
        query = query.where(audit.c.position < before)
    rows = conn.execute(query.order_by(audit.c.position.desc()).limit(limit))
    return list(rows.mappings())


def details_of(
    conn: Connection, owner_id: str, *, action: str, subject: str
) -> dict[str, Any] | None:
    """Return the details of the newest row of that action and subject; None without one."""
    query = select(audit.c.details).where(
        audit.c.owner_id == owner_id, audit.c.action == action, audit.c.subject == subject
    )
    return conn.execute(query.order_by(audit.c.position.desc()).limit(1)).scalar_one_or_none()


def remember_heads(conn: Connection, owner_id: str, heads: Mapping[str, tuple[int, str]]) -> None:
    """Note the newest row (position, hash) that each server of `heads` showed of its own trail.

    Only what is newer than all that was noted before: a trail that became shorter changes nothing.
    """
    seen = heads_seen(conn, owner_id)
    for server, (position, row_hash) in heads.items():
        if position > max(seen.get(server, {0: ""})):
            details = {"position": position, "hash": row_hash}
            append(conn, owner_id, actor=server, action=_SEEN, subject=server, details=details)


def heads_seen(conn: Connection, owner_id: str | None = None) -> dict[str, dict[int, str]]:
    """Return for each server the hashes of the rows of its trail that were noted, by position.

    Without an owner, those of all.
    """
    query = select(audit.c.subject, audit.c.details).where(audit.c.action == _SEEN)
    if owner_id is not None:
        query = query.where(audit.c.owner_id == owner_id)
    seen: dict[str, dict[int, str]] = {}
    for server, details in conn.execute(query.order_by(audit.c.position)):
        seen.setdefault(server, {}).setdefault(details["position"], details["hash"])
    return seen


def first_broken_row(conn: Connection, owner_id: str) -> int | None:
    """Return the position of the first row that was changed or follows a removed one."""
    previous = _FIRST
    rows = conn.execute(
        select(audit).where(audit.c.owner_id == owner_id).order_by(audit.c.position)
    ).mappings()
    for row in rows:
        content = {key: row[key] for key in row if key not in {"position", "hash"}}
        if row["previous_hash"] != previous or row["hash"] != _hash(content):
            return row["position"]
        previous = row["hash"]
    return None


def check(conn: Connection) -> tuple[int, int | None]:
    """Return how many rows all owners have, and the position of the first broken one."""
    count = conn.execute(select(func.count()).select_from(audit)).scalar_one()
    owner_ids = conn.execute(select(audit.c.owner_id).distinct()).scalars().all()
    broken = [first_broken_row(conn, owner_id) for owner_id in owner_ids]
    return count, min((position for position in broken if position is not None), default=None)


def _hash(row: dict[str, Any]) -> str:
    text = json.dumps(row, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
