"""All servers as one: the tools a model may call, and the door through which it calls them."""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.tools import (
    KnownTool,
    Permit,
    ProgressHandler,
    ServerStatus,
    ToolDefinition,
    ToolResult,
)
from orchestrator.errors import NotFound, OutcomeUnknown, ToolError
from orchestrator.tools.accounts import AccountsClient
from orchestrator.tools.addresses import AddressRule
from orchestrator.tools.breaker import CircuitBreaker
from orchestrator.tools.cache import ListCache
from orchestrator.tools.calls import CallQueue, OutgoingCall
from orchestrator.tools.catalogue import Catalogue
from orchestrator.tools.connection import Connection
from orchestrator.tools.failures import ExchangeFailed, unreadable
from orchestrator.tools.pins import PinStore, ToolChange, ToolPins
from orchestrator.tools.previews import ToolPreviews
from orchestrator.tools.processes import ProcessMemory
from orchestrator.tools.records import AuditRows, CallRecord, ServerRecords
from orchestrator.tools.results import tool_result
from orchestrator.tools.server_files import read_file
from orchestrator.tools.side_requests import SideRequests
from orchestrator.tools.surroundings import Surroundings

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 5.0
_NO_PERMIT = Permit()
START_INTERVAL_S = 0.01
"""Opening a session costs 10 ms of CPU: thirty at once would keep the process from being ready."""


@dataclass(frozen=True, slots=True)
class _Member:
    """One configured server, with the task that keeps it."""

    connection: Connection
    queue: CallQueue
    task: asyncio.Task[None]


