"""Deleting a message with all that hangs under it."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import CTE, Connection, Text, cast, delete, or_, select

from orchestrator.errors import Conflict
from orchestrator.store import attachments, branches, sessions
from orchestrator.store.schema import approvals, messages, tool_calls, turns


def prune(conn: Connection, owner_id: str, session_id: str, message_id: str) -> None:
    """Delete the message, its descendants, and the turns, calls and files that go with them.

    Files that another branch shows stay; the others are left to the reaper. When the branch that is
    shown ends here, its next sibling is shown, else its parent. Raises NotFound, and Conflict while
    the session is answering and for the result of a tool.
    """
    session = sessions.get(conn, owner_id, session_id)
    place = branches.place_of(conn, owner_id, session_id, message_id)
    if session.running_turn_id is not None:
        raise Conflict("This chat is still answering. Wait for the answer, or stop it.")
    if place.role == "tool":
        raise Conflict("This is part of an answer: delete the answer.")
    below = branches.subtree(owner_id, session_id, message_id)
    is_shown = session.leaf_message_id in conn.execute(select(below.c.id)).scalars().all()
    files = _files(conn, owner_id, session_id)
    _delete_rows(conn, owner_id, session_id, below)
    for attachment_id in files - _files(conn, owner_id, session_id):
        attachments.discard(conn, owner_id, attachment_id)
    if is_shown:
        leaf = _shown_next(conn, owner_id, session_id, place)
        sessions.move_leaf(conn, owner_id, session_id, leaf)


def _delete_rows(conn: Connection, owner_id: str, session_id: str, below: CTE) -> None:
    """Delete what hangs under the messages first: they are found by them."""
    ids = select(below.c.id)
    requested = select(messages.c.tool_calls).where(messages.c.id.in_(ids))
    calls = [
        call["tool_call_id"] for row in conn.execute(requested).scalars().all() for call in row
    ]
    for table, column in ((approvals, approvals.c.tool_call_id), (tool_calls, tool_calls.c.id)):
        is_of_session = (table.c.owner_id == owner_id, table.c.session_id == session_id)
        conn.execute(delete(table).where(*is_of_session, column.in_(calls)))
    begins = turns.c["user_message_id", "assistant_message_id", "parent_message_id"]
    is_over = or_(*(column.in_(ids) for column in begins))
    is_here = (turns.c.owner_id == owner_id, turns.c.session_id == session_id)
    conn.execute(delete(turns).where(*is_here, is_over))
    conn.execute(delete(messages).where(messages.c.owner_id == owner_id, messages.c.id.in_(ids)))


def _files(conn: Connection, owner_id: str, session_id: str) -> set[str]:
    """Return the ids of the files that the session shows on any branch."""
    return {
        attachment_id
        for table in (messages, tool_calls)
        for ids in _lists(conn, owner_id, session_id, table)
        for attachment_id in ids
    }


def _lists(conn: Connection, owner_id: str, session_id: str, table: Any) -> Iterable[list[str]]:
    return conn.execute(
        select(table.c.attachments).where(
            table.c.owner_id == owner_id,
            table.c.session_id == session_id,
            cast(table.c.attachments, Text) != "[]",
        )
    ).scalars()


def _shown_next(
    conn: Connection, owner_id: str, session_id: str, gone: branches.Place
) -> str | None:
    sibling = branches.newest_child(conn, owner_id, session_id, gone.parent_id)
    if sibling is None:
        return gone.parent_id
    return branches.last_shown_leaf(conn, owner_id, session_id, sibling)
