"""Where a client that can neither grant nor elicit gets its permission: it comes again later."""

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mcp.types import CallToolResult, TextContent

from servers.kit.gate import journal, refusals, tickets
from servers.kit.gate.attempts import replayed
from servers.kit.gate.inbox import Approval, Inbox
from servers.kit.gate.journal import Call
from servers.kit.gate.ledger import Ledger
from servers.kit.gate.liveness import ProcessId
from servers.kit.gate.permit import Need, Permit
from servers.kit.gate.tickets import Ticket

ABOUT_TO_RUN = " It is approved and about to run."
CHANGED = "The owner changed the arguments before approving: this is how the changed call ended."


class TicketDesk:
    """One open ticket for each call; the same call, made again, asks what became of it."""

    def __init__(self, server: str, ledger: Ledger, inbox: Inbox) -> None:
        self._server = server
        self._ledger = ledger
        self._inbox = inbox

    async def knows(self, call: Call) -> bool:
        """Whether this call was asked for before, and its client not yet told the end."""
        return await self._ledger.read(tickets.is_open, call.hash, call.account)

    async def end_of(self, call: Call) -> CallToolResult | None:
        """How the same call ended that was asked for before, told once; None: it did not run.

        Whichever account it was for: its client asked for it in the same words.
        """
        for ticket in await self._ledger.read(tickets.open_of, call.hash):
            if (run := await self._run(ticket)) is not None:
                return run
        return None

    async def present(
        self, call: Call, need: Need, arguments: Mapping[str, Any], preview: str | None = None
    ) -> Permit | CallToolResult:
        """A permit for what was approved at the terminal, else how things stand.

        `preview` is kept where this is the first time that the call is asked for.

        What the owner approved in the orchestrator, that runs; its result is stored here. An end
        is told once, then its ticket is closed.
        """
        ticket = await self._ledger.write(_open, call, need, dict(arguments), preview)
        if (run := await self._run(ticket)) is not None:
            return run
        note = ""
        if ticket.state == "pending" and (approval := await self._asked(ticket)) is not None:
            if approval.state == "approved":
                # Perhaps it ran between our two looks.
                if (run := await self._run(ticket)) is not None:
                    return run
                if approval.outcome is not None:
                    return await self._ended_elsewhere(ticket, approval.outcome)
                note = ABOUT_TO_RUN
            ticket = await self._ledger.write(_taken_over, ticket, approval)
        return await self._standing(ticket, note)

    async def close(self, ticket_id: str) -> None:
        """The client knows how its call ended: the next one like it asks anew."""
        await self._ledger.write(tickets.use_up, ticket_id)

    async def _run(self, ticket: Ticket) -> CallToolResult | None:
        """How the call ended that was asked for; None when it has not begun."""
        call = ticket.call
        found, record = await self._ledger.read(_looked_up, call, self._ledger.process)
        match record["state"]:
            case "absent":
                return None
            case "started":
                return refusals.in_progress(call.call_id)
            case "unknown":
                await self.close(ticket.ticket_id)
                return refusals.unknown(call.call_id)
            case _:
                await self.close(ticket.ticket_id)
        result = replayed(json.dumps(record["result"]))
        if isinstance(found, journal.ArgumentsDiffer):
            result.content = [TextContent(type="text", text=CHANGED), *result.content]
        return result

    async def _ended_elsewhere(
        self, ticket: Ticket, outcome: Mapping[str, object]
    ) -> CallToolResult:
        """What the orchestrator says of a call that this journal does not know."""
        await self.close(ticket.ticket_id)
        if outcome.get("status") == "unknown":
            return refusals.unknown(ticket.call.call_id)
        return refusals.refusal(
            "approval_expired",
            "The owner approved this call, but it could not be run; nothing was done. Calling it"
            " again asks again.",
            call_id=ticket.call.call_id,
        )

    async def _asked(self, ticket: Ticket) -> Approval | None:
        if ticket.approval_id is None:
            return await self._inbox.submit(ticket)
        return await self._inbox.look_up(ticket.approval_id)

    async def _standing(self, ticket: Ticket, note: str) -> Permit | CallToolResult:
        call_id = ticket.call.call_id
        match ticket.state:
            case "approved":
                # Perhaps by the orchestrator, which has begun to run it since our last look.
                if (run := await self._run(ticket)) is not None:
                    return run
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


def _open(
    conn: sqlite3.Connection,
    call: Call,
    need: Need,
    arguments: Mapping[str, Any],
    preview: str | None,
) -> Ticket:
    return tickets.open_ticket(
        conn,
        call,
        arguments,
        reason=need.reason,
        why=need.why,
        now_s=time.time(),
        preview=preview,
    )


def _looked_up(
    conn: sqlite3.Connection, call: Call, process: ProcessId
) -> tuple[journal.Found | None, dict[str, Any]]:
    found = journal.find(conn, call.call_id, call.hash, process)
    return found, journal.record(conn, call.call_id)


def _taken_over(conn: sqlite3.Connection, ticket: Ticket, approval: Approval) -> Ticket:
    """The ticket with what the orchestrator says of it; a decision at the terminal stands."""
    if ticket.approval_id is None and approval.url is not None:
        tickets.link(conn, ticket.ticket_id, approval.id, approval.url)
    ticket = tickets.get(conn, ticket.ticket_id)
    if ticket.state == "pending" and approval.state in ("denied", "cancelled"):
        by = approval.decided_by
        tickets.decide(
            conn,
            ticket.ticket_id,
            approve=False,
            by=by if by in ("web", "terminal", "api") else "web",
            reason=approval.decision_reason,
            now_s=time.time(),
        )
    elif ticket.state == "pending" and approval.state == "expired":
        tickets.expire_one(conn, ticket, time.time())
    return tickets.get(conn, ticket.ticket_id)
