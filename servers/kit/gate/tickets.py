"""Tickets: approvals a server asks for itself, for clients that can neither grant nor elicit."""

import json
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from servers.kit.gate import audit, journal
from servers.kit.gate.journal import Call
from servers.kit.manifest import Effect

LIFE_S = 72 * 3_600
"""How long an owner has to decide, and a client to come back and run what was approved."""

TicketState = Literal["pending", "approved", "denied", "expired", "used"]
Reason = Literal["level", "limit"]


class TicketClosed(Exception):
    """A ticket cannot be decided so; the message says what became of it."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One call that waits, or waited, for the owner."""

    ticket_id: str
    call: Call
    """Its `call_id` is the one it runs under once it is approved."""
    arguments: dict[str, Any]
    reason: Reason
    why: str
    """A sentence for the owner."""
    state: TicketState
    created_at: float
    expires_at: float
    decided_by: audit.DecidedBy | None
    decision_reason: str | None
    """What the owner said on denying."""
    approval_id: str | None
    """The orchestrator's id of it, once that knows."""
    approval_url: str | None
    preview: str | None
    """What the call would do, in lines for the owner, as it was when it was asked for."""


_COLUMNS = """ticket_id, call, arguments, reason, why, state, created_at, expires_at,
    decided_by, decision_reason, approval_id, approval_url, preview"""
_OPEN = "hash = ? AND state <> 'used'"
_OPEN_FOR = f"{_OPEN} AND account IS ?"


def open_ticket(
    conn: sqlite3.Connection,
    call: Call,
    arguments: Mapping[str, Any],
    *,
    reason: Reason,
    why: str,
    now_s: float,
    preview: str | None = None,
) -> Ticket:
    """The open ticket for exactly this call and account, made when there is none.

    Open is every ticket that is not used up; the same call asked for twice has one.
    """
    if (existing := find(conn, call.hash, now_s, account=call.account)) is not None:
        return existing
    ticket_id = f"ticket_{secrets.token_hex(8)}"
    conn.execute(
        "INSERT INTO tickets (ticket_id, hash, call, arguments, reason, why, state, created_at,"
        " expires_at, preview, account) VALUES (?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?)",
        (
            ticket_id,
            call.hash,
            json.dumps(asdict(call)),
            json.dumps(dict(arguments)),
            reason,
            why,
            now_s,
            now_s + LIFE_S,
            preview,
            call.account,
        ),
    )
    return get(conn, ticket_id)


def find(
    conn: sqlite3.Connection, call_hash: str, now_s: float, *, account: str | None = None
) -> Ticket | None:
    """The open ticket for a call of that hash and account.

    Needs a write: it may have to expire it first.
    """
    expire(conn, now_s)
    return next(iter(_found(conn, _OPEN_FOR, call_hash, account)), None)


def is_open(conn: sqlite3.Connection, call_hash: str, account: str | None) -> bool:
    """Whether there is an open ticket for such a call, even one that has to expire."""
    return bool(_found(conn, _OPEN_FOR, call_hash, account))


def open_of(conn: sqlite3.Connection, call_hash: str) -> list[Ticket]:
    """The open tickets for calls of that hash, one for each account, oldest first."""
    return _found(conn, f"{_OPEN} ORDER BY created_at", call_hash)


def get(conn: sqlite3.Connection, ticket_id: str) -> Ticket:
    """The ticket of that id. Raises LookupError."""
    if not (found := _found(conn, "ticket_id = ?", ticket_id)):
        raise LookupError(f"there is no approval {ticket_id!r}")
    return found[0]


def pending(conn: sqlite3.Connection, now_s: float) -> list[Ticket]:
    """What waits for the owner, oldest first."""
    return _found(conn, "state = 'pending' AND expires_at > ? ORDER BY created_at", now_s)


