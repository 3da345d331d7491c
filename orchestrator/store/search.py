"""Full-text search over messages (FTS5). With `database`, the only room that knows the dialect."""

import re

from sqlalchemy import Connection, select, text

from orchestrator.store.schema import sessions

_MAX_SESSIONS = 500
_MATCHES = text(
    """
    SELECT m.session_id AS session_id,
           snippet(messages_text, 0, char(2), char(3), ' … ', 16) AS snippet
    FROM messages_text
    JOIN messages AS m ON m.position = messages_text.rowid
    WHERE messages_text MATCH :query AND m.owner_id = :owner_id
    ORDER BY messages_text.rank
    LIMIT :row_limit
    """
)


def sessions_matching(conn: Connection, owner_id: str, words: str) -> dict[str, str]:
    """Return session id -> snippet for sessions where one message or the title has all `words`.

    The last word may be the start of one. The hits inside a snippet are enclosed by the
    characters 2 and 3. Punctuation separates words; without any word nothing matches.
    """
    found = re.findall(r"\w+", words)
    if not found:
        return {}
    query = " ".join(f'"{word}"' for word in found) + "*"
    rows = conn.execute(
        _MATCHES, {"query": query, "owner_id": owner_id, "row_limit": 4 * _MAX_SESSIONS}
    )
    snippets: dict[str, str] = {}
    for row in rows:
        snippets.setdefault(row.session_id, row.snippet)
    titles = select(sessions.c.id, sessions.c.title).where(sessions.c.owner_id == owner_id)
    for word in found:
        titles = titles.where(sessions.c.title.icontains(word, autoescape=True))
    for row in conn.execute(titles.limit(_MAX_SESSIONS)):
        snippets.setdefault(row.id, row.title)
    return dict(list(snippets.items())[:_MAX_SESSIONS])
