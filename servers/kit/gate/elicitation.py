"""Asks the owner through the client that calls, in both eras of the protocol."""

from dataclasses import dataclass
from typing import Any

from fastmcp.server.context import Context
from fastmcp.tools.base import InputRequiredToolResult
from mcp.server.request_state import (
    AESGCMRequestStateCodec,
    InvalidRequestState,
    RequestStateSecurity,
)
from mcp.shared.exceptions import MCPError
from mcp.types import (
    CallToolRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)

MODERN = "2026-07-28"
"""From this revision on a server asks by returning, not by a request of its own."""
ANSWER = "approve"
FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        ANSWER: {
            "type": "boolean",
            "title": "Approve",
            "description": "Yes runs exactly this call, once.",
        }
    },
    "required": [ANSWER],
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the person at the client said."""

    is_approved: bool
    reason: str


class StateSeal:
    """Seals what the client has to send back; the key is known once the server runs.

    The SDK's own codec takes its key when a server is constructed, which is at import, long before
    anybody knows whose data directory it will serve.
    """

    def __init__(self) -> None:
        self._codec: AESGCMRequestStateCodec | None = None

    def use_key(self, key: bytes) -> None:
        """Seals with `key`, 32 bytes, from now on."""
        self._codec = AESGCMRequestStateCodec([key])

    def seal(self, payload: bytes) -> str:
        if self._codec is None:
            raise RuntimeError("the server has no key yet: it is not running")
        return self._codec.seal(payload)

    def unseal(self, token: str) -> bytes:
        if self._codec is None:
            raise InvalidRequestState("no tool of this server asks")
        return self._codec.unseal(token)


def state_security(seal: StateSeal, lifetime_s: float) -> RequestStateSecurity:
    """What binds a sealed state to tool, arguments and server; an answer may come that late."""
    return RequestStateSecurity(codec=seal, ttl=lifetime_s)


def can_elicit(ctx: Context) -> bool:
    """Whether the client said that it shows forms to a person."""
    capabilities = ctx.session.client_capabilities
    offered = capabilities.elicitation if capabilities is not None else None
    # Before 2025-11-25 there were only forms, so that an empty object means them.
    return offered is not None and (offered.form is not None or offered.url is None)


def is_modern(ctx: Context) -> bool:
    """Whether questions travel in results."""
    return ctx.session.protocol_version >= MODERN


def asking_result(message: str, state: str) -> InputRequiredToolResult:
    """The result that has a modern client ask, and call again with `state` and the answer."""
    params = ElicitRequestFormParams(message=message, requested_schema=FORM)
    return InputRequiredToolResult(
        InputRequiredResult(
            input_requests={ANSWER: ElicitRequest(params=params)}, request_state=state
        )
    )


def answer_in(message: CallToolRequestParams) -> Answer | None:
    """The answer that a modern client's second leg carries; None when there is none."""
    response = (message.input_responses or {}).get(ANSWER)
    return _answer(response) if isinstance(response, ElicitResult) else None


async def ask_now(ctx: Context, message: str) -> Answer | None:
    """The answer of a client of the older era; None when it could not ask after all.

    Waits as long as the client does.
    """
    try:
        result = await ctx.session.elicit_form(message, FORM, related_request_id=ctx.request_id)
    except MCPError:
        return None
    return _answer(result)


def _answer(result: ElicitResult) -> Answer:
    if result.action == "accept" and (result.content or {}).get(ANSWER) is True:
        return Answer(True, "")
    said = "cancelled the question" if result.action == "cancel" else "declined"
    return Answer(False, f"The person at the client {said}.")
