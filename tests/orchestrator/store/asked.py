"""Approvals for tests: the fields that matter are given, the others are plausible."""

from typing import Any

from sqlalchemy import Connection

from orchestrator.domain.approvals import Approval
from orchestrator.domain.chat import Turn
from orchestrator.domain.ids import new_id
from orchestrator.domain.times import now_rfc3339
from orchestrator.store import sessions, turns

LATER = "2999-01-01T00:00:00.000Z"


def asked(**fields: Any) -> Approval:
    """A pending approval; of a turn when `turn_id` is given, else of a ticket."""
    plain: dict[str, Any] = {
        "id": new_id("appr"),
        "origin": "turn" if "turn_id" in fields else "client",
        "state": "pending",
        "tool_call_id": new_id("call"),
        "server": "mail",
        "tool": "mail__send",
        "title": "Send a message",
        "arguments": {"to": "ann@example.org", "body": "Hello"},
        "level": 2,
        "effect": "send",
        "reason": "This tool asks before it runs.",
        "client": "web chat",
        "created_at": now_rfc3339(),
        "expires_at": LATER,
    }
    return Approval(**{**plain, **fields})


def running_turn(conn: Connection, owner_id: str, title: str = "Chat") -> tuple[str, str]:
    """Store a session with a running turn; return the ids of both."""
    session = sessions.create(conn, owner_id, title)
    turn = Turn(
        id=new_id("turn"),
        session_id=session.id,
        user_message_id=None,
        assistant_message_id=new_id("msg"),
        state="running",
        model="practice",
        created_at=now_rfc3339(),
    )
    turns.insert(conn, owner_id, turn, client_message_id=None, parent_message_id=None, settings={})
    return session.id, turn.id
