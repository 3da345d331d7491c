"""Approvals at the terminal, for owners without an orchestrator."""

import asyncio
import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar, TypeVarTuple

from servers.kit.gate import tickets
from servers.kit.gate.ledger import Ledger, ledger_file
from servers.kit.gate.tickets import Ticket, TicketClosed
from servers.kit.gate.wording import one_line, previewed, readable, visible
from servers.kit.manifest import Manifest
from servers.kit.settings import KitSettings

ALL_CHARS = sys.maxsize
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class NotDecided(Exception):
    """Nothing was decided; the message says why."""


def waiting_approvals(manifest: Manifest, settings: KitSettings) -> str:
    """What waits for the owner, in words. Raises LedgerUnavailable."""
    found: list[Ticket] = []
    if (settings.data_dir / ledger_file(manifest.name)).exists():
        found = _in_ledger(manifest, settings, tickets.pending, time.time())
    if not found:
        return "Nothing waits for you."
    return "\n\n".join(_described(manifest, ticket) for ticket in found)


def decide_in_terminal(
    manifest: Manifest,
    settings: KitSettings,
    ticket_id: str,
    *,
    approve: bool,
    reason: str | None,
) -> str:
    """Shows the whole call, asks, and says what was decided.

    Raises NotDecided when no person sits at the terminal, or says no, or there is nothing to
    decide; and LedgerUnavailable.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NotDecided("A person has to decide: run this in a terminal.")
    verb = "Approve" if approve else "Deny"
    try:
        ticket = _in_ledger(manifest, settings, tickets.get, ticket_id)
        answer = input(f"{_described(manifest, ticket)}\n\n{verb}? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            raise NotDecided("Nothing was decided: it still waits.")
        _in_ledger(manifest, settings, _decide, ticket_id, approve, reason)
    except (LookupError, TicketClosed) as error:
        raise NotDecided(str(error.args[0])) from error
    if approve:
        return "Approved: it runs when its client makes the same call again."
    return "Denied: its client is told when it makes the same call again."


def _decide(conn: sqlite3.Connection, ticket_id: str, approve: bool, reason: str | None) -> Ticket:
    return tickets.decide(
        conn, ticket_id, approve=approve, by="terminal", reason=reason, now_s=time.time()
    )


def _in_ledger(
    manifest: Manifest,
    settings: KitSettings,
    work: Callable[[sqlite3.Connection, *Ts], R],
    *args: *Ts,
) -> R:
    async def run() -> R:
        async with Ledger(settings.data_dir / ledger_file(manifest.name)) as ledger:
            return await ledger.write(work, *args)

    return asyncio.run(run())


def _described(manifest: Manifest, ticket: Ticket) -> str:
    call = ticket.call
    expires = datetime.fromtimestamp(ticket.expires_at).astimezone()
    known = manifest.tools.get(call.tool)
    is_undoable = known is not None and known.undo is not None
    return "\n".join(
        [
            f"{ticket.ticket_id}: {visible(call.tool)}, asked for by {one_line(call.client)}",
            *([f"Account: {one_line(call.account)}"] if call.account is not None else []),
            *readable(ticket.arguments, ALL_CHARS),
            *previewed(ticket.preview),
            "It can be undone." if is_undoable else "It cannot be undone.",
            f"{ticket.why} It waits until {expires:%Y-%m-%d %H:%M}.",
        ]
    )
