"""Sessions, messages and turns as they are stored and as the API shows them."""

from typing import Any, Literal

from pydantic import Field

from orchestrator.domain.model_settings import SessionSettings
from orchestrator.domain.tools import Effect, ToolCallStatus
from orchestrator.domain.values import Value

Role = Literal["user", "assistant", "tool"]
TurnState = Literal["running", "finished", "failed", "interrupted", "cancelled"]
FinishReason = Literal["stop", "length", "limit", "cancelled"]
ToolCallState = Literal["planned", "started"] | ToolCallStatus


TitleSource = Literal["first_words", "model", "owner"]
"""Who named a session; what the owner wrote is never replaced."""


class Session(Value):
    """One stored chat."""

    id: str
    title: str
    title_source: TitleSource = "first_words"
    pinned: bool
    created_at: str
    updated_at: str
    leaf_message_id: str | None = None
    """Last message of the branch that is shown."""
    running_turn_id: str | None = None
    temporary: bool = False
    """True when it is never stored."""
    settings: SessionSettings = SessionSettings()
    """What its turns do differently from the settings in force."""
    snippet: str | None = None
    """Where a search found its words; `\\u0002` and `\\u0003` enclose each hit."""


class AttachmentShown(Value):
    """A file as messages show it."""

    id: str
    name: str
    mime: str
    size_bytes: int
    width: int | None = None
    """Of a picture: pixels, as it is shown; null where nobody noted them."""
    height: int | None = None
    expires_at: str | None = None
    """When it is deleted unless it is used again; null where it is kept, and in a result that has
    just come."""
    deleted: bool = False
    """True when it is gone; then nothing else is known of it."""


class RequestedToolCall(Value):
    """A tool call as the model asked for it."""

    tool_call_id: str
    tool: str
    """Qualified name."""
    server: str
    arguments: dict[str, Any]
    invalid_arguments: str | None = None
    """The model's text when it was not a JSON object."""


class ToolCallRecord(Value):
    """A tool call as it ended, or as far as it came."""

    tool_call_id: str
    tool: str
    server: str
    arguments: dict[str, Any]
    state: ToolCallState
    read_only: bool
    """Whether a trusted server said that the tool changes nothing."""
    text: str = ""
    """What the model saw."""
    structured: Any = None
    error: str | None = None
    started_at: str | None = None
    duration_ms: int | None = None
    ran_arguments: dict[str, Any] | None = None
    """What ran instead, where the owner changed the arguments on approving."""
    effect: Effect | None = None
    effects: int | None = None
    """How many, as the server counted."""
    sources: list[str] = Field(default_factory=list[str])
    """Where foreign text in the result came from; not empty when the tool is `untrusted`."""
    undoable: bool = False
    """Whether one click reverses it."""
    undone_at: str | None = None
    attachments: list[AttachmentShown] = Field(default_factory=list[AttachmentShown])
    """Files that it returned."""


class Message(Value):
    """One stored entry of a session."""

    id: str
    session_id: str
    parent_id: str | None
    turn_id: str | None
    role: Role
    content: str
    created_at: str
    complete: bool = True
    """False when the turn stopped in the middle of this message."""
    reasoning: str = ""
    reasoning_ms: int | None = None
    reasoning_details: list[dict[str, Any]] = Field(
        default_factory=list[dict[str, Any]], exclude=True
    )
    """Verbatim and in order, to be sent back to the model; never shown."""
    tool_calls: list[RequestedToolCall] = Field(default_factory=list[RequestedToolCall])
    tool_call: ToolCallRecord | None = None
    """Set on messages of role `tool`."""
    sources: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    attachments: list[AttachmentShown] = Field(default_factory=list[AttachmentShown])
    """Files that the owner sent along, or that the model made."""
    imported: bool = False
    """True when it came from a file: nobody knows who wrote it."""
    siblings: list[str] = Field(default_factory=list[str])
    """The ids of all versions of this message in their order, when there is more than one."""


class SearchHit(Value):
    """A message or a title that has all words of a search."""

    session_id: str
    session_title: str
    message_id: str | None
    """None when it is the title."""
    role: Role | None
    created_at: str
    snippet: str
    """Plain text around the words; `\\u0002` and `\\u0003` enclose each hit."""


class TurnError(Value):
    """Why a turn failed."""

    code: str
    message: str
    retryable: bool = False


class Turn(Value):
    """From one user message to the last event of its answer."""

    id: str
    session_id: str
    user_message_id: str | None
    assistant_message_id: str
    """The id of the first assistant message of this turn."""
    state: TurnState
    model: str
    finish_reason: FinishReason | None = None
    error: TurnError | None = None
    cost_microusd: int = 0
    created_at: str
    finished_at: str | None = None
    waiting_since: str | None = None
    """Set while a running turn waits for approvals; it then survives a restart."""
    last_seq: int = 0
