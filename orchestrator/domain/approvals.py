"""Approvals: what waits for the owner's decision, and what was decided."""

from typing import Any, Literal

from pydantic import Field

from orchestrator.domain.previews import Preview
from orchestrator.domain.tools import Effect
from orchestrator.domain.values import Value

ApprovalState = Literal["pending", "approved", "denied", "expired", "cancelled"]
ApprovalOrigin = Literal["turn", "client", "api"]
"""Who waits: a turn of the chat, another MCP client of a server, or a caller of the HTTP API."""
ApprovalScope = Literal["once", "session", "always"]
PolicyMode = Literal["ask", "quarantine"]
"""`quarantine` lets no tool run once foreign text was read."""


class Approval(Value):
    """One call that waits, or waited, for the owner."""

    id: str
    origin: ApprovalOrigin
    state: ApprovalState
    tool_call_id: str
    server: str
    tool: str
    """Qualified name."""
    title: str
    account: str | None = None
    arguments: dict[str, Any]
    """As they were asked for."""
    arguments_to_run: dict[str, Any] | None = None
    """As the owner changed them; null when they were approved as they are."""
    level: int
    effect: Effect | None = None
    reason: str
    """Why this is asked, in a sentence."""
    taint: list[str] = Field(default_factory=list[str])
    """Where foreign text in the chat came from."""
    undoable: bool = False
    client: str
    """The program that asks: `web chat`, `HTTP API`, or what an MCP client calls itself."""
    session_id: str | None = None
    turn_id: str | None = None
    created_at: str
    expires_at: str
    decided_at: str | None = None
    decided_by: str | None = None
    decision_reason: str | None = None
    """What the owner said on denying; the model sees it."""
    scope: ApprovalScope | None = None
    preview: Preview | None = None
    """What the call would do, as its server told when it was asked; null for most tools."""
    outcome: dict[str, Any] | None = None
    """For `client` and `api`: how the call ended that ran on approval: status, text, error."""


class Decision(Value):
    """What the owner decides."""

    approve: bool
    by: str
    """`web`, `api` or `terminal`."""
    scope: ApprovalScope = "once"
    arguments: dict[str, Any] | None = None
    """Changed arguments; null runs those that were asked for."""
    reason: str | None = None


class StandingApproval(Value):
    """A tool the owner need not be asked about again: in one session, or always."""

    id: str
    tool: str
    session_id: str | None
    created_at: str
    created_by: str
