"""The branches of a session: which one is shown, and what is cut off."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from orchestrator.api.authenticator import Principal
from orchestrator.api.chat import (
    STREAM_ANSWER,
    Body,
    Identifier,
    TurnSettings,
    event_stream,
    refuse_too_long,
)
from orchestrator.api.deps import (
    AttachmentsDep,
    ChatDep,
    DatabaseDep,
    DocumentsDep,
    PrincipalDep,
    SettingsDep,
)
from orchestrator.api.event_stream import EventStream
from orchestrator.api.model_ids import refuse_unknown_endpoints
from orchestrator.api.problems import problem_responses
from orchestrator.chat.accepting import NewTurn
from orchestrator.domain.chat import Session
from orchestrator.store import audit, sessions
from orchestrator.store.pruning import prune

router = APIRouter(prefix="/api/sessions/{session_id}", tags=["sessions"])


class EditRequest(Body):
    """Another version of a message; its text may be blank when files come with it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"message": "Make it a weekend in Porto instead."}]}
    )

    message: Annotated[str, Field(min_length=0)]
    attachment_ids: Annotated[list[Identifier], Field(max_length=20)] | None = None
    """Null keeps the files of the message as it was."""
    client_message_id: Identifier | None = None
    """The same id again returns the same turn, never a second one."""
    settings: TurnSettings = TurnSettings()


class BranchChoice(BaseModel):
    """The branch through this message is to be shown."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"message_id": "msg_01k9x0example"}]}
    )

    message_id: Identifier


@router.post(
    "/messages/{message_id}/edit",
    status_code=200,
    response_class=EventStream,
    responses=STREAM_ANSWER | problem_responses(404, 409, 429, 507),
)
async def edit_message(
    session_id: Identifier,
    message_id: Identifier,
    body: EditRequest,
    principal: PrincipalDep,
    chat: ChatDep,
    settings: SettingsDep,
    documents: DocumentsDep,
) -> EventStream:
    """Store another version of a message beside it, start its turn and stream its events."""
    refuse_too_long(body.message, settings)
    refuse_unknown_endpoints(body.settings, documents.current.model_settings.endpoints, "settings")
    files = body.attachment_ids
    new = NewTurn(
        text=body.message,
        session_id=session_id,
        client_message_id=body.client_message_id,
        version_of=message_id,
        settings=body.settings,
        attachment_ids=None if files is None else tuple(dict.fromkeys(files)),
    )
    turn = await chat.start(principal.owner_id, new)
    return await event_stream(chat, principal.owner_id, turn.id, after=0)


@router.put("/branch", responses=problem_responses(404, 409, 507))
async def switch_branch(
    session_id: str, body: BranchChoice, principal: PrincipalDep, database: DatabaseDep
) -> Session:
    """Show the branch through a message, as far as it was shown or written last."""
    return await database.write(_switch, principal.owner_id, session_id, body.message_id)


@router.delete(
    "/messages/{message_id}", status_code=204, responses=problem_responses(404, 409, 507)
)
async def delete_message(
    session_id: str,
    message_id: str,
    principal: PrincipalDep,
    database: DatabaseDep,
    attachments: AttachmentsDep,
) -> Response:
    """Delete a message with all below it, its tool calls and files; 409 during an answer."""
    await database.write(_prune, principal, session_id, message_id)
    attachments.were_deleted()
    return Response(status_code=204)


def _switch(conn: Connection, owner_id: str, session_id: str, message_id: str) -> Session:
    sessions.switch_branch(conn, owner_id, session_id, message_id)
    return sessions.get(conn, owner_id, session_id)


def _prune(conn: Connection, asking: Principal, session_id: str, message_id: str) -> None:
    owner_id, actor = asking.owner_id, asking.actor
    prune(conn, owner_id, session_id, message_id)
    audit.append(conn, owner_id, actor=actor, action="message_deleted", subject=message_id)
