"""The tool calls of one round: planned together, run in their order, each with a stored end."""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.chat.events import ToolCallFinished, ToolCallProgress, ToolCallStarted
from orchestrator.chat.limits import Spending
from orchestrator.chat.turn_log import TurnLog
from orchestrator.chat.turn_plan import TurnPlan
from orchestrator.domain.chat import RequestedToolCall
from orchestrator.domain.ids import new_id
from orchestrator.domain.tools import ToolResult
from orchestrator.llm.deltas import ModelToolCall
from orchestrator.logs import log_conversation
from orchestrator.store import tool_calls
from orchestrator.tools.aggregator import MCPToolAggregator

PROGRESS_INTERVAL_S = 0.1
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A tool call of the model, and why it will not run if it will not."""

    request: RequestedToolCall
    is_read_only: bool
    refusal: ToolResult | None


class ToolRound:
    """Runs the calls of one round: neighbours that only read run together, others alone."""

    def __init__(
        self,
        plan: TurnPlan,
        log: TurnLog,
        aggregator: MCPToolAggregator,
        calls: list[PlannedCall],
    ) -> None:
        self.calls = calls
        self.results: dict[str, ToolResult] = {}
        self._owner_id = plan.owner_id
        self._session_id = plan.turn.session_id
        self._log = log
        self._aggregator = aggregator
        self._groups = _groups(calls)

    def start_first(self, conn: Connection) -> None:
        """Mark the first group as started; call it in the transaction that plans the calls."""
        tool_calls.start(conn, self._owner_id, _ids(self._groups[0]))

    def announce_first(self) -> None:
        """Add the events of the first group to the log, to be stored by that transaction."""
        self._announce(self._groups[0])

    async def run(self, store_messages: Callable[[Connection], None]) -> None:
        """Run all groups; `store_messages` joins the transaction that stores the last result."""
        for number, group in enumerate(self._groups):
            if number > 0:
                self._announce(group)
                await self._log.commit(
                    lambda conn, group=group: tool_calls.start(conn, self._owner_id, _ids(group))
                )
            async with asyncio.TaskGroup() as tasks:
                for call in group:
                    tasks.create_task(self._run_one(call, store_messages))

    def _announce(self, group: Sequence[PlannedCall]) -> None:
        for call in group:
            request = call.request
            self._log.add(
                ToolCallStarted(
                    tool_call_id=request.tool_call_id,
                    tool=request.tool,
                    server=request.server,
                    arguments=request.arguments,
                )
            )

    async def _run_one(
        self, call: PlannedCall, store_messages: Callable[[Connection], None]
    ) -> None:
        request = call.request
        started_s = time.monotonic()
        result = call.refusal or await self._aggregator.call(
            request.tool,
            request.arguments,
            call_id=request.tool_call_id,
            on_progress=self._progress(request.tool_call_id),
        )
        result = with_media_note(result)
        duration_ms = round((time.monotonic() - started_s) * 1000)
        self._log.add(
            ToolCallFinished(
                tool_call_id=request.tool_call_id,
                status=result.status,
                duration_ms=duration_ms,
                text=result.text,
                structured=result.structured,
                error=result.error,
            )
        )
        log_conversation(
            self._session_id,
            "tool_call_ended",
            tool=request.tool,
            arguments_hash=tool_calls.arguments_hash(request.arguments),
            status=result.status,
            duration_ms=duration_ms,
        )
        self.results[request.tool_call_id] = result
        is_last = len(self.results) == len(self.calls)

        def store(conn: Connection) -> None:
            tool_calls.finish(conn, self._owner_id, request.tool_call_id, result, duration_ms)
            if is_last:
                store_messages(conn)

        await self._log.commit(store)

    def _progress(self, tool_call_id: str) -> Callable[[float, float | None, str | None], None]:
        last_s = 0.0

        def report(progress: float, total: float | None, message: str | None) -> None:
            nonlocal last_s
            now_s = time.monotonic()
            if now_s - last_s < PROGRESS_INTERVAL_S:
                return
            last_s = now_s
            self._log.emit(
                ToolCallProgress(
                    tool_call_id=tool_call_id, progress=progress, total=total, message=message
                )
            )

        return report


def plan_calls(
    asked: Sequence[ModelToolCall], aggregator: MCPToolAggregator, spending: Spending
) -> list[PlannedCall]:
    """Return what the model asked for, each under an id of ours, with refusals where due."""
    # Their ids are what they are ordered by when they are read back; those of one ms are not.
    call_ids = sorted(new_id("call") for _ in asked)
    return [
        _plan_call(call_id, call, aggregator, spending)
        for call_id, call in zip(call_ids, asked, strict=True)
    ]


def with_media_note(result: ToolResult) -> ToolResult:
    """Say in the text what else came: files are not kept before attachments exist."""
    if not result.media:
        return result
    kinds = ", ".join(f"{media.mime_type} ({len(media.data):,} bytes)" for media in result.media)
    note = f"[The tool also returned {kinds}, which this version cannot keep.]"
    return ToolResult(
        status=result.status,
        text=f"{result.text}\n{note}".strip(),
        structured=result.structured,
        error=result.error,
        error_code=result.error_code,
    )


def _plan_call(
    call_id: str, call: ModelToolCall, aggregator: MCPToolAggregator, spending: Spending
) -> PlannedCall:
    arguments, mistake = _arguments(call.arguments)
    # Providers refuse every later request of a chat whose history names a tool otherwise.
    name = _NOT_IN_NAMES.sub("_", call.name)[:64] or "_"
    definition = aggregator.tool(name)
    refusal = spending.refusal_for(name, tool_calls.arguments_hash(arguments))
    if mistake is not None:
        refusal = mistake
    request = RequestedToolCall(
        tool_call_id=call_id,
        tool=name,
        server=definition.server if definition else name.partition("__")[0],
        arguments=arguments,
        invalid_arguments=call.arguments[:2_000] if mistake else None,
    )
    result = (
        ToolResult(status="failed", text=refusal, error=refusal, error_code="not_run")
        if refusal
        else None
    )
    return PlannedCall(request, definition is not None and definition.read_only, result)


def _arguments(text: str) -> tuple[dict[str, Any], str | None]:
    try:
        arguments = msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, RecursionError) as error:
        return {}, f"Not run: the arguments are not valid JSON ({error}). Send them again."
    if not isinstance(arguments, dict):
        return {}, "Not run: the arguments must be a JSON object. Send them again."
    return arguments, None  # pyright: ignore[reportUnknownVariableType]


def _groups(calls: list[PlannedCall]) -> list[list[PlannedCall]]:
    groups: list[list[PlannedCall]] = []
    for call in calls:
        if groups and call.is_read_only and groups[-1][0].is_read_only:
            groups[-1].append(call)
        else:
            groups.append([call])
    return groups


def _ids(group: Sequence[PlannedCall]) -> list[str]:
    return [call.request.tool_call_id for call in group]
