"""The events of one tool call: sent, and ended."""

from collections.abc import Iterable

from orchestrator.chat.events import ToolCallFinished, ToolCallStarted
from orchestrator.chat.planned_call import PlannedCall
from orchestrator.domain.tools import ToolResult


def started(call: PlannedCall) -> ToolCallStarted:
    """Return the event that tells that a call was sent."""
    request = call.request
    return ToolCallStarted(
        tool_call_id=request.tool_call_id,
        tool=request.tool,
        server=request.server,
        arguments=request.arguments,
    )


def finished(
    call: PlannedCall,
    result: ToolResult,
    duration_ms: int,
    sources: Iterable[str],
    attachment_ids: list[str],
) -> ToolCallFinished:
    """Return the event that tells how a call ended."""
    return ToolCallFinished(
        tool_call_id=call.id,
        status=result.status,
        duration_ms=duration_ms,
        text=result.text,
        structured=result.structured,
        attachments=attachment_ids,
        error=result.error,
        sources=list(sources),
        undoable=result.undo is not None,
    )
