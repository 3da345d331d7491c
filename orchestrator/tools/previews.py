"""What a call of a tool of the fleet would do, told by its server before the owner is asked."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from orchestrator.domain.previews import Preview, PreviewLine
from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.tools import ToolDefinition
from orchestrator.errors import FlotillaError
from orchestrator.tools.definitions import visible_text
from orchestrator.tools.failures import ExchangeFailed, no_answer
from orchestrator.tools.side_requests import SideRequests

TIMEOUT_S = 5.0
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


class ToolPreviews:
    """Asks servers of the fleet what a call would do."""

    def __init__(self, requests: SideRequests, configured: Callable[[str], ServerConfig]) -> None:
        self._requests = requests
        self._configured = configured

    async def preview(self, tool: ToolDefinition, arguments: Mapping[str, Any]) -> Preview | None:
        """Return what the call would do within five seconds; None for a tool without previews.

        Never raises: one that cannot be had is a sentence in `problem`.
        """
        if not tool.has_preview:
            return None
        try:
            config = self._configured(tool.server)
            return await self._asked(config, tool.name, arguments)
        except FlotillaError as error:
            return Preview(problem=str(error))

    async def _asked(
        self, config: ServerConfig, tool: str, arguments: Mapping[str, Any]
    ) -> Preview:
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
                return Preview(problem=refusal.message)
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
        return Preview(lines=lines, text=text)


def _on_one_line(text: str, max_chars: int) -> str:
    return visible_text(" ".join(text.split()), max_chars)
