"""Runs one tool call on a server: queue, breaker, deadline, and repeats where they are safe."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from mcp.types import CallToolResult

from orchestrator.domain.tools import Permit, ProgressHandler, ToolDefinition
from orchestrator.errors import (
    OutcomeUnknown,
    ServerBusy,
    ServerUnavailable,
    ToolError,
    ToolTimeout,
)
from orchestrator.tools.call_meta import call_meta
from orchestrator.tools.catalogue import check_callable
from orchestrator.tools.connection import Connection
from orchestrator.tools.failures import BadReply, ExchangeFailed, NeedsSignIn
from orchestrator.tools.records import ServerRecords

logger = logging.getLogger(__name__)

MAX_CONCURRENT_CALLS = 8


@dataclass(frozen=True, slots=True)
class OutgoingCall:
    """One call of a tool, as often as it has to be sent."""

    call_id: str
    tool: ToolDefinition
    arguments: dict[str, Any]
    permit: Permit
    on_progress: ProgressHandler | None

    @property
    def may_run_again(self) -> bool:
        """Whether sending it twice takes effect once: the tool says so, or its server's journal."""
        return self.tool.idempotent or self.tool.is_journalled


class CallQueue:
    """Lets a bounded number of calls at once through to one server."""

    def __init__(self, connection: Connection, records: ServerRecords) -> None:
        self._connection = connection
        self._records = records
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_CALLS)

    async def call(self, call: OutgoingCall, *, timeout_s: float) -> CallToolResult:
        """Return what the tool answered. Raises a ToolError that says what is known."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        await self._take_slot(deadline)
        try:
            return await self._through_breaker(call, deadline)
        except ExchangeFailed as failure:
            if call.tool.is_journalled and not failure.surely_did_not_run:
                recorded = await self._recorded_end(call)
                if recorded is not None:
                    return recorded
            raise self._tool_error(call.tool, failure) from failure
        finally:
            self._slots.release()

    async def _take_slot(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        except TimeoutError as error:
            name = self._connection.config.shown_title
            raise ServerBusy(
                f"The server {name!r} is busy with other calls; this one was not started."
            ) from error

    async def _through_breaker(self, call: OutgoingCall, deadline: float) -> CallToolResult:
        breaker = self._connection.breaker
        # The wait is for one that is away: once it is back, its breaker lets a call try.
        if not breaker.try_pass() and not await self._passes_once_back(deadline):
            name, wait_s = self._connection.config.shown_title, breaker.retry_after_s
            raise ServerUnavailable(
                f"The server {name!r} keeps failing and is left alone for {wait_s:.0f} s.",
                retry_after_s=wait_s,
            )
        try:
            return await self._with_repeats(call, deadline)
        except BaseException:
            breaker.abandoned()
            raise

    async def _passes_once_back(self, deadline: float) -> bool:
        await self._connection.link_for_call(deadline)
        return self._connection.breaker.try_pass()

    async def _with_repeats(self, call: OutgoingCall, deadline: float) -> CallToolResult:
        """Send until it is answered: once more when it surely did not run, once when it may have.

        Raises ExchangeFailed for the first try that may have run, else for the last one.
        """
        lost: ExchangeFailed | None = None
        was_turned_away = False
        while True:
            try:
                return await self._send(call, deadline)
            except ExchangeFailed as failure:
                if failure.kind in ("refused", "session_lost") and not was_turned_away:
                    was_turned_away = True
                elif failure.kind == "broken" and call.may_run_again and lost is None:
                    lost = failure
                else:
                    raise lost or failure from failure
            except ToolError as away:
                if lost is None:
                    raise
                raise lost from away

    async def _send(self, call: OutgoingCall, deadline: float) -> CallToolResult:
        connection = self._connection
        is_ours = connection.config.trust == "fleet"
        link = await connection.link_for_call(deadline)
        # While it waited, the server may have come back with another tool under this name.
        check_callable(connection, call.tool)
        began = asyncio.get_running_loop().time()
        try:
            result = await link.call_tool(
                call.tool.name,
                call.arguments,
                meta=call_meta(call.call_id, call.permit) if is_ours else None,
                deadline=deadline,
                on_progress=call.on_progress,
            )
        except ExchangeFailed as failure:
            if failure.kind in ("timeout", "rpc", "fault"):
                connection.call_times.note(asyncio.get_running_loop().time() - began)
            self._report(failure)
            connection.call_failed(link, failure)
            raise
        connection.call_times.note(asyncio.get_running_loop().time() - began)
        connection.breaker.succeeded()
        if connection.state == "degraded":
            connection.publish()
        return result

    async def _recorded_end(self, call: OutgoingCall) -> CallToolResult | None:
        """Ask the server's journal how a call ended whose answer was lost; None when unknown."""
        config = self._connection.config
        try:
            record = await self._records.call_record(config, call.call_id)
        except ExchangeFailed as failure:
            logger.info("call_record_missing server=%s error=%s", config.id, failure)
            return None
        return record.result

    def _report(self, failure: ExchangeFailed) -> None:
        breaker = self._connection.breaker
        match failure.kind:
            case "timeout":
                breaker.failed(timed_out=True)
            case "broken" | "http" | "garbage" | "redirect":
                breaker.failed()
            case "rpc" | "fault":
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
            case "rpc" | "fault":
                return ToolError(f"The server {name!r} refused the call: {failure}.")
