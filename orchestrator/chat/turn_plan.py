"""What is known of a turn before its first round, or when it goes on after a restart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.chat.history import WireMessage
from orchestrator.chat.open_round import OpenRound
from orchestrator.domain.attachments import Attachment
from orchestrator.domain.chat import Turn


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """Everything a turn needs to know before its first round."""

    owner_id: str
    turn: Turn
    parent_message_id: str | None
    """The message that the first answer hangs under; that of the open round, if there is one."""
    history: list[WireMessage]
    """From the system prompt to the last message, in wire terms."""
    pictures: Mapping[str, Attachment] = field(default_factory=dict[str, Attachment])
    """By id: those that `history` names where their data goes."""
    fallback_models: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    """Further fields of the request, in wire terms."""
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """By model: what it is not sent of these settings, in dots, and nobody has been told."""
    disabled_servers: frozenset[str] = frozenset()
    """Those whose tools this turn does not have."""
    owner_texts: Sequence[str] = ()
    """What the owner wrote on this branch."""
    sources: Sequence[str] = ()
    """Where foreign text on this branch came from."""
    open_round: OpenRound | None = None
    """What to go on with after a restart."""
