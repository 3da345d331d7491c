"""Full-text search over messages (FTS5). With `database`, the only room that knows the dialect."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, select, text

from orchestrator.domain.chat import SearchHit
from orchestrator.store.paging import decode_cursor, encode_cursor
from orchestrator.store.schema import sessions
from orchestrator.store.snippets import marked, plain

_MAX_SESSIONS = 500
_FAR = 2**53
_TITLES = (0, 0, 0)
_MESSAGES = (1, -_FAR, 0)
"""Where titles and messages begin."""
_SNIPPET = "snippet(messages_text, 0, char(2), char(3), ' … ', 16)"
_MATCHES = text(
    f"""
    SELECT m.session_id AS session_id, {_SNIPPET} AS snippet
    FROM messages_text
    JOIN messages AS m ON m.position = messages_text.rowid
    WHERE messages_text MATCH :query AND m.owner_id = :owner_id
    ORDER BY messages_text.rank
    LIMIT :row_limit
    """  # noqa: S608 - no value of anybody is in it
)
# Rounded, so that of messages that fit as well the newest comes first.
_HITS = text(
    """
    SELECT m.session_id AS session_id, s.title AS session_title, m.id AS message_id,
           m.role AS role, m.created_at AS created_at, m.position AS position,
           CAST(round(messages_text.rank * 10) AS INTEGER) AS score
    FROM messages_text
    JOIN messages AS m ON m.position = messages_text.rowid
    JOIN sessions AS s ON s.id = m.session_id
    WHERE messages_text MATCH :query AND m.owner_id = :owner_id
      AND (:session_id IS NULL OR m.session_id = :session_id)
      AND (score > :score OR (score = :score AND m.position < :position))
    ORDER BY score, m.position DESC
    LIMIT :row_limit
    """
)
# Asked only for what is shown: a snippet costs more than finding its message.
_SNIPPETS = text(
    f"""
    SELECT rowid AS position, {_SNIPPET} AS snippet FROM messages_text
    WHERE messages_text MATCH :query AND rowid IN :positions
    """  # noqa: S608 - as above
).bindparams(bindparam("positions", expanding=True))


def sessions_matching(conn: Connection, owner_id: str, words: str) -> dict[str, str]:
    """Return session id -> snippet for sessions where one message or the title has all `words`.

    The last word may be the start of one. The hits inside a snippet are enclosed by the
    characters 2 and 3. Punctuation separates words; without any word nothing matches.
    """
    found = _words(words)
    if not found:
        return {}
    rows = conn.execute(
        _MATCHES, {"query": _query(found), "owner_id": owner_id, "row_limit": 4 * _MAX_SESSIONS}
    )
    snippets: dict[str, str] = {}
    for row in rows:
        if row.session_id not in snippets:
            snippets[row.session_id] = plain(row.snippet)
    for row in conn.execute(_titles(owner_id, found).limit(_MAX_SESSIONS)):
        snippets.setdefault(row.id, row.title)
    return dict(list(snippets.items())[:_MAX_SESSIONS])


def hits(
    conn: Connection,
    owner_id: str,
    words: str,
    *,
    limit: int,
    session_id: str | None = None,
    cursor: str | None = None,
) -> tuple[list[SearchHit], str | None]:
    """Return a page of titles and messages that have all `words`, and the next cursor.

    Titles come first, the last used first; then messages and results of tools, the best first and
    the newest among those that fit as well. Words are found as in `sessions_matching`.
    """
    found = _words(words)
    if not found:
        return [], None
    place = _TITLES if cursor is None else _place(cursor)
    items: list[SearchHit] = []
    if place[0] == _TITLES[0]:
        titles = _title_hits(conn, owner_id, found, session_id, place[1], limit + 1)
        if len(titles) > limit:
            return titles[:limit], encode_cursor(_TITLES[0], place[1] + limit, 0)
        items, place = titles, _MESSAGES
    ask = {"query": _query(found), "owner_id": owner_id, "session_id": session_id}
    ask |= {"score": place[1], "position": place[2], "row_limit": limit + 1 - len(items)}
    rows = conn.execute(_HITS, ask).all()
    shown = rows[: limit - len(items)]
    items += _message_hits(conn, found, shown)
    if len(shown) == len(rows):
        return items, None
    last = (shown[-1].score, shown[-1].position) if shown else _MESSAGES[1:]
    return items, encode_cursor(_MESSAGES[0], *last)


def _place(cursor: str) -> tuple[int, int, int]:
    """Return (0, number of titles seen, 0) or (1, score, position of the last message seen)."""
    kind, *key = decode_cursor(cursor, int, int, int)
    first, second = (max(-_FAR, min(int(part), _FAR)) for part in key)
    return (_TITLES[0], max(0, first), 0) if kind == _TITLES[0] else (_MESSAGES[0], first, second)


def _words(text: str) -> list[str]:
    # Composed, as nearly all text is: marks of their own would cut words in two.
    return re.findall(r"\w+", unicodedata.normalize("NFC", text))


def _query(words: list[str]) -> str:
    return " ".join(f'"{word}"' for word in words) + "*"


def _titles(owner_id: str, words: list[str]) -> Any:
    columns = sessions.c["id", "title", "updated_at"]
    has_all = and_(*(sessions.c.title.icontains(word, autoescape=True) for word in words))
    return select(*columns).where(sessions.c.owner_id == owner_id, has_all)


def _title_hits(
    conn: Connection,
    owner_id: str,
    words: list[str],
    session_id: str | None,
    offset: int,
    limit: int,
) -> list[SearchHit]:
    query = _titles(owner_id, words).order_by(sessions.c.updated_at.desc(), sessions.c.id.desc())
    if session_id is not None:
        query = query.where(sessions.c.id == session_id)
    return [
        SearchHit(
            session_id=row.id,
            session_title=row.title,
            message_id=None,
            role=None,
            created_at=row.updated_at,
            snippet=marked(row.title, words),
        )
        for row in conn.execute(query.offset(offset).limit(limit))
    ]


def _message_hits(conn: Connection, words: list[str], rows: Sequence[Row[Any]]) -> list[SearchHit]:
    ask = {"query": _query(words), "positions": [row.position for row in rows]}
    snippets = {row.position: plain(row.snippet) for row in conn.execute(_SNIPPETS, ask)}
    return [
        SearchHit(
            session_id=row.session_id,
            session_title=row.session_title,
            message_id=row.message_id,
            role=row.role,
            created_at=row.created_at,
            snippet=snippets[row.position],
        )
        for row in rows
    ]
