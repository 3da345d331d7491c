"""Deleting a message with all that hangs under it."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import CTE, Connection, Text, cast, delete, or_, select, update

from orchestrator.errors import Conflict
from orchestrator.store import attachments, branches, sessions
from orchestrator.store.schema import approvals, messages, tool_calls, turns


def prune(conn: Connection, owner_id: str, session_id: str, message_id: str) -> None:
    """Delete the message, its descendants, and the turns, calls and files that go with them.

    Files that another branch shows stay; the others are left to the reaper. When the branch that is
    shown ends here, its next sibling is shown, else its parent. Raises NotFound, and Conflict while
    the session is answering and for a part of an answer, whose events tell all of it.
    """
    session = sessions.get(conn, owner_id, session_id)
    place = branches.place_of(conn, owner_id, session_id, message_id)
    if session.running_turn_id is not None:
        raise Conflict("This chat is still answering. Wait for the answer, or stop it.")
    if _is_within_an_answer(conn, owner_id, session_id, place):
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


def _is_within_an_answer(
    conn: Connection, owner_id: str, session_id: str, place: branches.Place
) -> bool:
    if place.parent_id is None or place.turn_id is None or place.role == "user":
        return False
    above = branches.place_of(conn, owner_id, session_id, place.parent_id)
    return above.role != "user" and above.turn_id == place.turn_id


def _delete_rows(conn: Connection, owner_id: str, session_id: str, below: CTE) -> None:
    """Delete what hangs under the messages first: they are found by them."""
    ids = select(below.c.id)
    calls = select(messages.c.tool_call_id).where(messages.c.id.in_(ids))
    for table, column in ((approvals, approvals.c.tool_call_id), (tool_calls, tool_calls.c.id)):
        is_of_session = (table.c.owner_id == owner_id, table.c.session_id == session_id)
        conn.execute(delete(table).where(*is_of_session, column.in_(calls)))
    begins = turns.c["user_message_id", "assistant_message_id", "parent_message_id"]
    is_over = or_(*(column.in_(ids) for column in begins))
    over = (turns.c.owner_id == owner_id, turns.c.session_id == session_id, is_over)
    is_here = (messages.c.owner_id == owner_id, messages.c.session_id == session_id)
    # A question that outlives its answer must not name a turn that is gone.
    left = update(messages).where(*is_here, messages.c.turn_id.in_(select(turns.c.id).where(*over)))
    conn.execute(left.values(turn_id=None))
    conn.execute(delete(turns).where(*over))
    conn.execute(delete(messages).where(*is_here, messages.c.id.in_(ids)))


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
