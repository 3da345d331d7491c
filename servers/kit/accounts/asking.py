"""Asks the person at a client to sign in, in both eras of the protocol."""

import secrets
from dataclasses import dataclass

from fastmcp.server.context import Context
from fastmcp.tools.base import InputRequiredToolResult
from mcp.shared.exceptions import MCPError
from mcp.types import (
    CallToolRequestParams,
    ElicitRequest,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequiredResult,
)

ANSWER = "sign_in"


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is shown."""

    message: str
    url: str


def can_open(ctx: Context) -> bool:
    """Whether the client said that it takes its person to an address."""
    if ctx.request_context is None:
        return False
    capabilities = ctx.session.client_capabilities
    offered = capabilities.elicitation if capabilities is not None else None
    return offered is not None and offered.url is not None


def asking_result(question: Question, state: str | None) -> InputRequiredToolResult:
    """The result that has a modern client ask, and call again with `state` and the answer."""
    params = ElicitRequestURLParams(message=question.message, url=question.url)
    return InputRequiredToolResult(
        InputRequiredResult(
            input_requests={ANSWER: ElicitRequest(params=params)}, request_state=state
        )
    )


def answer_in(message: CallToolRequestParams) -> bool | None:
    """Whether the person of a modern client went there; None when nobody asked yet."""
    response = (message.input_responses or {}).get(ANSWER)
    return response.action == "accept" if isinstance(response, ElicitResult) else None


class AskedNow:
    """A question to a client of the older era, which is asked while its call waits."""

    def __init__(self, ctx: Context, question: Question) -> None:
        self._ctx = ctx
        self._question = question
        self._id = secrets.token_urlsafe(16)

    async def answer(self) -> bool | None:
        """Whether the person went there; None when the client could not ask after all.

        Waits as long as the client does.
        """
        try:
            result = await self._ctx.session.elicit_url(
                self._question.message,
                self._question.url,
                self._id,
                related_request_id=self._ctx.request_id,
            )
        except MCPError:
            return None
        return result.action == "accept"

    async def close(self) -> None:
        """Tells the client that the sign-in is complete: it may take the question away."""
        await self._ctx.session.send_elicit_complete(
            self._id, related_request_id=self._ctx.request_id
        )
