"""Sessions go out as files and come in again."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query
from fastapi.responses import Response, StreamingResponse
from sqlalchemy import Connection

from orchestrator.api.authenticator import Principal
from orchestrator.api.deps import PrincipalDep, StoredDatabaseDep
from orchestrator.api.guard import BodyRule
from orchestrator.api.problems import problem_responses
from orchestrator.attachments.names import clean_name, content_disposition
from orchestrator.chat.markdown import as_markdown
from orchestrator.domain.chat import Session
from orchestrator.domain.session_file import SessionFile
from orchestrator.errors import NotFound
from orchestrator.store import audit, messages, session_export, session_import, sessions, turns
from orchestrator.store.database import Database

router = APIRouter(prefix="/api/sessions", tags=["sessions"])

IMPORT_RULE = BodyRule(f"{router.prefix}/import", max_bytes=16 * 1024 * 1024)
_FILE_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "model": SessionFile,
        "content": {"text/markdown": {"schema": {"type": "string"}}},
        "description": "The session as a download.",
    }
}
_ALL_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["format", "version", "sessions"],
                    "properties": {
                        "format": {"const": "flotilla.sessions"},
                        "version": {"const": 1},
                        "sessions": {
                            "type": "array",
                            "items": {"$ref": "#/components/schemas/SessionFile"},
                        },
                    },
                }
            }
        },
        "description": "All sessions as a download.",
    }
}
_EXAMPLE: dict[str, Any] = {
    "format": "flotilla.session",
    "version": 1,
    "session": {
        "title": "A weekend in Lisbon",
        "created_at": "2026-11-20T10:30:00.000Z",
        "updated_at": "2026-11-20T10:31:00.000Z",
        "leaf_message_id": "m2",
    },
    "messages": [
        {
            "id": "m1",
            "parent_id": None,
            "turn_id": "t1",
            "role": "user",
            "content": "Where is the best café?",
            "created_at": "2026-11-20T10:30:00.000Z",
        },
        {
            "id": "m2",
            "parent_id": "m1",
            "turn_id": "t1",
            "role": "assistant",
            "content": "Near the river.",
            "created_at": "2026-11-20T10:31:00.000Z",
        },
    ],
    "turns": [
        {
            "id": "t1",
            "user_message_id": "m1",
            "assistant_message_id": "m2",
            "state": "finished",
            "model": "openrouter/auto",
            "finish_reason": "stop",
            "created_at": "2026-11-20T10:30:00.000Z",
        }
    ],
    "attachments": [],
}


@router.get(
    "/export", response_class=StreamingResponse, responses=_ALL_ANSWER | problem_responses()
)
async def export_sessions(
    principal: PrincipalDep, database: StoredDatabaseDep
) -> StreamingResponse:
    """Return all sessions as one JSON document, written as it is read."""
    ids = await database.read(session_export.ids_of_all, principal.owner_id)
    headers = {"Content-Disposition": content_disposition("attachment", "flotilla-sessions.json")}
    pieces = _all_files(database, principal.owner_id, ids)
    return StreamingResponse(pieces, media_type="application/json", headers=headers)


@router.post("/import", status_code=201, responses=problem_responses(507))
async def import_session(
    file: Annotated[SessionFile, Body(openapi_examples={"short": {"value": _EXAMPLE}})],
    principal: PrincipalDep,
    database: StoredDatabaseDep,
) -> Session:
    """Store a session that was exported as JSON, under new ids; the bytes of files stay away."""
    return await database.write(_import, principal, file)


@router.get(
    "/{session_id}/export",
    response_class=Response,
    responses=_FILE_ANSWER | problem_responses(404),
)
async def export_session(
    session_id: str,
    principal: PrincipalDep,
    database: StoredDatabaseDep,
    format: Annotated[  # noqa: A002 - the name of the parameter in the address
        Literal["json", "markdown"],
        Query(description="`json` has all branches and can be imported; `markdown` what is shown."),
    ] = "json",
) -> Response:
    """Return a session as a file: all of it as JSON, or the branch that is shown as Markdown."""
    if format == "json":
        file = await database.read(session_export.read, principal.owner_id, session_id)
        return _download(file.model_dump_json(indent=1), file.session.title, "json")
    session, text = await database.read(_markdown, principal.owner_id, session_id)
    return _download(text, session.title, "md")


async def _all_files(database: Database, owner_id: str, ids: list[str]) -> AsyncGenerator[bytes]:
    """Yield the document; a session that is deleted meanwhile is left out."""
    yield b'{"format": "flotilla.sessions", "version": 1, "sessions": ['
    separator = b"\n"
    for session_id in ids:
        try:
            file = await database.read(session_export.read, owner_id, session_id)
        except NotFound:
            continue
        yield separator + file.model_dump_json().encode()
        separator = b",\n"
    yield b"\n]}\n"


def _download(text: str, title: str, ending: Literal["json", "md"]) -> Response:
    name = clean_name(f"{title.replace('/', ' ')[:80]}.{ending}")
    return Response(
        text,
        media_type="application/json" if ending == "json" else "text/markdown; charset=utf-8",
        headers={"Content-Disposition": content_disposition("attachment", name)},
    )


def _markdown(conn: Connection, owner_id: str, session_id: str) -> tuple[Session, str]:
    session = sessions.get(conn, owner_id, session_id)
    branch = messages.branch(conn, owner_id, session_id, session.leaf_message_id)
    of_branch = {message.turn_id for message in branch if message.turn_id is not None}
    found = turns.with_ids(conn, owner_id, of_branch)
    return session, as_markdown(session, branch, found)


def _import(conn: Connection, asking: Principal, file: SessionFile) -> Session:
    session = session_import.write(conn, asking.owner_id, file)
    audit.append(
        conn,
        asking.owner_id,
        actor=asking.actor,
        action="session_imported",
        subject=session.id,
        details={"messages": len(file.messages)},
    )
    return session
