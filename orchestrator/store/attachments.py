"""Rows of `attachments`. A row is there before its blob and until after it, so none is lost."""

from collections.abc import Collection, Iterable

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    false,
    func,
    or_,
    select,
    update,
)

from orchestrator.domain.attachments import Attachment, AttachmentState
from orchestrator.domain.times import now_rfc3339
from orchestrator.domain.values import Value
from orchestrator.errors import NotFound
from orchestrator.store.paging import decode_cursor, encode_cursor
from orchestrator.store.schema import attachments, sessions

_COLUMNS = [
    *attachments.c["id", "name", "mime", "size_bytes", "width", "height", "sha256"],
    *attachments.c["session_id", "source", "tool_call_id", "created_at", "last_used_at"],
]
_PINNED = func.coalesce(sessions.c.pinned, false()).label("pinned")
_READY = attachments.c.state == "ready"
_INCOMING = attachments.c.state == "incoming"
_DELETING = attachments.c.state == "deleting"
_SELECT = (
    select(*_COLUMNS, _PINNED)
    .select_from(attachments.outerjoin(sessions, sessions.c.id == attachments.c.session_id))
    .where(_READY)
)
_IS_UNPINNED = or_(
    attachments.c.session_id.is_(None),
    attachments.c.session_id.in_(select(sessions.c.id).where(sessions.c.pinned.is_(False))),
)


class Doomed(Value):
    """A row whose blob is to be deleted, then the row."""

    owner_id: str
    id: str
    attempts: int
    """How often that failed."""


class RowState(Value):
    """As much of a row as says whether it has a blob, and of which size."""

    state: AttachmentState
    size_bytes: int


def begin(conn: Connection, owner_id: str, attachment: Attachment) -> None:
    """Store the row of a file that is coming in. Raises NotFound when there is no such session."""
    if attachment.session_id is not None:
        _refuse_foreign_session(conn, owner_id, attachment.session_id)
    row = attachment.model_dump(exclude={"pinned"})
    conn.execute(attachments.insert(), {"owner_id": owner_id, "state": "incoming", **row})


def finish(
    conn: Connection, owner_id: str, attachment_id: str, *, size_bytes: int, sha256: str
) -> Attachment:
    """Make it ready, now that its blob is there. Raises NotFound when it was deleted meanwhile."""
    conn.execute(
        update(attachments)
        .where(_is(owner_id, [attachment_id]), _INCOMING)
        .values(state="ready", size_bytes=size_bytes, sha256=sha256)
    )
    return get(conn, owner_id, attachment_id)


def discard(conn: Connection, owner_id: str, attachment_id: str) -> None:
    """Leave a file that nobody wants to the reaper, however far it came."""
    _doom(conn, _is(owner_id, [attachment_id]))


def get(conn: Connection, owner_id: str, attachment_id: str) -> Attachment:
    """Return the attachment. Raises NotFound."""
    return _all_of(conn, owner_id, [attachment_id])[0]


def owner_of(conn: Connection, attachment_id: str) -> str:
    """Return whose file that is, for an address that we signed. Raises NotFound."""
    query = select(attachments.c.owner_id).where(attachments.c.id == attachment_id, _READY)
    owner_id = conn.execute(query).scalar_one_or_none()
    if owner_id is None:
        raise _missing(attachment_id)
    return owner_id


def named(conn: Connection, owner_id: str, ids: Iterable[str]) -> list[Attachment]:
    """Return those of `ids` that are still there, in that order."""
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return []
    rows = conn.execute(_SELECT.where(_is(owner_id, wanted))).mappings()
    found = {row["id"]: Attachment(**row) for row in rows}
    return [found[attachment_id] for attachment_id in wanted if attachment_id in found]


def page(
    conn: Connection,
    owner_id: str,
    *,
    limit: int,
    session_id: str | None = None,
    cursor: str | None = None,
) -> tuple[list[Attachment], str | None]:
    """Return a page of attachments, the newest first, and the next cursor.

    Raises NotFound when there is no such session.
    """
    query = _SELECT.where(attachments.c.owner_id == owner_id)
    if session_id is not None:
        _refuse_foreign_session(conn, owner_id, session_id)
        query = query.where(attachments.c.session_id == session_id)
    if cursor is not None:
        created_at, attachment_id = decode_cursor(cursor, str, str)
        is_as_old = attachments.c.created_at == created_at
        older = and_(is_as_old, attachments.c.id < attachment_id)
        query = query.where(or_(attachments.c.created_at < created_at, older))
    query = query.order_by(attachments.c.created_at.desc(), attachments.c.id.desc())
    found = [Attachment(**row) for row in conn.execute(query.limit(limit + 1)).mappings()]
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], encode_cursor(last.created_at, last.id)


def claim(conn: Connection, owner_id: str, ids: Iterable[str], session_id: str) -> list[Attachment]:
    """Bind them to the session that uses them now, and return them in that order.

    Raises NotFound when one is not there, or belongs to another session, or there is no session.
    """
    found = _all_of(conn, owner_id, list(dict.fromkeys(ids)))
    if not found:
        return []
    _refuse_foreign_session(conn, owner_id, session_id)
    for attachment in found:
        if attachment.session_id not in (None, session_id):
            raise NotFound(f"The attachment {attachment.id!r} belongs to another chat.")
    _use(conn, owner_id, [attachment.id for attachment in found], session_id=session_id)
    return named(conn, owner_id, [attachment.id for attachment in found])


