"""Turns: start one, follow it, stop it, continue it."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationInfo, field_validator

from orchestrator.api.deps import (
    ChatDep,
    DatabaseDep,
    DocumentsDep,
    PrincipalDep,
    SettingsDep,
    TemporaryDep,
)
from orchestrator.api.event_stream import HEARTBEAT_S, EventStream
from orchestrator.api.model_ids import refuse_unknown_endpoints
from orchestrator.api.problems import problem_responses
from orchestrator.chat.accepting import NewTurn
from orchestrator.chat.events import ChatEvent
from orchestrator.chat.orchestrator import ChatOrchestrator
from orchestrator.chat.undoing import Undone
from orchestrator.domain.chat import Turn
from orchestrator.domain.model_settings import SessionSettings
from orchestrator.errors import Conflict, TooLarge
from orchestrator.settings import Settings
from orchestrator.store import turns

router = APIRouter(prefix="/api/chat", tags=["chat"])

Identifier = Annotated[str, Field(min_length=1, max_length=200)]
STREAM_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"model": ChatEvent, "description": "The turn's events, until it has ended"}
}


class Body(BaseModel):
    """A request body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class TurnSettings(SessionSettings):
    """What one turn does differently from its session; what is null or left out stays."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "anthropic/claude-sonnet-4.5",
                    "parameters": {"temperature": 0.2, "reasoning": {"effort": "low"}},
                    "provider": {"sort": "throughput", "data_collection": "deny"},
                    "disabled_servers": ["web-search"],
                }
            ]
        }
    )


class ChatRequest(Body):
    """A message of the owner; its text may be blank when files come with it."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"properties": {"message": {"pattern": r"\S"}}},
                {"properties": {"attachment_ids": {"minItems": 1}}, "required": ["attachment_ids"]},
            ]
        }
    )

    # Validated before the message, which may be blank because of them.
    attachment_ids: Annotated[list[Identifier], Field(max_length=20)] = []
    """Uploaded files that come with the message; each belongs to one session."""
    # Without any bound, half characters would pass, which nothing can store.
    message: Annotated[str, Field(min_length=0)]
    session_id: Identifier | None = None
    """Null starts a session."""
    client_message_id: Identifier | None = None
    """The same id again returns the same turn, never a second one."""
    parent_message_id: Identifier | None = None
    """Starts a branch under this message instead of the end of the session."""
    settings: TurnSettings = TurnSettings()
    temporary: StrictBool = False
    """True starts a session that is never stored: it is gone when it is deleted, after an hour
    without a message, and with the process. It takes and keeps no files."""

    @field_validator("message")
    @classmethod
    def _says_something(cls, value: str, info: ValidationInfo) -> str:
        if not (value.strip() or info.data.get("attachment_ids")):
            raise ValueError("must not be blank unless files come with it")
        return value


class ContinueRequest(Body):
    """Go on with an answer that was interrupted, failed, cancelled or cut off."""

    client_message_id: Identifier | None = None


class AnswerAgainRequest(Body):
    """Answer the same question once more; the answers stand beside one another."""

    client_message_id: Identifier | None = None
    settings: TurnSettings = TurnSettings()
    """What this answer does differently, such as another model."""


class UndoReport(BaseModel):
    """What became of each call that was to be reversed; `failed` ones can be tried again."""

    items: list[Undone]


@router.post(
    "/stream",
    status_code=200,
    response_class=EventStream,
    responses=STREAM_ANSWER | problem_responses(404, 409, 429, 507),
)
async def start_turn(
    body: ChatRequest,
    principal: PrincipalDep,
    chat: ChatDep,
    settings: SettingsDep,
    documents: DocumentsDep,
    temporary: TemporaryDep,
) -> EventStream:
    """Store the message, start its turn and stream its events; leaving does not stop it."""
    refuse_too_long(body.message, settings)
    refuse_unknown_endpoints(body.settings, documents.current.model_settings.endpoints, "settings")
    new = NewTurn(
        text=body.message,
        session_id=body.session_id,
        client_message_id=body.client_message_id,
        parent_message_id=body.parent_message_id,
        settings=body.settings,
        attachment_ids=tuple(dict.fromkeys(body.attachment_ids)),
    )
    is_held = body.session_id is not None and await temporary.holds([body.session_id])
    if body.temporary and body.session_id is not None and not is_held:
        raise Conflict("This chat is stored already. A temporary one begins without a session_id.")
    if body.temporary or is_held:
        turn = await temporary.start(principal.owner_id, new)
        return await event_stream(temporary.chat, principal.owner_id, turn.id, after=0)
    turn = await chat.start(principal.owner_id, new)
    return await event_stream(chat, principal.owner_id, turn.id, after=0)