class MCPToolAggregator:
    """Connects to every enabled server in the background and never makes a turn wait for one.

    Entering it returns at once; a server that is slow, dead or hostile shows only in its own
    state and in calls to its own tools.
    """

    def __init__(
        self,
        configs: Iterable[ServerConfig],
        *,
        token_for: Callable[[ServerConfig], str | None],
        cache_dir: Path,
        pins: PinStore,
        ssl_context: ssl.SSLContext | None = None,
        addresses: AddressRule | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._configs = tuple(configs)
        self._pins = ToolPins(pins)
        self._clock = clock
        self._jitter = jitter
        ssl_context = ssl_context or ssl.create_default_context()
        requests = SideRequests(token_for, ssl_context)
        self._records = ServerRecords(requests)
        self.accounts = AccountsClient(requests, self._configured)
        self.previews = ToolPreviews(requests, self._configured)
        self._around = Surroundings(
            token_for=token_for,
            ssl_context=ssl_context,
            addresses=addresses or AddressRule(),
            pins=self._pins,
            cache=ListCache(cache_dir),
            records=self._records,
            on_change=self._connection_changed,
        )
        self._memory = ProcessMemory()
        self._members: dict[str, _Member] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._catalogue = Catalogue()

    async def __aenter__(self) -> Self:
        await self.reconfigure(self._configs)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def tools(self) -> tuple[ToolDefinition, ...]:
        """Return the tools that can be called now, in a stable order; costs nothing."""
        return self._catalogue.tools

    def tool(self, qualified_name: str) -> ToolDefinition | None:
        """Return a known tool, even while its server is away or the tool is held back."""
        return self._catalogue.tool(qualified_name)

    def callable_tool(self, qualified_name: str) -> ToolDefinition:
        """Return a tool that may be called, even while its server is away. Raises ToolNotFound."""
        return self._catalogue.callable(qualified_name)

    def known_tools(self, server: str | None = None) -> tuple[KnownTool, ...]:
        """Return the tools of all servers or of one, also those that cannot be called."""
        return self._catalogue.known(server)

    def servers(self) -> tuple[ServerStatus, ...]:
        """Return all configured servers, in the order of the configuration."""
        return tuple(member.connection.status for member in self._members.values())

    def server(self, server: str) -> ServerStatus:
        """Return one of them. Raises NotFound."""
        return self._member(server).connection.status

    async def pss_bytes(self) -> dict[str, int | None]:
        """Return the memory of each server of the fleet that runs on this machine, by id."""
        processes = {
            server: member.connection.process
            for server, member in self._members.items()
            if member.connection.process is not None
        }
        sizes = await self._memory.pss_bytes(set(processes.values()))
        return {server: sizes[process] for server, process in processes.items()}

    def changes(self, server: str) -> tuple[ToolChange, ...]:
        """Return the held-back tools of a server, with both definitions. Raises NotFound."""
        self._member(server)
        return self._pins.changes(server)

    def accept(self, server: str, tool: str, sha256: str) -> None:
        """Let a held-back tool be called from now on, as long as it is the definition of that hash.

        Raises NotFound when none is held back, Conflict when it has changed again.
        """
        member = self._member(server)
        self._pins.accept(server, tool, sha256)
        member.connection.review()

    async def call(
        self,
        qualified_name: str,
        arguments: Mapping[str, Any],
        *,
        call_id: str,
        permit: Permit = _NO_PERMIT,
        timeout_s: float | None = None,
        on_progress: ProgressHandler | None = None,
    ) -> ToolResult:
        """Call a tool and return how it ended; a failure is a result too, not an exception.

        `call_id` and `permit` reach servers of the fleet only. Cancelling the caller cancels the
        tool on its server.
        """
        try:
            tool = self._catalogue.callable(qualified_name)
            member = self._member(tool.server)
            config = member.connection.config
            call = OutgoingCall(call_id, tool, dict(arguments), permit, on_progress)
            result = await member.queue.call(call, timeout_s=timeout_s or config.call_timeout_s)
            return tool_result(result, config)
        except OutcomeUnknown as error:
            return ToolResult("unknown", str(error), error=str(error), error_code=error.code)
        except ToolError as error:
            return ToolResult("failed", str(error), error=str(error), error_code=error.code)
        except Exception:
            # Border of a tool call: a defect of ours ends this call, not the turn around it.
            logger.exception("tool_call_crashed tool=%s", qualified_name)
            text = f"Calling {qualified_name!r} failed inside the orchestrator; see its log."
            known = self.tool(qualified_name)
            may_have_run = known is not None and not known.read_only
            status = "unknown" if may_have_run else "failed"
            return ToolResult(status, text, error=text, error_code="internal")

    async def audit_rows(self, server: str, *, after: int = 0, limit: int = 100) -> AuditRows:
        """Return rows of a server's audit trail with a position above `after`, oldest first.

        Raises NotFound for what is no server of the fleet, ToolError when it cannot tell.
        """
        config = self._configured(server)
        try:
            return await self._records.audit_rows(config, after=after, limit=limit)
        except ExchangeFailed as failure:
            raise unreadable(config, failure) from failure

    async def call_record(self, server: str, call_id: str) -> CallRecord:
        """Return what the journal of a server knows of a call. Raises as `audit_rows` does."""
        config = self._configured(server)
        try:
            return await self._records.call_record(config, call_id)
        except ExchangeFailed as failure:
            raise unreadable(config, failure) from failure

    def file_chunks(self, server: str, uri: str) -> AsyncGenerator[bytes]:
        """Return the bytes of a file that a result of the server links to.

        Raises NotFound when no such server is configured; iterating raises ToolError.
        """
        return read_file(self._configured(server), uri, self._around.ssl_context)

    async def reconfigure(self, configs: Iterable[ServerConfig]) -> None:
        """Apply another list of servers; calls in flight on servers that leave may end first."""
        old, self._members = self._members, {}
        for config in configs:
            member = old.pop(config.id, None)
            if member and config.reaches_the_same_place_as(member.connection.config):
                member.connection.update(config)
            else:
                if member:
                    self._let_go(member)
                member = self._new_member(config)
            self._members[config.id] = member
        for member in old.values():
            self._let_go(member)
        self._rebuild()

    async def refresh(self) -> None:
        """Connect and list anew on all enabled servers; returns when each answered or failed."""
        async with asyncio.TaskGroup() as group:
            for member in self._members.values():
                group.create_task(member.connection.refresh())

    def reconnect(self, server: str) -> None:
        """Have a server tried at once, because what it needs may be there now."""
        if member := self._members.get(server):
            member.connection.try_now()

    async def wait_until_settled(self, timeout_s: float) -> bool:
        """Wait until every server has connected or failed once; False when time ran out."""
        try:
            async with asyncio.timeout(timeout_s):
                for member in tuple(self._members.values()):
                    await member.connection.settled.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """End all sessions; calls in flight get a moment, frozen servers no more than that."""
        members, self._members = self._members, {}
        tasks = {member.task for member in members.values()} | self._leaving
        for member in members.values():
            member.connection.stop(drain_s=0)
        self._rebuild()
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CLOSE_TIMEOUT_S)

    def _configured(self, server: str) -> ServerConfig:
        return self._member(server).connection.config

    def _member(self, server: str) -> _Member:
        member = self._members.get(server)
        if member is None:
            raise NotFound(f"There is no server {server!r}.")
        return member

    def _new_member(self, config: ServerConfig) -> _Member:
        breaker = CircuitBreaker(clock=self._clock, jitter=self._jitter)
        connection = Connection(config, self._around, breaker=breaker)
        start_after_s = len(self._members) * START_INTERVAL_S
        task = asyncio.create_task(connection.run(start_after_s), name=f"server {config.id}")
        return _Member(connection, CallQueue(connection, self._records), task)

    def _let_go(self, member: _Member) -> None:
        member.connection.stop()
        self._leaving.add(member.task)
        member.task.add_done_callback(self._leaving.discard)

    def _connection_changed(self, server: str) -> None:
        if server in self._members:
            self._rebuild()

    def _rebuild(self) -> None:
        self._catalogue = Catalogue(member.connection for member in self._members.values())
