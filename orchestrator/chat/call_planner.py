"""Turns what the model asks for into calls that are judged and have ids of ours."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from orchestrator.approvals.policy import ASKS, Ask, Refuse
from orchestrator.chat.judging import Judge, refused
from orchestrator.chat.limits import Spending
from orchestrator.chat.permits import Permits
from orchestrator.chat.planned_call import PlannedCall
from orchestrator.domain.approvals import Approval
from orchestrator.domain.chat import RequestedToolCall
from orchestrator.domain.ids import new_id
from orchestrator.domain.tools import ToolResult
from orchestrator.llm.deltas import ModelToolCall
from orchestrator.store import tool_calls
from orchestrator.tools.aggregator import MCPToolAggregator

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
_MAX_INVALID_CHARS = 2_000
_SWITCHED_OFF = "Not run: the owner has switched the tools of this server off for this chat."


class CallPlanner:
    """Plans the rounds of one turn."""

    def __init__(
        self,
        aggregator: MCPToolAggregator,
        spending: Spending,
        judge: Judge,
        permits: Permits,
        disabled_servers: frozenset[str] = frozenset(),
    ) -> None:
        self._disabled_servers = disabled_servers
        self._aggregator = aggregator
        self._spending = spending
        self._judge = judge
        self._permits = permits

    async def plan(self, asked: Sequence[ModelToolCall]) -> list[PlannedCall]:
        """Return the calls of a round, all judged by what the model had read when it asked."""
        # Their ids are what they are ordered by when they are read back; those of one ms are not.
        call_ids = sorted(new_id("call") for _ in asked)
        planned = [
            self._planned(call_id, call) for call_id, call in zip(call_ids, asked, strict=True)
        ]
        standing = frozenset[str]()
        if any(call.definition and call.definition.level == ASKS for call in planned):
            standing = await self._permits.standing_tools()
        return [self._judged(call, standing) for call in planned]

    def planned_again(self, request: RequestedToolCall, asked: Approval | None) -> PlannedCall:
        """Return a call that was planned before a restart, and what was asked about it then."""
        mistake = None
        if request.invalid_arguments is not None:
            _, mistake = _read_arguments(request.invalid_arguments)
        call = self._counted(request, mistake)
        return call if asked is None else replace(call, question=asked.reason)

    def _planned(self, call_id: str, call: ModelToolCall) -> PlannedCall:
        arguments, mistake = _read_arguments(call.arguments)
        # Providers refuse every later request of a chat whose history names a tool otherwise.
        name = _NOT_IN_NAMES.sub("_", call.name)[:64] or "_"
        definition = self._aggregator.tool(name)
        request = RequestedToolCall(
            tool_call_id=call_id,
            tool=name,
            server=definition.server if definition else name.partition("__")[0],
            arguments=arguments,
            invalid_arguments=call.arguments[:_MAX_INVALID_CHARS] if mistake else None,
        )
        is_off = definition is not None and definition.server in self._disabled_servers
        return self._counted(request, mistake or (_SWITCHED_OFF if is_off else None))

    def _counted(self, request: RequestedToolCall, mistake: str | None) -> PlannedCall:
        definition = self._aggregator.tool(request.tool)
        arguments_hash = tool_calls.arguments_hash(request.arguments)
        refusal = self._spending.refusal_for(request.tool, arguments_hash)
        # Nobody could judge it, so it stays unknown even when its server turns up meanwhile.
        unknown = f"There is no tool {request.tool!r}." if definition is None else None
        why = mistake or refusal or unknown
        result = ToolResult("failed", why, error=why, error_code="not_run") if why else None
        return PlannedCall(request, definition, result)

    def _judged(self, call: PlannedCall, standing: frozenset[str]) -> PlannedCall:
        if call.refusal is not None or call.definition is None:
            return call
        verdict = self._judge.judge(call.definition, call.request.arguments, standing)
        if isinstance(verdict, Ask):
            return replace(call, question=verdict.reason)
        if isinstance(verdict, Refuse):
            return replace(call, refusal=refused(verdict))
        return call


def _read_arguments(text: str) -> tuple[dict[str, Any], str | None]:
    try:
        arguments = msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, RecursionError) as error:
        return {}, f"Not run: the arguments are not valid JSON ({error}). Send them again."
    if not isinstance(arguments, dict):
        return {}, "Not run: the arguments must be a JSON object. Send them again."
    return arguments, None  # pyright: ignore[reportUnknownVariableType]
