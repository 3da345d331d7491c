"""What is known of a turn before its first round."""

from dataclasses import dataclass, field
from typing import Any

from orchestrator.chat.history import WireMessage
from orchestrator.domain.chat import Turn


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """Everything a turn needs to know before its first round."""

    owner_id: str
    turn: Turn
    parent_message_id: str | None
    """The message that the first answer hangs under."""
    history: list[WireMessage]
    """From the system prompt to the last message, in wire terms."""
    fallback_models: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
