"""The branches of a session: which one is shown, and what is cut off."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection
from starlette.responses import Response

from orchestrator.api.authenticator import Principal
from orchestrator.api.chat import Identifier
from orchestrator.api.deps import AttachmentsDep, DatabaseDep, PrincipalDep
from orchestrator.api.problems import problem_responses
from orchestrator.domain.chat import Session
from orchestrator.store import audit, sessions
from orchestrator.store.pruning import prune

router = APIRouter(prefix="/api/sessions/{session_id}", tags=["sessions"])


class BranchChoice(BaseModel):
    """The branch through this message is to be shown."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"message_id": "msg_01k9x0example"}]}
    )

    message_id: Identifier


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
