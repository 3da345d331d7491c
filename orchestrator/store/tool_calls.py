"""Rows of `tool_calls`: each planned before it runs, so that a crash leaves nothing unsaid."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, func, select, update

from orchestrator.domain.chat import RequestedToolCall, ToolCallRecord
from orchestrator.domain.times import now_rfc3339
from orchestrator.domain.tools import Effect, ToolResult, UndoCall
from orchestrator.errors import NotFound
from orchestrator.store import shown_attachments
from orchestrator.store.schema import tool_calls
from orchestrator.store.shown_attachments import ShownFiles

# Statements of every tool call are built once: building costs more than running them.
_INSERT = tool_calls.insert()
_FINISH = (
    update(tool_calls)
    .where(tool_calls.c.owner_id == bindparam("owner"), tool_calls.c.id == bindparam("call"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                *("state", "text", "structured", "error", "duration_ms", "sources", "undo"),
                *("attachments", "effects"),
            )
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
    effects: Mapping[str, Effect | None],
) -> None:
    """Store the calls that the model asked for in one round, before any of them runs.

    `effects` has, by qualified name, what the known tools do; None for those that only read.
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
            "read_only": call.tool in effects and effects[call.tool] is None,
            "effect": effects.get(call.tool),
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


def park(conn: Connection, owner_id: str, tool_call_id: str) -> None:
    """Note that the call did not run after all: it waits for the owner."""
    _update(conn, owner_id, tool_call_id, state="planned", ran_arguments=None)


def change_arguments(
    conn: Connection, owner_id: str, tool_call_id: str, arguments: dict[str, Any]
) -> None:
    """Note what the owner wants to run in place of what the model asked for."""
    _update(conn, owner_id, tool_call_id, ran_arguments=arguments)


def finish(
    conn: Connection,
    owner_id: str,
    tool_call_id: str,
    result: ToolResult,
    duration_ms: int,
    sources: Sequence[str] = (),
    attachment_ids: Sequence[str] = (),
) -> None:
    """Store how a call ended; `sources` say where foreign text in its result came from."""
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
            "new_sources": list(sources),
            "new_undo": asdict(result.undo) if result.undo else None,
            "new_attachments": list(attachment_ids),
            "new_effects": result.effects,
        },
    )


def of_turn(conn: Connection, owner_id: str, turn_id: str) -> list[ToolCallRecord]:
    """Return the calls of a turn in the order they were asked for."""
    rows = conn.execute(
        select(tool_calls)
        .where(tool_calls.c.owner_id == owner_id, tool_calls.c.turn_id == turn_id)
        .order_by(tool_calls.c.round, tool_calls.c.id)
    ).all()
    files = shown_attachments.find(conn, owner_id, (id_ for row in rows for id_ in row.attachments))
    return [record_of(row, files) for row in rows]


def rounds_of_turn(conn: Connection, owner_id: str, turn_id: str) -> int:
    """Return the number of the last round that called tools; 0 without any."""
    return conn.execute(
        select(func.coalesce(func.max(tool_calls.c.round), 0)).where(
            tool_calls.c.owner_id == owner_id, tool_calls.c.turn_id == turn_id
        )
    ).scalar_one()


def get(conn: Connection, owner_id: str, tool_call_id: str) -> ToolCallRecord:
    """Return the call. Raises NotFound."""
    row = _row(conn, owner_id, tool_call_id)
    return record_of(row, shown_attachments.find(conn, owner_id, row.attachments))


def undo_of(conn: Connection, owner_id: str, tool_call_id: str) -> UndoCall | None:
    """Return the call that reverses this one, where its server named one. Raises NotFound."""
    undo = _row(conn, owner_id, tool_call_id).undo
    return UndoCall(**undo) if undo else None


def note_undone(conn: Connection, owner_id: str, tool_call_id: str) -> None:
    """Note that the call was reversed; the first time counts."""
    conn.execute(
        update(tool_calls)
        .where(_is(owner_id, tool_call_id), tool_calls.c.undone_at.is_(None))
        .values(undone_at=now_rfc3339())
    )


def record_of(row: Row[Any], files: ShownFiles, prefix: str = "") -> ToolCallRecord:
    """Return the record in `row`, whose columns carry `prefix`; `files` has those it names."""
    state, undone_at = getattr(row, prefix + "state"), getattr(row, prefix + "undone_at")
    has_undo = getattr(row, prefix + "undo") is not None
    return ToolCallRecord(
        tool_call_id=getattr(row, prefix + "id"),
        tool=getattr(row, prefix + "tool"),
        server=getattr(row, prefix + "server"),
        arguments=getattr(row, prefix + "arguments"),
        state=state,
        read_only=getattr(row, prefix + "read_only"),
        text=getattr(row, prefix + "text"),
        structured=getattr(row, prefix + "structured"),
        error=getattr(row, prefix + "error"),
        started_at=getattr(row, prefix + "started_at"),
        duration_ms=getattr(row, prefix + "duration_ms"),
        ran_arguments=getattr(row, prefix + "ran_arguments"),
        effect=getattr(row, prefix + "effect"),
        effects=getattr(row, prefix + "effects"),
        sources=getattr(row, prefix + "sources"),
        undoable=state == "done" and has_undo and undone_at is None,
        undone_at=undone_at,
        attachments=shown_attachments.pick(files, getattr(row, prefix + "attachments")),
    )


def _row(conn: Connection, owner_id: str, tool_call_id: str) -> Row[Any]:
    row = conn.execute(select(tool_calls).where(_is(owner_id, tool_call_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no tool call {tool_call_id!r}.")
    return row


def _update(conn: Connection, owner_id: str, tool_call_id: str, **values: Any) -> None:
    conn.execute(update(tool_calls).where(_is(owner_id, tool_call_id)).values(**values))


def _is(owner_id: str, tool_call_id: str) -> ColumnElement[bool]:
    return and_(tool_calls.c.owner_id == owner_id, tool_calls.c.id == tool_call_id)
