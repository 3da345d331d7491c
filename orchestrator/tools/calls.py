"""Runs one tool call on a server: queue, breaker, deadline, and a retry where that is safe."""

import asyncio
from dataclasses import dataclass
from typing import Any

from mcp.types import CallToolResult

from orchestrator.domain.tools import Permit, ProgressHandler, ToolDefinition
from orchestrator.errors import OutcomeUnknown, ServerUnavailable, ToolError, ToolTimeout
from orchestrator.tools.call_meta import call_meta
from orchestrator.tools.connection import Connection
from orchestrator.tools.failures import BadReply, ExchangeFailed, NeedsSignIn

MAX_CONCURRENT_CALLS = 8


@dataclass(frozen=True, slots=True)
class OutgoingCall:
    """One call of a tool, as often as it has to be sent."""

    call_id: str
    tool: ToolDefinition
    arguments: dict[str, Any]
    permit: Permit
    on_progress: ProgressHandler | None


class CallQueue:
    """Lets a bounded number of calls at once through to one server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_CALLS)

    async def call(self, call: OutgoingCall, *, timeout_s: float) -> CallToolResult:
        """Return what the tool answered. Raises a ToolError that says what is known."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        await self._take_slot(deadline)
        try:
            self._pass_breaker()
            return await self._with_retry(call, deadline)
        except ExchangeFailed as failure:
            raise self._tool_error(call.tool, failure) from failure
        finally:
            self._slots.release()

    async def _take_slot(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        except TimeoutError as error:
            name = self._connection.config.shown_title
            raise ToolTimeout(
                f"The server {name!r} is busy with other calls; this one was not started."
            ) from error

    def _pass_breaker(self) -> None:
        breaker = self._connection.breaker
        if not breaker.try_pass():
            name, wait_s = self._connection.config.shown_title, breaker.retry_after_s
            raise ServerUnavailable(
                f"The server {name!r} keeps failing and is left alone for {wait_s:.0f} s.",
                retry_after_s=wait_s,
            )

    async def _with_retry(self, call: OutgoingCall, deadline: float) -> CallToolResult:
        connection = self._connection
        is_ours = connection.config.trust == "fleet"
        is_last = False
        try:
            while True:
                link = await connection.link_for_call(deadline)
                try:
                    result = await link.call_tool(
                        call.tool.name,
                        call.arguments,
                        meta=call_meta(call.call_id, call.permit) if is_ours else None,
                        deadline=deadline,
                        on_progress=call.on_progress,
                    )
                except ExchangeFailed as failure:
                    self._report(failure)
                    connection.call_failed(link, failure)
                    if is_last or not _may_repeat(call.tool, failure):
                        raise
                    is_last = True
                else:
                    connection.breaker.succeeded()
                    if connection.state == "degraded":
                        connection.publish()
                    return result
        except BaseException:
            connection.breaker.abandoned()
            raise

    def _report(self, failure: ExchangeFailed) -> None:
        breaker = self._connection.breaker
        match failure.kind:
            case "timeout":
                breaker.failed(timed_out=True)
            case "broken" | "http" | "garbage" | "redirect":
                breaker.failed()
            case "rpc":
                breaker.succeeded()
            case "refused" | "session_lost" | "auth" | "too_large":
                breaker.abandoned()

    def _tool_error(self, tool: ToolDefinition, failure: ExchangeFailed) -> ToolError:
        name = self._connection.config.shown_title
        if not (failure.surely_did_not_run or tool.read_only):
            return OutcomeUnknown(
                f"The server {name!r} failed during {tool.name!r}: {failure}. Whether it took "
                "effect is not known; check before doing it again."
            )
        match failure.kind:
            case "timeout":
                return ToolTimeout(f"{tool.name!r} on {name!r} did not answer in time.")
            case "auth":
                return NeedsSignIn(
                    f"The server {name!r} did not accept the orchestrator's token; check its token."
                )
            case "refused" | "broken" | "session_lost" | "http":
                return ServerUnavailable(f"The server {name!r} failed: {failure}.")
            case "redirect" | "too_large" | "garbage":
                return BadReply(f"The server {name!r} sent a reply that cannot be used: {failure}.")
            case "rpc":
                return ToolError(f"The server {name!r} refused the call: {failure}.")


def _may_repeat(tool: ToolDefinition, failure: ExchangeFailed) -> bool:
    """A second try is safe when the first surely did not run, or running twice changes nothing."""
    if failure.kind in ("refused", "session_lost"):
        return True
    return failure.kind == "broken" and tool.idempotent
