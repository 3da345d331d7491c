"""What stands between a call and its run, and what lets it pass."""

from dataclasses import dataclass

from fastmcp.exceptions import ToolError

from servers.kit.errors import SignInRequired
from servers.kit.gate.incoming import AskState
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
    """Whether exactly this call was approved: then for `call.account` and for no other."""
    ticket_id: str | None = None
    """The ticket to close once the client has the call's result."""


class NeedsSignIn(ToolError):
    """A call was not made because of its account; with `state` the same call goes on later."""

    def __init__(self, why: SignInRequired, state: AskState) -> None:
        super().__init__(str(why))
        self.state = state
