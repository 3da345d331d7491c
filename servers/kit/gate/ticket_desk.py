"""Where a client that can neither grant nor elicit gets its permission: it comes again later."""

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mcp.types import CallToolResult

from servers.kit.gate import journal, refusals, tickets
from servers.kit.gate.attempts import replayed
from servers.kit.gate.inbox import Approval, Inbox
from servers.kit.gate.journal import Call
from servers.kit.gate.ledger import Ledger
from servers.kit.gate.permit import Need, Permit
from servers.kit.gate.tickets import Ticket, TicketClosed


class TicketDesk:
    """One open ticket for each call; the same call, made again, asks what became of it."""

    def __init__(self, server: str, ledger: Ledger, inbox: Inbox) -> None:
        self._server = server
        self._ledger = ledger
        self._inbox = inbox

    async def present(
        self, call: Call, need: Need, arguments: Mapping[str, Any]
    ) -> Permit | CallToolResult:
        """A permit for what was approved at the terminal, else how things stand.

        What the owner approved in the orchestrator, that runs; its result is stored here. An end
        is told once, then its ticket is closed.
        """
        ticket = await self._ledger.write(_open, call, need, dict(arguments))
        record = await self._ledger.read(journal.record, ticket.call.call_id)
        if record["state"] == "absent":
            return await self._undone(ticket)
        if record["state"] == "started":
            return refusals.in_progress(ticket.call.call_id)
        await self.close(ticket.ticket_id)
        if record["state"] == "unknown":
            return refusals.unknown(ticket.call.call_id)
        return replayed(json.dumps(record["result"]))

    async def close(self, ticket_id: str) -> None:
        """The client knows how its call ended: the next one like it asks anew."""
        await self._ledger.write(tickets.use_up, ticket_id)

    async def _undone(self, ticket: Ticket) -> Permit | CallToolResult:
        note = ""
        if ticket.state == "pending":
            ticket, note = await self._looked_up(ticket)
        call_id = ticket.call.call_id
        match ticket.state:
            case "approved":
                approved = replace(ticket.call, decision="approved", decided_by=ticket.decided_by)
                return Permit(approved, may_pass_limits=True, ticket_id=ticket.ticket_id)
            case "denied":
                await self.close(ticket.ticket_id)
                return refusals.denied(call_id, ticket.decision_reason)
            case "expired" | "used":
                await self.close(ticket.ticket_id)
                return refusals.expired(call_id)
            case "pending":
                return self._pending(ticket, note)

    async def _looked_up(self, ticket: Ticket) -> tuple[Ticket, str]:
        """The ticket with the orchestrator's decision, and what else it says, for the client."""
        if ticket.approval_id is None:
            approval = await self._inbox.submit(ticket)
        else:
            approval = await self._inbox.look_up(ticket.approval_id)
        if approval is None:
            return ticket, ""
        if ticket.approval_id is None and approval.url is not None:
            ticket = await self._ledger.write(_linked, ticket.ticket_id, approval.id, approval.url)
        if approval.state == "approved":
            return ticket, " It is approved and about to run."
        if approval.state in ("denied", "cancelled"):
            return await self._ledger.write(_denied, ticket.ticket_id, approval), ""
        return ticket, ""

    def _pending(self, ticket: Ticket, note: str) -> CallToolResult:
        where = (
            f"The owner can approve it at {ticket.approval_url}"
            if ticket.approval_url is not None
            else "The owner can approve it in a terminal with"
            f" `python -m servers approve {self._server} {ticket.ticket_id}`"
        )
        return refusals.approval_required(
            ticket.call.call_id,
            reason=ticket.reason,
            why=ticket.why,
            how=f"{where}; then make exactly this call again for its result.{note}",
            ticket_id=ticket.ticket_id,
            approval_url=ticket.approval_url,
        )


def _open(conn: sqlite3.Connection, call: Call, need: Need, arguments: Mapping[str, Any]) -> Ticket:
    return tickets.open_ticket(
        conn, call, arguments, reason=need.reason, why=need.why, now_s=time.time()
    )


def _linked(conn: sqlite3.Connection, ticket_id: str, approval_id: str, url: str) -> Ticket:
    tickets.link(conn, ticket_id, approval_id, url)
    return tickets.get(conn, ticket_id)


def _denied(conn: sqlite3.Connection, ticket_id: str, approval: Approval) -> Ticket:
    said = approval.decided_by
    try:
        return tickets.decide(
            conn,
            ticket_id,
            approve=False,
            by=said if said in ("web", "terminal", "api") else "web",
            reason=approval.decision_reason,
            now_s=time.time(),
        )
    except TicketClosed:
        # Decided at the terminal meanwhile: that stands.
        return tickets.get(conn, ticket_id)
