"""Sends one call to its server; a call that changes something is seen through a Stop."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from orchestrator.chat.events import ToolCallProgress
from orchestrator.chat.planned_call import PlannedCall
from orchestrator.chat.turn_log import TurnLog
from orchestrator.domain.tools import Permit, ToolResult
from orchestrator.errors import NotFound, ToolError
from orchestrator.tools.aggregator import MCPToolAggregator

PROGRESS_INTERVAL_S = 0.1
STOP_GRACE_S = 0.6
"""For a call that changes something to end by itself; its server does not break it off anyway."""
RECORD_LIMIT_S = 0.15
"""For its server's journal after that: a Stop takes less than a second in all."""


class Sender:
    """Sends the calls of one turn."""

    def __init__(self, log: TurnLog, aggregator: MCPToolAggregator) -> None:
        self._log = log
        self._aggregator = aggregator

    async def send(
        self, call: PlannedCall, arguments: dict[str, Any], permit: Permit
    ) -> ToolResult:
        """Return how the call ended; cancelling cancels it on its server."""
        return await self._aggregator.call(
            call.request.tool,
            arguments,
            call_id=call.id,
            permit=permit,
            on_progress=self._progress(call.id),
        )

    async def outcome_at_stop(
        self, call: PlannedCall, sending: asyncio.Task[ToolResult]
    ) -> ToolResult | None:
        """Return how a call ended that the turn will not wait for; None when nobody knows."""
        await asyncio.wait([sending], timeout=STOP_GRACE_S)
        if sending.done() and not sending.cancelled():
            return sending.result()
        sending.cancel()
        if call.definition is None or not call.definition.is_journalled:
            return None
        try:
            async with asyncio.timeout(RECORD_LIMIT_S):
                record = await self._aggregator.call_record(call.request.server, call.id)
        except (TimeoutError, ToolError, NotFound):
            return None
        if record.state == "done":
            return ToolResult("done", "This took effect; its result came too late to be read.")
        if record.state == "failed":
            why = "This failed while the turn was being stopped."
            return ToolResult("failed", why, error=why, error_code="tool_failed")
        return None

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