@router.get("/turns/{turn_id}", responses=problem_responses(404))
async def get_turn(turn_id: Identifier, principal: PrincipalDep, database: DatabaseDep) -> Turn:
    """Return the turn as it stands."""
    return await database.read(turns.get, principal.owner_id, turn_id)


@router.get(
    "/turns/{turn_id}/events",
    status_code=200,
    response_class=EventStream,
    responses=STREAM_ANSWER | problem_responses(404, 409),
)
async def follow_turn(
    turn_id: Identifier,
    principal: PrincipalDep,
    chat: ChatDep,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    last_event_id: Annotated[str, Header(pattern=r"^([^:]{1,200}:[0-9]{1,15})?$")] = "",
) -> EventStream:
    """Stream the events after `Last-Event-ID` or `after`; 409 when the log lost some of those."""
    if last_event_id:
        after = _sequence_number(turn_id, last_event_id)
    return await event_stream(chat, principal.owner_id, turn_id, after)


@router.post("/turns/{turn_id}/cancel", responses=problem_responses(404, 507))
async def cancel_turn(turn_id: Identifier, principal: PrincipalDep, chat: ChatDep) -> Turn:
    """Stop the turn with the tool it is running; one that has ended stays as it is."""
    return await chat.cancel(principal.owner_id, turn_id)


@router.post(
    "/turns/{turn_id}/continue",
    status_code=200,
    response_class=EventStream,
    responses=STREAM_ANSWER | problem_responses(404, 409, 429, 507),
)
async def continue_turn(
    turn_id: Identifier, body: ContinueRequest, principal: PrincipalDep, chat: ChatDep
) -> EventStream:
    """Start a turn that goes on where this one stopped, and stream its events."""
    turn = await chat.continue_turn(principal.owner_id, turn_id, body.client_message_id)
    return await event_stream(chat, principal.owner_id, turn.id, after=0)


@router.post(
    "/turns/{turn_id}/regenerate",
    status_code=200,
    response_class=EventStream,
    responses=STREAM_ANSWER | problem_responses(404, 409, 429, 507),
)
async def answer_again(
    turn_id: Identifier,
    body: AnswerAgainRequest,
    principal: PrincipalDep,
    chat: ChatDep,
    documents: DocumentsDep,
) -> EventStream:
    """Answer the message of a turn again, beside its answer, and stream the new turn's events."""
    refuse_unknown_endpoints(body.settings, documents.current.model_settings.endpoints, "settings")
    ask = (turn_id, body.client_message_id, body.settings)
    turn = await chat.answer_again(principal.owner_id, *ask)
    return await event_stream(chat, principal.owner_id, turn.id, after=0)


@router.post("/turns/{turn_id}/undo", responses=problem_responses(404, 409, 507))
async def undo_turn(turn_id: Identifier, principal: PrincipalDep, chat: ChatDep) -> UndoReport:
    """Reverse what can be reversed of the turn, newest first; 409 when nothing can (any more)."""
    undone = await chat.undoing.undo_turn(principal.owner_id, turn_id, actor=principal.actor)
    return UndoReport(items=undone)


@router.post("/tool-calls/{tool_call_id}/undo", responses=problem_responses(404, 409, 507))
async def undo_tool_call(
    tool_call_id: Identifier, principal: PrincipalDep, chat: ChatDep
) -> UndoReport:
    """Reverse what one call did; 409 when it cannot be undone, or was undone already."""
    undone = await chat.undoing.undo_call(principal.owner_id, tool_call_id, actor=principal.actor)
    return UndoReport(items=[undone])


async def event_stream(
    chat: ChatOrchestrator, owner_id: str, turn_id: str, after: int
) -> EventStream:
    """Return the turn's events after sequence number `after` as an answer."""
    return EventStream(turn_id, await chat.follow(owner_id, turn_id, after, idle_s=HEARTBEAT_S))


def refuse_too_long(message: str, settings: Settings) -> None:
    """Raise TooLarge for a message above the limit."""
    if len(message) > settings.max_message_chars:
        raise TooLarge(
            f"The message has {len(message):,} characters; "
            f"the limit is {settings.max_message_chars:,}."
        )


def _sequence_number(turn_id: str, event_id: str) -> int:
    of_turn, _, number = event_id.partition(":")
    if of_turn != turn_id:
        raise Conflict(f"Last-Event-ID {event_id!r} belongs to another turn.")
    return int(number)
