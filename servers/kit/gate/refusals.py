"""What the gate answers instead of a result, for programs and for models."""

from typing import Any, Literal

from mcp.types import CallToolResult, TextContent

from servers.kit.errors import SignInRequired

CALL_ID_META = "flotilla/call_id"
EFFECTS_META = "flotilla/effects"

Reason = Literal["level", "limit"]
Code = Literal[
    "approval_required",
    "denied",
    "approval_expired",
    "grant_refused",
    "outcome_unknown",
    "in_progress",
    "arguments_differ",
    "arguments_too_large",
    "gate_unavailable",
    "read_only_token",
    "result_too_large",
    "sign_in_required",
]
"""With all of them nothing happened, except with `result_too_large` (it was done),
`outcome_unknown` (perhaps) and `in_progress`."""


def refusal(
    code: Code, message: str, *, call_id: str | None, **details: str | None
) -> CallToolResult:
    """An error result with `{"error": {"code", "message", ...}}`, without details that are None."""
    known = {name: value for name, value in details.items() if value is not None}
    return _refusal({"code": code, "message": message, **known}, call_id)


def call_meta(call_id: str) -> dict[str, Any]:
    """The `_meta` of every result of a gated call."""
    return {CALL_ID_META: call_id}


def result_too_large(call_id: str, why: str) -> CallToolResult:
    """It was done, but what the tool said of it cannot be sent."""
    text = f"It was done; do not call it again. {why}"
    return refusal("result_too_large", text, call_id=call_id)


def approval_required(
    call_id: str,
    *,
    reason: Reason,
    why: str,
    how: str,
    ticket_id: str | None = None,
    approval_url: str | None = None,
) -> CallToolResult:
    """The owner has to agree first; `why` is for the owner, `how` for the model."""
    return refusal(
        "approval_required",
        f"This call needs the owner's approval; nothing was done. {why} {how}",
        call_id=call_id,
        reason=reason,
        why=why,
        ticket_id=ticket_id,
        approval_url=approval_url,
    )


def arguments_too_large(call_id: str, most: int) -> CallToolResult:
    """Nobody can be asked about so much."""
    return refusal(
        "arguments_too_large",
        "This call needs the owner's approval, and nobody can judge arguments of more than"
        f" {most // 1024} kB; nothing was done. Make several smaller calls.",
        call_id=call_id,
    )


def grant_refused(call_id: str, why: str) -> CallToolResult:
    """The grant that came along does not permit this call."""
    return refusal("grant_refused", f"{why} Nothing was done.", call_id=call_id)


def denied(call_id: str, reason: str | None) -> CallToolResult:
    """The owner said no."""
    said = f" The owner says: {reason}" if reason else ""
    return refusal(
        "denied",
        f"The owner did not approve this call; nothing was done.{said} Do not call it again"
        " as it is.",
        call_id=call_id,
    )


def expired(call_id: str) -> CallToolResult:
    """Nobody decided in time."""
    return refusal(
        "approval_expired",
        "Nobody approved this call in time; nothing was done. Calling it again asks again.",
        call_id=call_id,
    )


def unknown(call_id: str) -> CallToolResult:
    """The server does not know whether it happened."""
    return refusal(
        "outcome_unknown",
        "This call began but its end is not known: it may have been carried out or not. Look before"
        " calling it again, and tell the owner.",
        call_id=call_id,
    )


def in_progress(call_id: str) -> CallToolResult:
    """Another process of this server is at it."""
    return refusal(
        "in_progress",
        "This call is being carried out by another process of this server; ask again with the same"
        " call id for its result.",
        call_id=call_id,
    )


def arguments_differ(call_id: str) -> CallToolResult:
    """The id is taken by a call with other arguments."""
    return refusal(
        "arguments_differ",
        f"The call id {call_id!r} belongs to a call with other arguments; nothing was done.",
        call_id=call_id,
    )


def gate_unavailable(call_id: str | None, why: str) -> CallToolResult:
    """The journal cannot be written: a call that would not be remembered is not made."""
    return refusal(
        "gate_unavailable",
        f"The call cannot be noted in this server's journal, so it was not made. {why}",
        call_id=call_id,
    )


def read_only_token(tool: str) -> CallToolResult:
    """The owner let this client look, and nothing else."""
    return refusal(
        "read_only_token",
        f"This client may only use tools that read, and {tool!r} changes or sends something;"
        " nothing was done. The owner can connect it with the scope `full`.",
        call_id=None,
    )


def sign_in_required(
    needed: SignInRequired,
    *,
    server: str,
    provider: str,
    how: str,
    sign_in_url: str | None,
    call_id: str | None,
) -> CallToolResult:
    """The owner has to sign in first; the id and the grant of the call can be used again.

    Unlike others, it has all its details, those that are None as null.
    """
    error = {
        "code": "sign_in_required",
        "message": f"{needed} {how}",
        "server": server,
        "provider": provider,
        "account": needed.account,
        "capability": needed.capability,
        "reason": needed.reason,
        "sign_in_url": sign_in_url,
    }
    return _refusal(error, call_id)


def _refusal(error: dict[str, str | None], call_id: str | None) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=error["message"] or "")],
        structured_content={"error": error},
        is_error=True,
        _meta=call_meta(call_id) if call_id is not None else None,
    )
