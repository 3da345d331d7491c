"""What a call of a tool of the fleet would do, told by its server before the owner is asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict

from orchestrator.domain.accounts import AccountName
from orchestrator.domain.previews import Preview, PreviewLine
from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.tools import ToolDefinition, ToolResult
from orchestrator.errors import FlotillaError
from orchestrator.tools.definitions import visible_text
from orchestrator.tools.failures import ExchangeFailed, no_answer
from orchestrator.tools.side_requests import Refusal, SideAnswer, SideRequests

TIMEOUT_S = 5.0
_NOT_POSSIBLE = (409, 422)
"""Statuses of a server that could not make the call: it lacks a sign-in, or something else."""
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_LINES = 20
_MAX_NAME_CHARS = 80
_MAX_VALUE_CHARS = 300
_MAX_TEXT_CHARS = 2_000


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    value: str


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)

    lines: tuple[_Line, ...] = ()
    text: str | None = None
    account: AccountName | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a call before the owner is asked about it."""

    preview: Preview | None = None
    account: str | None = None
    """Whose it would be; None where it needs no account, or nobody could say."""


class ToolPreviews:
    """Asks servers of the fleet what a call would do."""

    def __init__(self, requests: SideRequests, configured: Callable[[str], ServerConfig]) -> None:
        self._requests = requests
        self._configured = configured

    async def tell(self, tool: ToolDefinition, arguments: Mapping[str, Any]) -> Told | ToolResult:
        """Return what the call would do, within five seconds.

        A result is how the call would end if it were made: nobody should be asked about one that
        needs a sign-in first, or cannot be made at all. Never raises: what cannot be had for now
        is a sentence in `problem`.
        """
        if not tool.has_preview:
            return Told()
        try:
            config = self._configured(tool.server)
            return await self._asked(config, tool.name, arguments)
        except FlotillaError as error:
            return Told(Preview(problem=str(error)))

    async def _asked(
        self, config: ServerConfig, tool: str, arguments: Mapping[str, Any]
    ) -> Told | ToolResult:
        try:
            answer = await self._requests.ask(
                config,
                "POST",
                f"previews/{tool}",
                body={"arguments": dict(arguments)},
                timeout_s=TIMEOUT_S,
                max_bytes=_MAX_ANSWER_BYTES,
            )
            if not answer.is_success and (refusal := answer.refusal) is not None:
                if answer.status in _NOT_POSSIBLE:
                    return _not_possible(answer, refusal)
                return Told(Preview(problem=refusal.message))
            told = answer.read_as(_Told)
        except ExchangeFailed as failure:
            raise no_answer(config, failure) from failure
        lines = tuple(
            PreviewLine(
                name=_on_one_line(line.name, _MAX_NAME_CHARS),
                value=_on_one_line(line.value, _MAX_VALUE_CHARS),
            )
            for line in told.lines[:_MAX_LINES]
        )
        text = None if told.text is None else visible_text(told.text, _MAX_TEXT_CHARS)
        preview = Preview(lines=lines, text=text) if lines or text is not None else None
        return Told(preview, told.account)


def _not_possible(answer: SideAnswer, refusal: Refusal) -> ToolResult:
    """Return the result that the call itself would have had."""
    structured = msgspec.json.decode(answer.body) if refusal.code is not None else None
    return ToolResult(
        "failed", refusal.message, structured, error=refusal.message, error_code=refusal.code
    )


def _on_one_line(text: str, max_chars: int) -> str:
    return visible_text(" ".join(text.split()), max_chars)
