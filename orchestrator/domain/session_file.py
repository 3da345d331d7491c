"""A session as a file: everything that was said on all branches, to keep or to move.

Ids are those of the house that wrote the file and mean nothing elsewhere. The bytes of attachments
are not in it, nor what a provider needs to continue its own reasoning.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from orchestrator.domain.chat import (
    FinishReason,
    RequestedToolCall,
    Role,
    TitleSource,
    TurnError,
)
from orchestrator.domain.model_settings import SessionSettings
from orchestrator.domain.tools import Effect, ToolCallStatus
from orchestrator.domain.values import Value

Key = Annotated[str, Field(min_length=1, max_length=200)]


def _is_a_time(value: str) -> str:
    datetime.fromisoformat(value)
    return value


Moment = Annotated[
    str,
    Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"),
    AfterValidator(_is_a_time),
]
Count = Annotated[int, Field(ge=0, le=2**53)]
_Problem = tuple[tuple[str | int, ...], str]


class FiledAttachment(Value):
    """What is known of a file that the session shows."""

    id: Key
    name: Annotated[str, Field(max_length=1_000)]
    mime: Annotated[str, Field(max_length=200)]
    size_bytes: Count
    sha256: Annotated[str, Field(max_length=64)]


class FiledCall(Value):
    """A tool call with its result; one that had not ended is `unknown`."""

    tool_call_id: Key
    tool: Key
    server: Key
    arguments: dict[str, Any]
    state: ToolCallStatus
    read_only: bool
    text: str = ""
    structured: Any = None
    error: str | None = None
    started_at: Moment | None = None
    duration_ms: Count | None = None
    ran_arguments: dict[str, Any] | None = None
    effect: Effect | None = None
    effects: Count | None = None
    sources: list[str] = Field(default_factory=list[str])
    undone_at: Moment | None = None
    attachments: list[Key] = Field(default_factory=list[Key])


class FiledMessage(Value):
    """One message; its parent stands before it."""

    id: Key
    parent_id: Key | None
    turn_id: Key | None
    role: Role
    content: str
    created_at: Moment
    complete: bool = True
    reasoning: str = ""
    reasoning_ms: Count | None = None
    tool_calls: Annotated[list[RequestedToolCall], Field(max_length=1_000)] = Field(
        default_factory=list[RequestedToolCall]
    )
    tool_call: FiledCall | None = None
    sources: list[dict[str, str]] = Field(default_factory=list[dict[str, str]])
    attachments: list[Key] = Field(default_factory=list[Key])


class FiledTurn(Value):
    """One turn; one that was running is `interrupted`."""

    id: Key
    user_message_id: Key | None
    assistant_message_id: Key
    state: Literal["finished", "failed", "interrupted", "cancelled"]
    model: Key
    finish_reason: FinishReason | None = None
    error: TurnError | None = None
    cost_microusd: Count = 0
    created_at: Moment
    finished_at: Moment | None = None


class FiledSession(Value):
    """What is known of the session itself."""

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    title_source: TitleSource = "first_words"
    pinned: bool = False
    created_at: Moment
    updated_at: Moment
    leaf_message_id: Key | None = None
    settings: SessionSettings = SessionSettings()


class SessionFile(Value):
    """A session with all its branches, turns, calls and the names of its files."""

    format: Literal["flotilla.session"] = "flotilla.session"
    version: Literal[1] = 1
    session: FiledSession
    messages: Annotated[list[FiledMessage], Field(max_length=100_000)]
    turns: Annotated[list[FiledTurn], Field(max_length=100_000)] = Field(
        default_factory=list[FiledTurn]
    )
    attachments: Annotated[list[FiledAttachment], Field(max_length=100_000)] = Field(
        default_factory=list[FiledAttachment]
    )

    @model_validator(mode="before")
    @classmethod
    def _can_be_written_again(cls, data: Any) -> Any:
        """Refuse what the JSON reader lets through and no writer writes."""
        try:
            json.dumps(data, ensure_ascii=False, allow_nan=False, default=str).encode()
        except ValueError as error:
            raise ValueError("must hold neither half characters nor numbers like NaN") from error
        return data

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        problems = [*_tree_problems(self.messages), *_turn_problems(self)]
        leaf = self.session.leaf_message_id
        if leaf is not None and leaf not in {message.id for message in self.messages}:
            problems.append((("session", "leaf_message_id"), "names no message of this file"))
        if problems:
            raise ValidationError.from_exception_data(
                type(self).__name__, [_detail(problem) for problem in problems[:20]]
            )
        return self


def _tree_problems(messages: Sequence[FiledMessage]) -> list[_Problem]:
    """A parent must stand before its children: so there is no cycle and no foreign parent."""
    problems: list[_Problem] = []
    seen: set[str] = set()
    requested: set[str] = set()
    answered: set[str] = set()
    for number, message in enumerate(messages):
        place = ("messages", number)
        if message.id in seen:
            problems.append(((*place, "id"), "stands twice in this file"))
        if message.parent_id is not None and message.parent_id not in seen:
            problems.append(((*place, "parent_id"), "names no message before this one"))
        call = message.tool_call
        if (call is not None) != (message.role == "tool"):
            problems.append(((*place, "tool_call"), "belongs to messages of role tool, and to all"))
        elif call is not None and (
            call.tool_call_id not in requested or call.tool_call_id in answered
        ):
            why = "names no call that an earlier message asked for, or one that has its result"
            problems.append(((*place, "tool_call", "tool_call_id"), why))
        for index, request in enumerate(message.tool_calls):
            if request.tool_call_id in requested:
                where = (*place, "tool_calls", index, "tool_call_id")
                problems.append((where, "stands twice in this file"))
            requested.add(request.tool_call_id)
        if call is not None:
            answered.add(call.tool_call_id)
        seen.add(message.id)
    return problems


def _turn_problems(file: SessionFile) -> list[_Problem]:
    problems: list[_Problem] = []
    turns: set[str] = set()
    ids = {message.id for message in file.messages}
    for number, turn in enumerate(file.turns):
        if turn.id in turns:
            problems.append((("turns", number, "id"), "stands twice in this file"))
        if turn.user_message_id is not None and turn.user_message_id not in ids:
            where = ("turns", number, "user_message_id")
            problems.append((where, "names no message of this file"))
        turns.add(turn.id)
    for number, message in enumerate(file.messages):
        is_missing = message.turn_id is None and message.role == "tool"
        if is_missing or (message.turn_id is not None and message.turn_id not in turns):
            problems.append((("messages", number, "turn_id"), "names no turn of this file"))
    return problems


def _detail(problem: _Problem) -> InitErrorDetails:
    place, why = problem
    error = PydanticCustomError("value_error", "{why}", {"why": why})
    return InitErrorDetails(type=error, loc=place, input=None)
