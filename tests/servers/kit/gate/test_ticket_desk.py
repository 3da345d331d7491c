"""What a client is told whose call the orchestrator begins to run at that very moment."""

import sqlite3
from typing import Any

import pytest

from servers.kit.gate import journal, ticket_desk, tickets
from servers.kit.gate.inbox import Approval, Inbox
from servers.kit.gate.ledger import Ledger
from servers.kit.gate.permit import Need
from servers.kit.gate.ticket_desk import CHANGED, TicketDesk
from servers.kit.manifest import Manifest
from servers.kit.settings import KitSettings
from tests.servers.kit.gate.calls import NOW_S, a_call, begin

RESULT = '{"content": [{"type": "text", "text": "Sent."}]}'


class ApprovedInbox(Inbox):
    """The orchestrator has the owner's yes."""

    def __init__(self) -> None:
        tool = {"send": {"labels": ["write", "egress"], "level": 3}}
        fields = {"title": "Mail", "description": "Mail.", "port": 9999, "tier": "bronze"}
        manifest = Manifest.model_validate({"name": "mail", **fields, "tools": tool})
        super().__init__(manifest, KitSettings())

    async def submit(self, ticket: tickets.Ticket) -> Approval:
        return Approval(id="appr_1", state="approved", url="http://127.0.0.1/approvals/appr_1")


async def test_a_changed_call_that_begins_between_two_looks_is_told_as_changed(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = a_call("call_1", decision="not_needed", decided_by=None)
    take_over = ticket_desk._taken_over

    def after_the_orchestrator(conn: sqlite3.Connection, *args: Any) -> tickets.Ticket:
        changed = a_call("call_1", hash="cd" * 32)
        assert isinstance(begin(conn, changed, ledger.process), journal.Begun)
        tickets.note_approval(conn, "call_1", "web")
        journal.finish(conn, "call_1", "done", RESULT, NOW_S)
        return take_over(conn, *args)

    monkeypatch.setattr(ticket_desk, "_taken_over", after_the_orchestrator)
    desk = TicketDesk("mail", ledger, ApprovedInbox())

    told: Any = await desk.present(call, Need("level", "It asks."), {"to": "ada@example.org"})

    assert [block.text for block in told.content] == [CHANGED, "Sent."]
