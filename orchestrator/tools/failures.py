"""How an exchange with a server can fail, and what that says about a tool call."""

from typing import Literal

from orchestrator.domain.servers import ServerConfig
from orchestrator.errors import ServerUnavailable, ToolError

FailureKind = Literal[
    "refused",  # no connection, so nothing was sent
    "broken",  # the connection ended after the request was sent
    "timeout",  # no complete reply in time
    "session_lost",  # the server has forgotten the session, so nothing ran
    "auth",  # 401 or 403
    "http",  # another status that is no success
    "redirect",  # never followed: a token must not travel on
    "too_large",  # a reply over its limit
    "garbage",  # a reply that is no JSON-RPC answer to the request, or is encoded
    "rpc",  # a JSON-RPC error that refuses the request
    "fault",  # any other JSON-RPC error: it may have come in the middle of the work
]


class ExchangeFailed(Exception):
    """One request to a server failed; `str()` says how, without secrets."""

    def __init__(self, kind: FailureKind, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.status = status

    @property
    def surely_did_not_run(self) -> bool:
        """True when the server cannot have begun the work that was asked for."""
        if self.kind == "http":
            return self.status is not None and self.status < 500
        return self.kind in ("refused", "session_lost", "auth", "redirect", "rpc")


class NeedsSignIn(ToolError):
    """The server does not accept the token of the orchestrator."""

    code = "needs_sign_in"


class BadReply(ToolError):
    """The server answered with something that is not a usable result."""

    code = "bad_reply"


def away(
    config: ServerConfig, failure: ExchangeFailed | None, since: str
) -> ServerUnavailable | NeedsSignIn:
    """Return what a call to a server without a session ends with; `since` is an RFC 3339 time."""
    name = config.shown_title
    if not config.enabled:
        return ServerUnavailable(f"The server {name!r} is switched off.")
    if failure is not None and failure.kind == "auth":
        return NeedsSignIn(
            f"The server {name!r} did not accept the orchestrator's token; check its token."
        )
    why = f": {failure}" if failure else ""
    return ServerUnavailable(
        f"The server {name!r} is away since {since}{why}. It is tried again by itself."
    )


def unreadable(config: ServerConfig, failure: ExchangeFailed) -> ToolError:
    """Return what to raise when a server's records could not be read."""
    name = config.shown_title
    if failure.kind == "auth":
        return NeedsSignIn(f"The server {name!r} gave no records: {failure}.")
    if failure.kind in ("refused", "broken", "timeout", "http"):
        return ServerUnavailable(f"The records of the server {name!r} are away: {failure}.")
    return BadReply(f"The records of the server {name!r} cannot be used: {failure}.")


def no_answer(config: ServerConfig, failure: ExchangeFailed) -> ToolError:
    """Return what to raise when a server did not answer a request beside its MCP session."""
    name = config.shown_title
    if failure.kind == "auth":
        return NeedsSignIn(f"The server {name!r} cannot be asked: {failure}.")
    if failure.kind in ("refused", "broken", "timeout", "http"):
        return ServerUnavailable(f"The server {name!r} cannot be asked now: {failure}.")
    return BadReply(f"The server {name!r} gave no usable answer: {failure}.")
