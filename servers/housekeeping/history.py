"""The owner's history as a model gets it: short, marked, and within the limit of a result."""

from collections.abc import AsyncGenerator
from datetime import datetime
from zoneinfo import ZoneInfo

from servers.housekeeping.client import (
    OrchestratorClient,
    Query,
    StoredAttachment,
    StoredMessage,
    StoredSession,
)
from servers.housekeeping.models import AttachmentSummary, HistoryMessage, SessionHit
from servers.housekeeping.zones import read_time, rfc3339_utc
from servers.kit.errors import InvalidInput, NotFound
from servers.kit.paging import Page

MAX_TEXT_BYTES = 16_000
"""For the texts of one result: half its ceiling, the rest is for JSON's own signs."""
MAX_FIELD_CHARS = 300
PAGE_MESSAGES = 100
MAX_PAGES = 50
_CONTEXT_CHARS = 80
_MARKS = str.maketrans({"\u0002": "**", "\u0003": "**"})


async def search(client: OrchestratorClient, query: Query) -> Page[SessionHit]:
    """Return the sessions with all words of `q`, the last used first."""
    found = await client.sessions(query)
    return Page(items=[_session_hit(item) for item in found.items], next_cursor=found.next_cursor)


async def search_session(
    client: OrchestratorClient, session_id: str, words: str, limit: int
) -> Page[SessionHit]:
    """Return the newest messages of one session with all the words, of owner and assistant."""
    wanted = words.casefold().split()
    if not wanted:
        raise InvalidInput("query holds no words.")
    hits: list[SessionHit] = []
    async for page in _pages(client, session_id):
        for message in reversed(page):
            text = message.content.casefold()
            if message.role != "tool" and all(word in text for word in wanted):
                hits.append(_message_hit(session_id, message, text.find(wanted[0])))
        if len(hits) > limit:
            break
    return Page(items=hits[:limit], truncated=len(hits) > limit)


async def newest(
    client: OrchestratorClient, session_id: str, limit: int, cursor: str | None
) -> Page[HistoryMessage]:
    """Return one page of a session, oldest message first; the cursor leads to older ones."""
    query: Query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
    found = await client.messages(session_id, query)
    return Page(items=_shown(found.items), next_cursor=found.next_cursor)


async def around(
    client: OrchestratorClient, session_id: str, message_id: str, limit: int
) -> Page[HistoryMessage]:
    """Return the messages before and after one message.

    Raises:
        NotFound: the session does not have that message.
    """
    messages: list[StoredMessage] = []
    place: int | None = None
    async for page in _pages(client, session_id):
        messages = page + messages
        place = next((at for at, item in enumerate(messages) if item.id == message_id), None)
        if place is not None and place >= limit // 2:
            break
    if place is None:
        raise NotFound(f"Session {session_id!r} has no message {message_id!r}; leave around out.")
    start = max(0, place - limit // 2)
    shown = messages[start : start + limit]
    return Page(items=_shown(shown), truncated=len(shown) < len(messages))


def attachment_summary(item: StoredAttachment) -> AttachmentSummary:
    return AttachmentSummary(
        attachment_id=item.id,
        untrusted_name=item.name[:MAX_FIELD_CHARS],
        mime=item.mime,
        size_bytes=item.size_bytes,
        created_at=item.created_at,
        session_id=item.session_id,
    )


def time_limit(name: str, text: str, zone: ZoneInfo) -> str:
    """Return a day or a time as RFC 3339 in UTC; a day begins at midnight in the zone.

    Raises:
        InvalidInput: it is neither.
    """
    try:
        moment: datetime = read_time(text, zone)
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error}") from error
    return rfc3339_utc(moment)


async def _pages(
    client: OrchestratorClient, session_id: str
) -> AsyncGenerator[list[StoredMessage]]:
    query: Query = {"limit": PAGE_MESSAGES}
    for _ in range(MAX_PAGES):
        found = await client.messages(session_id, query)
        yield found.items
        if found.next_cursor is None:
            return
        query["cursor"] = found.next_cursor


def _session_hit(item: StoredSession) -> SessionHit:
    snippet = item.snippet and item.snippet.translate(_MARKS)[:MAX_FIELD_CHARS]
    return SessionHit(
        session_id=item.id,
        title=item.title[:MAX_FIELD_CHARS],
        updated_at=item.updated_at,
        untrusted_snippet=snippet or None,
    )


def _message_hit(session_id: str, message: StoredMessage, at: int) -> SessionHit:
    start = max(0, at - _CONTEXT_CHARS)
    return SessionHit(
        session_id=session_id,
        title="",
        updated_at=message.created_at,
        untrusted_snippet=message.content[start : at + _CONTEXT_CHARS],
        message_id=message.id,
    )


def _shown(messages: list[StoredMessage]) -> list[HistoryMessage]:
    share = MAX_TEXT_BYTES // max(1, len(messages))
    return [_history_message(message, share) for message in messages]


def _history_message(message: StoredMessage, max_bytes: int) -> HistoryMessage:
    is_tool = message.role == "tool"
    called = message.tool_call
    foreign = (called.text if called and called.text else message.content) if is_tool else ""
    text = "" if is_tool else message.content
    shown, shown_foreign = _cut(text, max_bytes), _cut(foreign, max_bytes)
    tools = [call.tool for call in message.tool_calls] + ([called.tool] if called else [])
    return HistoryMessage(
        message_id=message.id,
        role=message.role,
        created_at=message.created_at,
        text=shown,
        tools=tools[:20],
        untrusted_tool_result=shown_foreign if is_tool else None,
        truncated=(shown, shown_foreign) != (text, foreign),
    )


def _cut(text: str, max_bytes: int) -> str:
    return text.encode()[:max_bytes].decode(errors="ignore")