def touch(conn: Connection, owner_id: str, ids: Iterable[str]) -> None:
    """Count their retention anew; those that are gone stay gone."""
    _use(conn, owner_id, list(ids))


def touch_session(conn: Connection, owner_id: str, session_id: str) -> None:
    """Count the retention of all files of a session anew."""
    is_in_it = and_(attachments.c.owner_id == owner_id, attachments.c.session_id == session_id)
    conn.execute(update(attachments).where(is_in_it, _READY).values(last_used_at=now_rfc3339()))


def remove(conn: Connection, owner_id: str, ids: Iterable[str]) -> None:
    """Leave them to the reaper; nobody sees them any more. Raises NotFound when one is missing."""
    wanted = [attachment.id for attachment in _all_of(conn, owner_id, list(dict.fromkeys(ids)))]
    _doom(conn, _is(owner_id, wanted))


def remove_of_session(conn: Connection, owner_id: str, session_id: str) -> None:
    """Leave all files of a session to the reaper, also those that are coming in."""
    _doom(conn, and_(attachments.c.owner_id == owner_id, attachments.c.session_id == session_id))


def abandon_incoming(conn: Connection, *, spared: Collection[str], retry_at: str | None) -> int:
    """Leave files to the reaper that nobody (but those spared) is writing any more; of all owners.

    Return how many.
    """
    return _doom(conn, and_(_INCOMING, attachments.c.id.not_in(spared)), retry_at)


def remove_unused(conn: Connection, *, used_before: str, limit: int) -> int:
    """Leave files to the reaper that were used last before that time; of all owners.

    Those of pinned sessions are kept. Return how many.
    """
    unused = (
        select(attachments.c.id)
        .where(_READY, attachments.c.last_used_at < used_before, _IS_UNPINNED)
        .order_by(attachments.c.last_used_at)
        .limit(limit)
    )
    return _doom(conn, attachments.c.id.in_(unused))


def doomed(conn: Connection, *, now: str, spared: Collection[str], limit: int) -> list[Doomed]:
    """Return rows whose blobs are to be deleted by now, of all owners."""
    query = (
        select(*attachments.c["owner_id", "id", "attempts"])
        .where(_DELETING, attachments.c.id.not_in(spared))
        .where(or_(attachments.c.retry_at.is_(None), attachments.c.retry_at <= now))
        .order_by(attachments.c.attempts, attachments.c.id)
        .limit(limit)
    )
    return [Doomed(**row) for row in conn.execute(query).mappings()]


def forget(conn: Connection, gone: Iterable[Doomed]) -> None:
    """Delete the rows of blobs that are gone."""
    for row in gone:
        conn.execute(delete(attachments).where(_is(row.owner_id, [row.id]), _DELETING))


def postpone(conn: Connection, row: Doomed, *, retry_at: str) -> None:
    """Count a deletion that failed, and when to try again."""
    values = {"attempts": row.attempts + 1, "retry_at": retry_at}
    conn.execute(update(attachments).where(_is(row.owner_id, [row.id])).values(values))


def next_retry(conn: Connection) -> str | None:
    """Return when the first of the deletions that wait is to be tried."""
    return conn.execute(select(func.min(attachments.c.retry_at)).where(_DELETING)).scalar_one()


def longest_unused(conn: Connection) -> str | None:
    """Return when the file that retention takes first was used last."""
    query = select(func.min(attachments.c.last_used_at)).where(_READY, _IS_UNPINNED)
    return conn.execute(query).scalar_one()


def states(conn: Connection) -> dict[str, RowState]:
    """Return every row by its id, of all owners."""
    query = select(*attachments.c["id", "state", "size_bytes"])
    return {
        row.id: RowState(state=row.state, size_bytes=row.size_bytes) for row in conn.execute(query)
    }


def _is(owner_id: str, ids: Collection[str]) -> ColumnElement[bool]:
    return and_(attachments.c.owner_id == owner_id, attachments.c.id.in_(ids))


def _all_of(conn: Connection, owner_id: str, ids: list[str]) -> list[Attachment]:
    """Return all of `ids`. Raises NotFound."""
    found = named(conn, owner_id, ids)
    missing = set(ids).difference(attachment.id for attachment in found)
    if missing:
        raise _missing(min(missing))
    return found


def _use(conn: Connection, owner_id: str, ids: list[str], **values: str) -> None:
    values["last_used_at"] = now_rfc3339()
    conn.execute(update(attachments).where(_is(owner_id, ids), _READY).values(values))


def _doom(conn: Connection, condition: ColumnElement[bool], retry_at: str | None = None) -> int:
    values = {"state": "deleting", "attempts": 0, "retry_at": retry_at}
    return conn.execute(
        update(attachments).where(condition, attachments.c.state != "deleting").values(values)
    ).rowcount


def _refuse_foreign_session(conn: Connection, owner_id: str, session_id: str) -> None:
    query = select(sessions.c.id).where(
        sessions.c.owner_id == owner_id, sessions.c.id == session_id
    )
    if conn.execute(query).first() is None:
        raise NotFound(f"There is no session {session_id!r}.")


def _missing(attachment_id: str) -> NotFound:
    return NotFound(f"There is no attachment {attachment_id!r}.")
