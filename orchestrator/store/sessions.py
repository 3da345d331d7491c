"""Rows of `sessions`: one stored chat each."""

from typing import Any

from sqlalchemy import (
    Connection,
    RowMapping,
    and_,
    bindparam,
    delete,
    false,
    func,
    or_,
    select,
    update,
)

from orchestrator.domain.chat import Session, TitleSource
from orchestrator.domain.ids import new_id
from orchestrator.domain.model_settings import SessionSettings
from orchestrator.domain.times import now_rfc3339
from orchestrator.errors import Conflict, NotFound
from orchestrator.store import attachments, branches
from orchestrator.store.paging import decode_cursor, encode_cursor
from orchestrator.store.schema import sessions, turns
from orchestrator.store.search import sessions_matching

_RUNNING = (
    select(turns.c.id)
    .where(turns.c.session_id == sessions.c.id, turns.c.state == "running")
    .order_by(turns.c.created_at.desc())
    .limit(1)
    .correlate(sessions)
    .scalar_subquery()
    .label("running_turn_id")
)
_COLUMNS = [column for column in sessions.c if column.name != "owner_id"]
# Statements of every turn are built once: building costs more than running them.
_INSERT = sessions.insert()
_GET = select(*_COLUMNS, _RUNNING).where(
    sessions.c.owner_id == bindparam("owner"), sessions.c.id == bindparam("session")
)
_MOVE_LEAF = (
    update(sessions)
    .where(sessions.c.owner_id == bindparam("owner"), sessions.c.id == bindparam("session"))
    .values(leaf_message_id=bindparam("leaf"), updated_at=bindparam("now"))
)


def create(
    conn: Connection, owner_id: str, title: str, leaf_message_id: str | None = None
) -> Session:
    """Store a session without messages; `leaf_message_id` is the first it is about to get."""
    now = now_rfc3339()
    session = Session(
        id=new_id("ses"),
        title=title,
        pinned=False,
        leaf_message_id=leaf_message_id,
        created_at=now,
        updated_at=now,
    )
    fields = session.model_dump(include={column.name for column in _COLUMNS})
    conn.execute(_INSERT, {"owner_id": owner_id, **fields})
    return session


def get(conn: Connection, owner_id: str, session_id: str) -> Session:
    """Return the session. Raises NotFound."""
    rows = conn.execute(_GET, {"owner": owner_id, "session": session_id})
    row = rows.mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no session {session_id!r}.")
    return _session(row)


def listed(
    conn: Connection,
    owner_id: str,
    *,
    limit: int,
    cursor: str | None = None,
    words: str | None = None,
    after: str | None = None,
    before: str | None = None,
) -> tuple[list[Session], str | None]:
    """Return a page of sessions, pinned first, then the last used first, and the next cursor.

    With `words` only sessions whose title or text has them all, with a snippet. `after` and
    `before` are RFC 3339 times of last use.
    """
    key = (sessions.c.pinned, sessions.c.updated_at, sessions.c.id)
    query = select(*_COLUMNS, _RUNNING).where(sessions.c.owner_id == owner_id)
    snippets: dict[str, str] = {}
    if words is not None:
        snippets = sessions_matching(conn, owner_id, words)
        query = query.where(sessions.c.id.in_(snippets) if snippets else false())
    if after is not None:
        query = query.where(sessions.c.updated_at >= after)
    if before is not None:
        query = query.where(sessions.c.updated_at < before)
    if cursor is not None:
        query = query.where(_past(cursor))
    rows = conn.execute(query.order_by(*(c.desc() for c in key)).limit(limit + 1)).mappings().all()
    page = [_session(row, snippets.get(row["id"])) for row in rows[:limit]]
    if len(rows) <= limit:
        return page, None
    last = page[-1]
    return page, encode_cursor(int(last.pinned), last.updated_at, last.id)


def number_of_answers(conn: Connection, owner_id: str, session_id: str) -> int:
    """Return how many turns of the session came to their end."""
    is_here = (turns.c.owner_id == owner_id, turns.c.session_id == session_id)
    query = select(func.count()).where(*is_here, turns.c.state == "finished")
    return conn.execute(query).scalar_one()


def rename(
    conn: Connection, owner_id: str, session_id: str, title: str, source: TitleSource = "owner"
) -> None:
    """Set the title, and note who gave it. Raises NotFound."""
    _update(conn, owner_id, session_id, title=title, title_source=source)


def pin(conn: Connection, owner_id: str, session_id: str, *, pinned: bool) -> None:
    """Pin, which keeps its files, or unpin, which counts as a use of them. Raises NotFound."""
    _update(conn, owner_id, session_id, pinned=pinned)
    if not pinned:
        attachments.touch_session(conn, owner_id, session_id)


def settle(conn: Connection, owner_id: str, session_id: str, settings: SessionSettings) -> None:
    """Set what the turns of the session do differently. Raises NotFound."""
    said = settings.model_dump(mode="json", exclude_unset=True)
    _update(conn, owner_id, session_id, settings=said)


def move_leaf(
    conn: Connection, owner_id: str, session_id: str, leaf_message_id: str | None
) -> None:
    """Make `leaf_message_id` the end of the branch that is shown, and the session just used."""
    values = {"leaf": leaf_message_id, "now": now_rfc3339()}
    conn.execute(_MOVE_LEAF, {"owner": owner_id, "session": session_id, **values})


def switch_branch(conn: Connection, owner_id: str, session_id: str, message_id: str) -> None:
    """Show the branch through `message_id`, as far as it was shown or written last.

    Raises NotFound, and Conflict while the session is answering.
    """
    session = get(conn, owner_id, session_id)
    branches.place_of(conn, owner_id, session_id, message_id)
    if session.running_turn_id is not None:
        raise Conflict("This chat is still answering. Wait for the answer, or stop it.")
    branches.leave(conn, owner_id, session_id, session.leaf_message_id)
    leaf = branches.last_shown_leaf(conn, owner_id, session_id, message_id)
    _update(conn, owner_id, session_id, leaf_message_id=leaf)


def remove(conn: Connection, owner_id: str, session_id: str) -> None:
    """Delete the session with its messages, turns, events and tool calls. Raises NotFound.

    The rows of its files stay until the reaper has deleted the bytes.
    """
    attachments.remove_of_session(conn, owner_id, session_id)
    done = conn.execute(
        delete(sessions).where(sessions.c.owner_id == owner_id, sessions.c.id == session_id)
    )
    if done.rowcount == 0:
        raise NotFound(f"There is no session {session_id!r}.")


def _update(conn: Connection, owner_id: str, session_id: str, **values: Any) -> None:
    done = conn.execute(
        update(sessions)
        .where(sessions.c.owner_id == owner_id, sessions.c.id == session_id)
        .values(**values)
    )
    if done.rowcount == 0:
        raise NotFound(f"There is no session {session_id!r}.")


def _past(cursor: str) -> Any:
    pinned, updated_at, session_id = decode_cursor(cursor, int, str, str)
    older = or_(
        sessions.c.updated_at < updated_at,
        and_(sessions.c.updated_at == updated_at, sessions.c.id < session_id),
    )
    if pinned:
        return or_(sessions.c.pinned.is_(False), older)
    return and_(sessions.c.pinned.is_(False), older)


def _session(row: RowMapping, snippet: str | None = None) -> Session:
    return Session(**row, snippet=snippet)
