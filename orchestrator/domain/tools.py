"""Tools as the chat sees them: definitions, results and the state of their servers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.domain.servers import ServerConfig

ToolCallStatus = Literal["done", "failed", "denied", "cancelled", "unknown"]
ServerState = Literal[
    "connecting", "ready", "degraded", "unavailable", "needs_sign_in", "disabled", "changed"
]
Label = Literal["read", "write", "destructive", "private", "untrusted", "egress"]
"""What a tool can do to the owner's world; a server of the fleet says it in its manifest."""
Effect = Literal["change", "send", "delete", "share"]
"""What a tool that is not read-only does, as limits count it."""
ALL_EFFECTS: frozenset[Label] = frozenset({"write", "untrusted", "egress"})
"""What is assumed of every tool of a third party, whatever it says."""
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
    labels: frozenset[Label] = ALL_EFFECTS
    level: int = 2
    """0 runs, 1 runs and tells, 2 asks and may be told not to, 3 asks every time."""
    effect: Effect | None = "change"
    """None exactly when the tool is read-only."""
    destinations: tuple[str, ...] = ()
    """Arguments that say where something goes: recipients, channels, addresses."""
    account_argument: str | None = None
    """The argument that names the account it works on."""
    undoable: bool = False
    """Whether its server names a tool that reverses it."""
    is_journalled: bool = False
    """Whether its server runs a call id at most once and remembers how that ended."""
    has_preview: bool = False
    """Whether its server can say what a call would do."""
    capability: str | None = None
    """What an account of its server has to permit; None when no account is needed."""

    @property
    def reaches_out(self) -> bool:
        """Whether it changes something or sends something out of the owner's world."""
        return bool(self.labels & {"write", "egress"})


@dataclass(frozen=True, slots=True)
class KnownTool:
    """A tool of a configured server, and whether it can be called."""

    definition: ToolDefinition
    is_enabled: bool
    """False when it is switched off in the settings."""
    is_held_back: bool
    """True when it changed on its server and waits to be accepted."""
    is_up: bool
    """Whether its server can be reached."""
    schema_bytes: int = 0
    """What it adds to each request to a model."""


@dataclass(frozen=True, slots=True)
class Permit:
    """What goes along with a call so that its server can judge and record it."""

    turn_id: str | None = None
    grant: str | None = None
    """A signed grant for exactly these arguments, where one is needed."""
    taint: tuple[str, ...] = ()
    """Where foreign text in the turn came from, in words for the owner."""


@dataclass(frozen=True, slots=True)
class UndoCall:
    """The call that reverses another."""

    tool: str
    """Qualified name."""
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolMedia:
    """Bytes that a tool returned: an image, a sound or an embedded file."""

    mime_type: str
    data: bytes
    name: str | None = None


@dataclass(frozen=True, slots=True)
class FileLink:
    """A file that a server of the fleet left for us: on the server, or with us already."""

    uri: str
    name: str
    mime_type: str | None = None
    attachment_id: str | None = None
    """Set when its server uploaded it to us."""


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
    undo: UndoCall | None = None
    effects: int | None = None
    """How many, as the server counted; None when it did not say."""
    links: tuple[FileLink, ...] = ()
    whole_text: str | None = None
    """The text before it was capped; None when nothing was cut."""


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the last calls of a server took, in ms; None when there were none."""

    p50: float | None = None
    p95: float | None = None
    calls: int = 0
    """How many were measured, at most 200."""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What is known of one configured server right now."""

    config: ServerConfig
    state: ServerState
    since: str
    """RFC 3339 time of the last change of state."""
    last_error: str | None = None
    tool_count: int = 0
    """All its tools, also those that cannot be called."""
    tools_on: int = 0
    """Those that are neither switched off nor held back."""
    schema_bytes: int = 0
    """What the tools that are on add to each request to a model."""
    changed_tools: tuple[str, ...] = ()
    """Tools that changed on the server and wait to be accepted."""
    latency: Latency = Latency()
    version: str | None = None
    instructions: str | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        return self.config.id

    @property
    def title(self) -> str:
        return self.config.shown_title

    @property
    def enabled(self) -> bool:
        return self.config.enabled
