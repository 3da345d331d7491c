"""What stands between a call and its run, and what lets it pass."""

from dataclasses import dataclass

from servers.kit.gate.journal import Call
from servers.kit.gate.tickets import Reason


@dataclass(frozen=True, slots=True)
class Need:
    """Why a call may not run as it is."""

    reason: Reason
    why: str
    """A sentence for the owner."""


@dataclass(frozen=True, slots=True)
class Permit:
    """The call as it may run."""

    call: Call
    may_pass_limits: bool = False
    ticket_id: str | None = None
    """The ticket to close once the client has the call's result."""
