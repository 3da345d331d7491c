"""What only the database in memory is asked: which chats it holds, and which nobody uses."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, literal, select, union_all

from orchestrator.domain.times import now_rfc3339
from orchestrator.store.access_schema import owners
from orchestrator.store.schema import approvals, questions, sessions, tool_calls, turns

_WITH_IDS = (sessions, turns, tool_calls, approvals, questions)


def mirror_owner(conn: Connection, owner_id: str, name: str) -> None:
    """Let rows of an owner be stored who is known in the other database, by the same name."""
    if conn.execute(select(owners.c.id).where(owners.c.id == owner_id)).first() is None:
        row = {"id": owner_id, "name": name, "created_at": now_rfc3339()}
        conn.execute(owners.insert(), row)


def holds(conn: Connection, ids: Sequence[str]) -> bool:
    """Return whether a row of such a chat has one of `ids`, of any owner."""
    found = union_all(*(select(literal(1)).where(table.c.id.in_(ids)) for table in _WITH_IDS))
    return conn.execute(found.limit(1)).first() is not None


def forget_idle(conn: Connection, before: str) -> int:
    """Delete the sessions that were used last before that time and do not answer; of all owners.

    Return how many are left.
    """
    answering = select(turns.c.session_id).where(turns.c.state == "running")
    is_idle = (sessions.c.updated_at < before, sessions.c.id.not_in(answering))
    conn.execute(delete(sessions).where(*is_idle))
    return conn.execute(select(func.count()).select_from(sessions)).scalar_one()