def decide(
    conn: sqlite3.Connection,
    ticket_id: str,
    *,
    approve: bool,
    by: audit.DecidedBy,
    reason: str | None = None,
    now_s: float,
) -> Ticket:
    """The ticket as decided; a denial has its audit row. The same decision again changes nothing.

    Raises LookupError, and TicketClosed when it was decided otherwise, expired or was used.
    """
    expire(conn, now_s)
    ticket = get(conn, ticket_id)
    state: TicketState = "approved" if approve else "denied"
    if ticket.state == state:
        return ticket
    if ticket.state != "pending":
        by_whom = f" ({ticket.decided_by})" if ticket.decided_by else ""
        raise TicketClosed(f"Approval {ticket_id} is {ticket.state} already{by_whom}.")
    conn.execute(
        "UPDATE tickets SET state = ?, decided_by = ?, decision_reason = ? WHERE ticket_id = ?",
        (state, by, reason, ticket_id),
    )
    decided = get(conn, ticket_id)
    if not approve:
        journal.note_refusal(conn, replace(decided.call, decided_by=by), "denied", now_s)
    return decided


def note_approval(conn: sqlite3.Connection, call_id: str, by: audit.DecidedBy) -> None:
    """Notes that the call a ticket asks for begins with a grant from elsewhere, if there is one."""
    conn.execute(
        "UPDATE tickets SET state = 'approved', decided_by = ?"
        " WHERE state = 'pending' AND json_extract(call, '$.call_id') = ?",
        (by, call_id),
    )


def link(conn: sqlite3.Connection, ticket_id: str, approval_id: str, approval_url: str) -> None:
    """Notes under which id, and where, the orchestrator shows this ticket."""
    conn.execute(
        "UPDATE tickets SET approval_id = ?, approval_url = ? WHERE ticket_id = ?",
        (approval_id, approval_url, ticket_id),
    )


def use_up(conn: sqlite3.Connection, ticket_id: str) -> None:
    """Closes a ticket whose end the client was told: the next such call is a new one."""
    conn.execute("UPDATE tickets SET state = 'used' WHERE ticket_id = ?", (ticket_id,))


def expire(conn: sqlite3.Connection, now_s: float) -> list[str]:
    """Expires tickets nobody decided in time, or that were approved and never run.

    Adds their audit rows and returns their ids.
    """
    rows = conn.execute(
        f"SELECT {_COLUMNS} FROM tickets WHERE expires_at <= ? AND (state = 'pending'"  # noqa: S608
        " OR state = 'approved' AND json_extract(call, '$.call_id') NOT IN"
        " (SELECT call_id FROM calls))",
        (now_s,),
    ).fetchall()
    tickets = [_ticket(row) for row in rows]
    for ticket in tickets:
        expire_one(conn, ticket, now_s)
    return [ticket.ticket_id for ticket in tickets]


def expire_one(conn: sqlite3.Connection, ticket: Ticket, now_s: float) -> None:
    """Expires this ticket, with its audit row: nobody will decide about it any more."""
    conn.execute("UPDATE tickets SET state = 'expired' WHERE ticket_id = ?", (ticket.ticket_id,))
    journal.note_refusal(conn, ticket.call, "expired", now_s)


def purge(conn: sqlite3.Connection, now_s: float) -> None:
    """Forgets tickets that are no longer pending and older than the journal keeps calls."""
    conn.execute(
        "DELETE FROM tickets WHERE state <> 'pending' AND created_at < ?",
        (now_s - journal.KEPT_S,),
    )


def _found(conn: sqlite3.Connection, where: str, *values: str | float | None) -> list[Ticket]:
    rows = conn.execute(f"SELECT {_COLUMNS} FROM tickets WHERE {where}", values)  # noqa: S608, own text
    return [_ticket(row) for row in rows]


def _ticket(row: tuple[Any, ...]) -> Ticket:
    ticket_id, call, arguments, *rest = row
    fields = json.loads(call)
    fields["labels"] = tuple(fields["labels"])
    fields["taint"] = tuple(fields["taint"])
    fields["effect"] = Effect(fields["effect"]) if fields["effect"] else None
    return Ticket(ticket_id, Call(**fields), json.loads(arguments), *rest)
