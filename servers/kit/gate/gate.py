"""The door every call of a server passes: what may change the world is asked about and noted."""

import logging
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar, TypeVarTuple

from fastmcp.exceptions import NotFoundError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool, ToolResult
from fastmcp.tools.base import InputRequiredToolResult
from mcp.types import CallToolRequestParams, CallToolResult

from servers.kit.gate import journal, refusals, tickets
from servers.kit.gate.attempts import Attempts
from servers.kit.gate.elicitation import StateSeal, state_security
from servers.kit.gate.grants import grant_key, request_state_key
from servers.kit.gate.inbox import Inbox
from servers.kit.gate.judge import Judge
from servers.kit.gate.ledger import Ledger, LedgerUnavailable, ledger_file
from servers.kit.gate.limits import Limits
from servers.kit.gate.permission import AccountCheck
from servers.kit.gate.ticket_desk import TicketDesk
from servers.kit.gate.undo import UNDO_META, collect_undo_arguments, undo_meta
from servers.kit.manifest import Manifest
from servers.kit.previews import Previews
from servers.kit.settings import KitSettings, SystemdSettings

logger = logging.getLogger(__name__)

Context = MiddlewareContext[CallToolRequestParams]
Next = CallNext[CallToolRequestParams, ToolResult]
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Gate(Middleware):
    """Lets tools run that only look; any other call needs its permission and leaves its trace."""

    def __init__(
        self,
        manifest: Manifest,
        previews: Previews,
        check_account: AccountCheck | None = None,
    ) -> None:
        self._manifest = manifest
        self._previews = previews
        self._check_account = check_account
        self._ungated = frozenset(
            name for name, tool in manifest.tools.items() if not tool.is_gated
        )
        self._checks: dict[str, Tool] = {}
        self._schemas: dict[str, Mapping[str, Any]] = {}
        self._seal = StateSeal()
        self.state_security = state_security(self._seal, tickets.LIFE_S)
        self._settings: KitSettings | None = None
        self._key = b""
        self._ledger: Ledger | None = None
        self._attempts: Attempts | None = None
        self._judge: Judge | None = None
        self._why_closed = "This server is not running."

    @property
    def is_needed(self) -> bool:
        """Whether any tool of this server needs the ledger."""
        return len(self._ungated) < len(self._manifest.tools)

    def add_tool(self, tool: Tool, check: Tool) -> None:
        """`check` takes the same arguments as `tool`, and does nothing else."""
        self._schemas[tool.name] = tool.parameters
        if tool.name not in self._ungated:
            self._checks[tool.name] = check

    def use_settings(self, settings: KitSettings, systemd: SystemdSettings) -> None:
        """Takes the owner, the limits and the key of the grants. Raises TokenError."""
        if not self.is_needed:
            return
        self._key = grant_key(self._manifest.name, settings, systemd)
        self._seal.use_key(request_state_key(self._key))
        self._settings = settings

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """The ledger is open meanwhile.

        When it cannot be opened, tools that only look work, and the others say why not.
        """
        if not self.is_needed:
            yield
            return
        if (settings := self._settings) is None:
            settings = KitSettings()
            self.use_settings(settings, SystemdSettings())
        ledger = Ledger(settings.data_dir / ledger_file(self._manifest.name))
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(ledger)
                await ledger.write(_recover)
            except LedgerUnavailable as error:
                logger.error("ledger_closed server=%s: %s", self._manifest.name, error)  # noqa: TRY400, the sentence says it
                self._why_closed = str(error)
            else:
                self._ledger = ledger
                self._attempts = Attempts(ledger, Limits.from_settings(settings))
                desk = TicketDesk(self._manifest.name, ledger, Inbox(self._manifest, settings))
                self._judge = Judge(
                    self._manifest,
                    owner=settings.owner,
                    key=self._key,
                    ledger=ledger,
                    attempts=self._attempts,
                    desk=desk,
                    check_account=self._check_account,
                    previews=self._previews,
                )
            try:
                yield
            finally:
                self._ledger = None

    @asynccontextmanager
    async def letting_in(self) -> AsyncGenerator[None]:
        """Calls pass meanwhile; at the end it waits for those that run."""
        try:
            yield
        finally:
            self._judge = None
            self._why_closed = "This server is stopping."
            if self._attempts is not None:
                await self._attempts.drain()
                self._attempts = None

    async def on_call_tool(self, context: Context, call_next: Next) -> ToolResult:
        message = context.message
        if message.name in self._ungated:
            return await call_next(context)
        check = self._checks.get(message.name)
        ctx = context.fastmcp_context
        if check is None or ctx is None:
            raise NotFoundError(f"Unknown tool: {message.name!r}")
        # Nobody should be asked to approve a call that cannot be made.
        await check.run(message.arguments or {})
        if self._judge is None:
            return _sent(refusals.gate_unavailable(None, self._why_closed))

        async def run() -> ToolResult:
            chosen = collect_undo_arguments()
            return self._with_undo(message, await call_next(context), chosen)

        return _sent(await self._judge.answer(message, ctx, run))

    def _with_undo(
        self, message: CallToolRequestParams, result: ToolResult, chosen: Mapping[str, Any]
    ) -> ToolResult:
        inverse = self._manifest.tools[message.name].undo
        if inverse is None or result.is_error:
            return result
        undo = undo_meta(
            inverse,
            self._schemas[inverse],
            chosen=chosen,
            result=result.structured_content,
            arguments=message.arguments or {},
        )
        if undo is not None:
            result.meta = {**(result.meta or {}), UNDO_META: undo}
        return result

    async def read(self, query: Callable[[sqlite3.Connection, *Ts], R], *args: *Ts) -> R:
        """What `query` finds in the ledger. Raises LedgerUnavailable while it is not open."""
        if self._ledger is None:
            raise LedgerUnavailable(self._why_closed)
        return await self._ledger.read(query, *args)


def _sent(answer: CallToolResult | InputRequiredToolResult) -> ToolResult:
    if isinstance(answer, InputRequiredToolResult):
        return answer
    return ToolResult.from_mcp_result(answer)


def _recover(conn: sqlite3.Connection) -> None:
    now_s = time.time()
    for call_id in journal.recover(conn, now_s):
        logger.warning("outcome_unknown call_id=%s", call_id)
    tickets.expire(conn, now_s)
    journal.purge(conn, now_s)
    tickets.purge(conn, now_s)
