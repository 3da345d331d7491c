"""The event union: everything a browser can be told about a turn.

The names and fields are the contract of DESIGN section 4. `ChatEvent` is a root model because
only a root model gives the union a name in OpenAPI and TypeScript.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from orchestrator.domain.attachments import Attachment
from orchestrator.domain.chat import FinishReason
from orchestrator.domain.previews import Preview
from orchestrator.domain.questions import SignInReason
from orchestrator.domain.tools import ToolCallStatus


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TurnStarted(_Event):
    """Always the first event of a turn."""

    type: Literal["turn_started"] = "turn_started"
    turn_id: str
    session_id: str
    user_message_id: str | None
    """Null when the turn continues an earlier one."""
    assistant_message_id: str
    model: str


class TextDelta(_Event):
    """More text of the answer."""

    type: Literal["text_delta"] = "text_delta"
    text: str


class ReasoningDelta(_Event):
    """More of the model's reasoning."""

    type: Literal["reasoning_delta"] = "reasoning_delta"
    text: str


class ToolCallStarted(_Event):
    """A tool call was sent to its server."""

    type: Literal["tool_call_started"] = "tool_call_started"
    tool_call_id: str
    tool: str
    server: str
    arguments: dict[str, Any]


class ToolCallProgress(_Event):
    """The tool reports how far it is."""

    type: Literal["tool_call_progress"] = "tool_call_progress"
    tool_call_id: str
    progress: float
    total: float | None = None
    message: str | None = None


class ToolCallFinished(_Event):
    """A tool call ended; `text` is what the model saw."""

    type: Literal["tool_call_finished"] = "tool_call_finished"
    tool_call_id: str
    status: ToolCallStatus
    duration_ms: int
    text: str
    structured: Any = None
    attachments: list[str] = Field(default_factory=list[str])
    error: str | None = None
    sources: list[str] = Field(default_factory=list[str])
    """Where foreign text in the result came from."""
    undoable: bool = False


class ApprovalRequested(_Event):
    """The turn waits for the owner's decision."""

    type: Literal["approval_requested"] = "approval_requested"
    approval_id: str
    tool_call_id: str
    tool: str
    account: str | None = None
    arguments: dict[str, Any]
    level: int
    reason: str
    taint: list[str] = Field(default_factory=list[str])
    """Where foreign text in the chat came from."""
    undoable: bool = False
    preview: Preview | None = None
    """What the call would do, as its server told; null for most tools."""
    expires_at: str


class ApprovalResolved(_Event):
    """The owner decided, or the request expired."""

    type: Literal["approval_resolved"] = "approval_resolved"
    approval_id: str
    decision: Literal["approved", "denied", "expired", "cancelled"]
    by: str
    arguments: dict[str, Any] | None = None
    """What will run, where the owner changed the arguments."""
    reason: str | None = None


class QuestionAsked(_Event):
    """A call cannot run before the owner has signed in; the turn waits for that."""

    type: Literal["question_asked"] = "question_asked"
    question_id: str
    tool_call_id: str
    mode: Literal["url"] = "url"
    """The owner answers by following `url`."""
    server: str
    title: str
    message: str
    url: str
    """A path of ours that leads on to the provider."""
    account: str | None = None
    """The account the call works on; null when any will do."""
    capability: str
    """What the account has to permit."""
    reason: SignInReason
    expires_at: str


class QuestionAnswered(_Event):
    """Somebody signed in, the owner declined, or the question ended by itself."""

    type: Literal["question_answered"] = "question_answered"
    question_id: str
    tool_call_id: str
    answer: Literal["done", "declined", "expired", "cancelled"]


class AttachmentAdded(_Event):
    """A tool or the model returned a file."""

    type: Literal["attachment_added"] = "attachment_added"
    attachment_id: str
    tool_call_id: str | None = None
    name: str
    mime_type: str
    size_bytes: int
    width: int | None = None
    """Of a picture: pixels, as it is shown."""
    height: int | None = None


class SourceAdded(_Event):
    """The answer cites a source."""

    type: Literal["source_added"] = "source_added"
    url: str
    title: str


class UsageRecorded(_Event):
    """What one round cost; money in micro-dollars."""

    type: Literal["usage_recorded"] = "usage_recorded"
    round: int
    model: str
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cached_tokens: int
    cost_microusd: int


class Notice(_Event):
    """Something the owner should know that does not end the turn."""

    type: Literal["notice"] = "notice"
    code: str
    message: str


class TurnFailed(_Event):
    """The turn ended without a finished answer; what came so far is kept."""

    type: Literal["turn_failed"] = "turn_failed"
    code: str
    message: str
    retryable: bool
    retry_after_s: float | None = None


class TurnFinished(_Event):
    """The turn ended."""

    type: Literal["turn_finished"] = "turn_finished"
    finish_reason: FinishReason
    cost_microusd: int
    duration_ms: int


AnyEvent = (
    TurnStarted
    | TextDelta
    | ReasoningDelta
    | ToolCallStarted
    | ToolCallProgress
    | ToolCallFinished
    | ApprovalRequested
    | ApprovalResolved
    | QuestionAsked
    | QuestionAnswered
    | AttachmentAdded
    | SourceAdded
    | UsageRecorded
    | Notice
    | TurnFailed
    | TurnFinished
)


class ChatEvent(RootModel[Annotated[AnyEvent, Field(discriminator="type")]]):
    """One event of a turn; the SSE `event:` field repeats its `type`."""


def attachment_added(attachment: Attachment, tool_call_id: str | None = None) -> AttachmentAdded:
    """Return the event that tells of a file that is kept by now."""
    return AttachmentAdded(
        attachment_id=attachment.id,
        tool_call_id=tool_call_id,
        name=attachment.name,
        mime_type=attachment.mime,
        size_bytes=attachment.size_bytes,
        width=attachment.width,
        height=attachment.height,
    )


TERMINAL_TYPES = frozenset({"turn_finished", "turn_failed"})
