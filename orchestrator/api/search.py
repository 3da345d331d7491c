"""Search in everything that was ever said."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from orchestrator.api.deps import DatabaseDep, PrincipalDep
from orchestrator.api.problems import problem_responses
from orchestrator.domain.chat import SearchHit
from orchestrator.store import search, sessions

router = APIRouter(prefix="/api/search", tags=["sessions"])

_EXAMPLE: dict[str, Any] = {
    "items": [
        {
            "session_id": "ses_01k9x0example",
            "session_title": "A weekend in Lisbon",
            "message_id": "msg_01k9x0example",
            "role": "assistant",
            "created_at": "2026-11-20T10:30:00.000Z",
            "snippet": "The best \u0002café\u0003 near the river is …",
        }
    ],
    "next_cursor": None,
}


class SearchPage(BaseModel):
    """Titles first, then messages, the best first."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    items: list[SearchHit]
    next_cursor: str | None


@router.get("", responses=problem_responses(404))
async def search_messages(
    principal: PrincipalDep,
    database: DatabaseDep,
    q: Annotated[str, Query(min_length=1, max_length=500, description="Words to search for")],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    session_id: Annotated[
        str | None, Query(max_length=200, description="Only in this session")
    ] = None,
) -> SearchPage:
    """Search titles, messages and results of tools on all branches."""
    items, next_cursor = await database.read(
        _hits, principal.owner_id, q, limit, session_id, cursor
    )
    return SearchPage(items=items, next_cursor=next_cursor)


def _hits(
    conn: Connection,
    owner_id: str,
    words: str,
    limit: int,
    session_id: str | None,
    cursor: str | None,
) -> tuple[list[SearchHit], str | None]:
    if session_id is not None:
        sessions.get(conn, owner_id, session_id)
    return search.hits(conn, owner_id, words, limit=limit, session_id=session_id, cursor=cursor)
