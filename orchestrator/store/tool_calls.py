"""Rows of `tool_calls`: each planned before it runs, so that a crash leaves nothing unsaid."""

import hashlib
import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from orchestrator.domain.chat import RequestedToolCall, ToolCallRecord
from orchestrator.domain.times import now_rfc3339
from orchestrator.domain.tools import ToolResult
from orchestrator.store.schema import tool_calls

# Statements of every tool call are built once: building costs more than running them.
_INSERT = tool_calls.insert()
_FINISH = (
    update(tool_calls)
    .where(tool_calls.c.owner_id == bindparam("owner"), tool_calls.c.id == bindparam("call"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in ("state", "text", "structured", "error", "duration_ms")
        }
    )
)


def arguments_hash(arguments: dict[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON text of `arguments`."""
    text = json.dumps(arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def plan(
    conn: Connection,
    owner_id: str,
    *,
    session_id: str,
    turn_id: str,
    round_number: int,
    requested: list[RequestedToolCall],
    read_only: Collection[str],
) -> None:
    """Store the calls that the model asked for in one round, before any of them runs.

    `read_only` holds the qualified names of the tools that change nothing.
    """
    rows = [
        {
            "id": call.tool_call_id,
            "owner_id": owner_id,
            "session_id": session_id,
            "turn_id": turn_id,
            "round": round_number,
            "tool": call.tool,
            "server": call.server,
            "arguments": call.arguments,
            "arguments_hash": arguments_hash(call.arguments),
            "read_only": call.tool in read_only,
            "state": "planned",
            "text": "",
        }
        for call in requested
    ]
    if rows:
        conn.execute(_INSERT, rows)


def start(conn: Connection, owner_id: str, tool_call_ids: list[str]) -> None:
    """Note that the calls are about to be sent to their servers."""
    conn.execute(
        update(tool_calls)
        .where(tool_calls.c.owner_id == owner_id, tool_calls.c.id.in_(tool_call_ids))
        .values(state="started", started_at=now_rfc3339())
    )


def finish(
    conn: Connection, owner_id: str, tool_call_id: str, result: ToolResult, duration_ms: int
) -> None:
    """Store how a call ended."""
    conn.execute(
        _FINISH,
        {
            "owner": owner_id,
            "call": tool_call_id,
            "new_state": result.status,
            "new_text": result.text,
            "new_structured": result.structured,
            "new_error": result.error,
            "new_duration_ms": duration_ms,
        },
    )


def of_turn(conn: Connection, owner_id: str, turn_id: str) -> list[ToolCallRecord]:
    """Return the calls of a turn in the order they were asked for."""
    rows = conn.execute(
        select(tool_calls)
        .where(tool_calls.c.owner_id == owner_id, tool_calls.c.turn_id == turn_id)
        .order_by(tool_calls.c.round, tool_calls.c.id)
    )
    return [record_of(row) for row in rows]


def record_of(row: Row[Any], prefix: str = "") -> ToolCallRecord:
    """Return the record in `row`, whose columns carry `prefix`."""
    return ToolCallRecord(
        tool_call_id=getattr(row, prefix + "id"),
        tool=getattr(row, prefix + "tool"),
        server=getattr(row, prefix + "server"),
        arguments=getattr(row, prefix + "arguments"),
        state=getattr(row, prefix + "state"),
        read_only=getattr(row, prefix + "read_only"),
        text=getattr(row, prefix + "text"),
        structured=getattr(row, prefix + "structured"),
        error=getattr(row, prefix + "error"),
        started_at=getattr(row, prefix + "started_at"),
        duration_ms=getattr(row, prefix + "duration_ms"),
    )
