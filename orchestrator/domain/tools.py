"""Tools as the chat sees them: definitions, results and the state of their servers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

ToolCallStatus = Literal["done", "failed", "denied", "cancelled", "unknown"]
ServerState = Literal[
    "connecting", "ready", "degraded", "unavailable", "needs_sign_in", "disabled", "changed"
]
ProgressHandler = Callable[[float, float | None, str | None], None]
"""Called with (progress, total, message) whenever the tool reports progress."""


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """One tool a model may call, under its qualified name."""

    qualified_name: str
    """`server__tool`, at most 64 characters of `[a-zA-Z0-9_-]`."""
    server: str
    name: str
    """The name the server itself uses."""
    title: str
    description: str
    input_schema: dict[str, Any]
    read_only: bool
    """True only when a trusted server says that the tool changes nothing."""
    idempotent: bool


@dataclass(frozen=True, slots=True)
class ToolMedia:
    """Bytes that a tool returned: an image, a sound or an embedded file."""

    mime_type: str
    data: bytes
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """How one tool call ended. `text` is what the model reads, already capped."""

    status: ToolCallStatus
    text: str
    structured: Any = None
    media: tuple[ToolMedia, ...] = ()
    error: str | None = None
    """One sentence for the person, set exactly when `status` is not `done`."""
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What is known of one configured server right now."""

    id: str
    title: str
    url: str
    enabled: bool
    state: ServerState
    since: str
    """RFC 3339 time of the last change of state."""
    last_error: str | None = None
    tool_count: int = 0
    version: str | None = None
    instructions: str | None = field(default=None, repr=False)
