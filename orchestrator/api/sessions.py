"""Sessions and their messages: list, search, read, rename, pin, delete."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, StrictBool, StringConstraints
from sqlalchemy import Connection

from orchestrator.api.authenticator import Principal
from orchestrator.api.deps import (
    AttachmentsDep,
    ChatDep,
    DatabaseDep,
    DocumentsDep,
    InboxDep,
    PrincipalDep,
    TemporaryDep,
)
from orchestrator.api.model_ids import refuse_unknown_endpoints
from orchestrator.api.moments import Moment
from orchestrator.api.problems import problem_responses
from orchestrator.domain.approvals import Approval
from orchestrator.domain.chat import Message, Session, Turn
from orchestrator.domain.model_settings import SessionSettings
from orchestrator.domain.times import to_rfc3339
from orchestrator.store import approvals, audit, messages, sessions, turns
from orchestrator.store.shown_attachments import Expiry

router = APIRouter(prefix="/api/sessions", tags=["sessions"])


Cursor = Annotated[str | None, Query(max_length=500)]


class SessionPage(BaseModel):
    """Sessions, pinned ones first, then the last used first."""

    items: list[Session]
    next_cursor: str | None


class MessagePage(BaseModel):
    """Messages of the branch that is shown, oldest first, and the turns they belong to."""

    items: list[Message]
    turns: list[Turn]
    next_cursor: str | None
    """For the page with older messages."""


class SessionChange(BaseModel):
    """What to change; fields that are left out stay."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"title": "Holidays", "pinned": True},
                {
                    "settings": {
                        "model": "openai/gpt-5-mini",
                        "parameters": {"temperature": 0.9},
                        "disabled_servers": ["web-search"],
                    }
                },
            ]
        },
    )

    title: (
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
        | None
    ) = None
    pinned: StrictBool | None = None
    settings: SessionSettings | None = None
    """What its turns do differently, from the next one on; takes the place of all that was said."""


@router.get("", responses=problem_responses(404))
async def list_sessions(
    principal: PrincipalDep,
    database: DatabaseDep,
    q: Annotated[str | None, Query(max_length=500, description="Words to search for")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor = None,
    after: Annotated[Moment | None, Query(description="Last used since")] = None,
    before: Annotated[Moment | None, Query(description="Last used before")] = None,
) -> SessionPage:
    """List sessions, or search the text of all messages and titles."""
    items, next_cursor = await database.read(
        sessions.listed,
        principal.owner_id,
        limit=limit,
        cursor=cursor,
        words=q,
        after=to_rfc3339(after) if after else None,
        before=to_rfc3339(before) if before else None,
    )
    return SessionPage(items=items, next_cursor=next_cursor)


@router.get("/{session_id}", responses=problem_responses(404))
async def get_session(
    session_id: str, principal: PrincipalDep, database: DatabaseDep, temporary: TemporaryDep
) -> Session:
    """Return one session."""
    session = await database.read(sessions.get, principal.owner_id, session_id)
    return session.model_copy(update={"temporary": await temporary.holds([session_id])})


@router.get("/{session_id}/messages", responses=problem_responses(404))
async def get_messages(
    session_id: str,
    principal: PrincipalDep,
    database: DatabaseDep,
    attachments: AttachmentsDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
    cursor: Cursor = None,
) -> MessagePage:
    """Return the newest messages; a page begins with a message of the owner where it can."""
    expiry = attachments.expires_at
    return await database.read(_page, principal.owner_id, session_id, limit, cursor, expiry)


@router.patch("/{session_id}", responses=problem_responses(404, 507))
async def change_session(
    session_id: str,
    body: SessionChange,
    principal: PrincipalDep,
    database: DatabaseDep,
    documents: DocumentsDep,
) -> Session:
    """Rename or pin a session, or settle how its turns are answered."""
    if body.settings is not None:
        endpoints = documents.current.model_settings.endpoints
        refuse_unknown_endpoints(body.settings, endpoints, "settings")
    return await database.write(_change, principal.owner_id, session_id, body)


@router.post("/{session_id}/title", responses=problem_responses(402, 404, 409, 502, 507))
async def name_session(session_id: str, principal: PrincipalDep, chat: ChatDep) -> Session:
    """Let a model name the session, whoever named it before."""
    return await chat.titles.name(principal.owner_id, session_id)


@router.delete("/{session_id}", status_code=204, responses=problem_responses(404, 507))
async def delete_session(
    session_id: str,
    principal: PrincipalDep,
    database: DatabaseDep,
    chat: ChatDep,
    inbox: InboxDep,
    attachments: AttachmentsDep,
) -> Response:
    """Stop what runs in the session, cancel what waits in it, and delete it with all it holds."""
    await chat.stop_session(principal.owner_id, session_id)
    inbox.note(await database.write(_remove, principal, session_id))
    attachments.were_deleted()
    # A message may have come in between.
    await chat.stop_session(principal.owner_id, session_id)
    return Response(status_code=204)


def _page(
    conn: Connection,
    owner_id: str,
    session_id: str,
    limit: int,
    cursor: str | None,
    expiry: Expiry,
) -> MessagePage:
    session = sessions.get(conn, owner_id, session_id)
    items, next_cursor = messages.page(
        conn,
        owner_id,
        session_id,
        session.leaf_message_id,
        limit=limit,
        before=cursor,
        expiry=expiry,
    )
    turn_ids = {message.turn_id for message in items if message.turn_id}
    if session.running_turn_id:
        turn_ids.add(session.running_turn_id)
    if items and items[-1].role == "user":  # A turn that failed before it said anything.
        last = turns.last_about(conn, owner_id, session_id, items[-1].id)
        turn_ids |= {last.id} if last else set()
    found = turns.with_ids(conn, owner_id, turn_ids)
    return MessagePage(items=items, turns=found, next_cursor=next_cursor)


def _change(conn: Connection, owner_id: str, session_id: str, change: SessionChange) -> Session:
    if change.title is not None:
        sessions.rename(conn, owner_id, session_id, change.title)
    if change.pinned is not None:
        sessions.pin(conn, owner_id, session_id, pinned=change.pinned)
    if change.settings is not None:
        sessions.settle(conn, owner_id, session_id, change.settings)
    return sessions.get(conn, owner_id, session_id)


def _remove(conn: Connection, asking: Principal, session_id: str) -> list[Approval]:
    """Delete the session; return what waited in it, cancelled and gone."""
    owner_id, actor = asking.owner_id, asking.actor
    cancelled = approvals.cancel_of_session(conn, owner_id, session_id, by=asking.means)
    sessions.remove(conn, owner_id, session_id)
    audit.append(conn, owner_id, actor=actor, action="session_deleted", subject=session_id)
    return cancelled
