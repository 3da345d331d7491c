"""Rows of `messages`: a tree per session; a branch is the path from a leaf to the root."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, Connection, Integer, Row, bindparam, literal, or_, select

from orchestrator.domain.chat import Message, RequestedToolCall
from orchestrator.domain.ids import new_id
from orchestrator.domain.times import now_rfc3339
from orchestrator.store import branches, shown_attachments
from orchestrator.store.schema import messages, tool_calls
from orchestrator.store.shown_attachments import Expiry, ShownFiles
from orchestrator.store.tool_calls import record_of

_EMPTY: dict[str, Any] = {
    "complete": True,
    "reasoning": "",
    "reasoning_ms": None,
    "reasoning_details": [],
    "tool_calls": [],
    "tool_call_id": None,
    "sources": [],
    "attachments": [],
    "imported": False,
}
_CALL_COLUMNS = [column.label(f"call_{column.name}") for column in tool_calls.c]
# Statements of every turn are built once: building costs more than running them.
_INSERT = messages.insert()
_OF_SESSION = (
    select(messages, *_CALL_COLUMNS)
    .outerjoin(tool_calls, tool_calls.c.id == messages.c.tool_call_id)
    .where(messages.c.owner_id == bindparam("owner"), messages.c.session_id == bindparam("session"))
    .order_by(messages.c.position)
)
_ALL = 2**31 - 1


def _path() -> CTE:
    """From `leaf` to the root, at most `limit` messages, but on to one of the owner."""
    is_here = (
        messages.c.owner_id == bindparam("owner"),
        messages.c.session_id == bindparam("session"),
    )
    columns = messages.c["id", "parent_id", "role"]
    begin = select(*columns, literal(1).label("number")).where(
        *is_here, messages.c.id == bindparam("leaf")
    )
    path = begin.cte("path", recursive=True)
    goes_on = or_(path.c.number < bindparam("limit", type_=Integer), path.c.role != "user")
    step = select(*columns, path.c.number + 1).join(path, messages.c.id == path.c.parent_id)
    return path.union_all(step.where(*is_here, goes_on))


_PATH = _path()
_BRANCH = (
    select(messages, *_CALL_COLUMNS)
    .select_from(_PATH)
    .join(messages, messages.c.id == _PATH.c.id)
    .outerjoin(tool_calls, tool_calls.c.id == messages.c.tool_call_id)
    .order_by(_PATH.c.number.desc())
)


def insert_user(
    conn: Connection,
    owner_id: str,
    *,
    message_id: str,
    session_id: str,
    parent_id: str | None,
    turn_id: str,
    text: str,
    attachment_ids: Sequence[str] = (),
) -> None:
    """Store what the owner wrote, and the files that came with it."""
    row = {
        "id": message_id,
        "session_id": session_id,
        "parent_id": parent_id,
        "turn_id": turn_id,
        "role": "user",
        "content": text,
        "attachments": list(attachment_ids),
    }
    _insert(conn, owner_id, row)


def insert_assistant(
    conn: Connection,
    owner_id: str,
    *,
    message_id: str,
    session_id: str,
    parent_id: str | None,
    turn_id: str,
    text: str,
    complete: bool,
    reasoning: str = "",
    reasoning_ms: int | None = None,
    reasoning_details: list[dict[str, Any]] | None = None,
    requested: list[RequestedToolCall] | None = None,
    sources: list[dict[str, Any]] | None = None,
    attachment_ids: Sequence[str] = (),
) -> None:
    """Store what the model answered in one round."""
    row = {
        "id": message_id,
        "session_id": session_id,
        "parent_id": parent_id,
        "turn_id": turn_id,
        "role": "assistant",
        "content": text,
        "complete": complete,
        "reasoning": reasoning,
        "reasoning_ms": reasoning_ms,
        "reasoning_details": reasoning_details or [],
        "tool_calls": [call.model_dump() for call in requested or []],
        "sources": sources or [],
        "attachments": list(attachment_ids),
    }
    _insert(conn, owner_id, row)


def insert_tool_results(
    conn: Connection,
    owner_id: str,
    *,
    session_id: str,
    parent_id: str,
    turn_id: str,
    tool_call_ids: list[str],
) -> str:
    """Store one message per tool call, in order, and return the id of the last.

    Their text lives in `tool_calls`.
    """
    place = {"session_id": session_id, "turn_id": turn_id, "role": "tool", "content": ""}
    for tool_call_id in tool_call_ids:
        row = {"id": new_id("msg"), "parent_id": parent_id, "tool_call_id": tool_call_id, **place}
        _insert(conn, owner_id, row)
        parent_id = row["id"]
    return parent_id


def branch(
    conn: Connection, owner_id: str, session_id: str, leaf_message_id: str | None
) -> list[Message]:
    """Return the path from the root to `leaf_message_id`, oldest first."""
    rows = _branch_rows(conn, owner_id, session_id, leaf_message_id, _ALL)
    return _messages(conn, owner_id, rows)


def page(
    conn: Connection,
    owner_id: str,
    session_id: str,
    leaf_message_id: str | None,
    *,
    limit: int,
    before: str | None = None,
    expiry: Expiry | None = None,
) -> tuple[list[Message], str | None]:
    """Return the newest messages of the branch, oldest first, and the cursor for older ones.

    A page starts with a message of the owner where it can, so it may be longer than `limit`.
    `before` is the cursor that the page after it returned, `expiry` says when files expire.
    Raises NotFound when the cursor is unknown.
    """
    if before is not None:
        leaf_message_id = branches.place_of(conn, owner_id, session_id, before).parent_id
    rows = _branch_rows(conn, owner_id, session_id, leaf_message_id, limit)
    items = _messages(conn, owner_id, rows, expiry)
    versions = branches.versions(conn, owner_id, session_id, items)
    items = [
        item.model_copy(update={"siblings": versions[item.id]}) if item.id in versions else item
        for item in items
    ]
    return items, (items[0].id if items and items[0].parent_id is not None else None)


def of_session(conn: Connection, owner_id: str, session_id: str) -> list[Message]:
    """Return the messages of all branches, each after its parent."""
    here = {"owner": owner_id, "session": session_id}
    return _messages(conn, owner_id, conn.execute(_OF_SESSION, here).all())


def last_of_turn(conn: Connection, owner_id: str, message_id: str, session_id: str) -> str:
    """Return the message that a reply to `message_id` hangs under: the end of its turn's answer.

    For a message of the owner, or of no turn, that is the message itself. Raises NotFound.
    """
    place = branches.place_of(conn, owner_id, session_id, message_id)
    if place.role == "user" or place.turn_id is None:
        return place.id
    below = branches.subtree(owner_id, session_id, message_id)
    return conn.execute(
        select(messages.c.id)
        .join(below, below.c.id == messages.c.id)
        .where(messages.c.turn_id == place.turn_id)
        .order_by(messages.c.position.desc())
        .limit(1)
    ).scalar_one()


def end_of_turn(conn: Connection, owner_id: str, turn_id: str) -> tuple[str | None, set[str], bool]:
    """Return the last message of the turn, the tool calls it answers, and if it has an answer."""
    rows = conn.execute(
        select(messages.c.id, messages.c.role, messages.c.tool_call_id)
        .where(messages.c.owner_id == owner_id, messages.c.turn_id == turn_id)
        .order_by(messages.c.position)
    ).all()
    answered = {row.tool_call_id for row in rows if row.tool_call_id is not None}
    has_answer = any(row.role == "assistant" for row in rows)
    return (rows[-1].id if rows else None), answered, has_answer


def _insert(conn: Connection, owner_id: str, row: dict[str, Any]) -> None:
    conn.execute(_INSERT, {**_EMPTY, **row, "owner_id": owner_id, "created_at": now_rfc3339()})


def _branch_rows(
    conn: Connection, owner_id: str, session_id: str, leaf_message_id: str | None, limit: int
) -> Sequence[Row[Any]]:
    if leaf_message_id is None:
        return []
    start = {"owner": owner_id, "session": session_id, "leaf": leaf_message_id, "limit": limit}
    return conn.execute(_BRANCH, start).all()


def _messages(
    conn: Connection, owner_id: str, rows: Sequence[Row[Any]], expiry: Expiry | None = None
) -> list[Message]:
    ids = [
        attachment_id
        for row in rows
        for attachment_id in (*row.attachments, *(row.call_attachments or ()))
    ]
    files = shown_attachments.find(conn, owner_id, ids, expiry)
    return [_message(row, files) for row in rows]


def _message(row: Row[Any], files: ShownFiles) -> Message:
    return Message(
        id=row.id,
        session_id=row.session_id,
        parent_id=row.parent_id,
        turn_id=row.turn_id,
        role=row.role,
        content=row.content,
        created_at=row.created_at,
        complete=row.complete,
        reasoning=row.reasoning,
        reasoning_ms=row.reasoning_ms,
        reasoning_details=row.reasoning_details,
        tool_calls=row.tool_calls,
        tool_call=record_of(row, files, "call_") if row.tool_call_id else None,
        sources=row.sources,
        attachments=shown_attachments.pick(files, row.attachments),
        imported=row.imported,
    )
