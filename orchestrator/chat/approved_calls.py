"""Runs what the owner approved and no turn waits for: each call once, also over a restart."""

import asyncio
import logging
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from pydantic import Field

from orchestrator.approvals.grants import GrantKeys
from orchestrator.approvals.inbox import RETRY_S, Inbox
from orchestrator.chat.asking import with_changed_arguments
from orchestrator.chat.keeping import FileKeeper, Kept, Origin
from orchestrator.chat.permits import Permits, consent_of
from orchestrator.chat.signing_in import SIGN_IN_REQUIRED
from orchestrator.domain.approvals import Approval
from orchestrator.domain.times import now_rfc3339
from orchestrator.domain.tools import Permit, ToolCallStatus, ToolDefinition, ToolResult
from orchestrator.domain.values import Value
from orchestrator.errors import NotFound, ServerBusy, StorageFull, ToolError
from orchestrator.store import approvals
from orchestrator.store.database import Database
from orchestrator.tools.aggregator import MCPToolAggregator

logger = logging.getLogger(__name__)

AWAY = frozenset({"server_unavailable", "needs_sign_in", ServerBusy.code})
"""Codes of results that say: nothing ran, because the server is away or never had a free place."""
NOT_YET = AWAY | {SIGN_IN_REQUIRED}
"""The same, or because somebody has to sign in first: what was approved waits for that."""
STANDING = "standing approval"
"""Who decided when nobody was asked."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
RECORD_PAUSE_S = 1.0


class CallOutcome(Value):
    """How a call ended that no turn waits for; kept as `Approval.outcome`."""

    status: ToolCallStatus
    text: str
    structured: Any = None
    error: str | None = None
    error_code: str | None = None
    undoable: bool = False
    attachments: list[str] = Field(default_factory=list[str])
    """Ids of the files that it returned."""


NEVER_RAN = CallOutcome(
    status="failed",
    text="This did not run: until the approval expired, its server was away or not signed in.",
    error="This did not run: until the approval expired, its server was away or not signed in.",
    error_code="approval_expired",
)
UNKNOWN = CallOutcome(
    status="unknown",
    text="Whether this took effect is not known: it may have begun, and its end was lost.",
    error="Whether this took effect is not known: it may have begun, and its end was lost.",
    error_code="outcome_unknown",
)


def outcome_of(kept: Kept) -> CallOutcome:
    """Return what is stored of a result."""
    told = kept.result
    return CallOutcome(
        status=told.status,
        text=told.text,
        structured=told.structured,
        error=told.error,
        error_code=told.error_code,
        undoable=told.undo is not None,
        attachments=kept.ids,
    )


class ApprovedCalls:
    """Use it as an async context manager: it takes up what a crash left, and ends with the rest."""

    def __init__(
        self,
        database: Database,
        aggregator: MCPToolAggregator,
        inbox: Inbox,
        grants: GrantKeys,
        keeper: FileKeeper,
    ) -> None:
        self._database = database
        self._aggregator = aggregator
        self._inbox = inbox
        self._grants = grants
        self._keeper = keeper
        self._running: dict[str, asyncio.Task[CallOutcome]] = {}

    async def __aenter__(self) -> Self:
        self._inbox.on_approved(self._begin)
        left = await self._database.read(approvals.approved_without_outcome)
        for owner_id, approval in left:
            self._start(owner_id, approval, was_interrupted=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tasks = set(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, owner_id: str, approval: Approval) -> None:
        self.run(owner_id, approval)

    def run(self, owner_id: str, approval: Approval) -> asyncio.Task[CallOutcome]:
        """Begin to run an approved call, and return the task that ends once its end is stored."""
        return self._start(owner_id, approval, was_interrupted=False)

    def _start(
        self, owner_id: str, approval: Approval, *, was_interrupted: bool
    ) -> asyncio.Task[CallOutcome]:
        running = self._running.get(approval.id)
        if running is not None:
            return running
        task = asyncio.create_task(
            self._run(owner_id, approval, was_interrupted=was_interrupted),
            name=f"approved call {approval.tool_call_id}",
        )
        self._running[approval.id] = task
        task.add_done_callback(lambda ended: self._ended(approval, ended))
        return task

    def _ended(self, approval: Approval, task: asyncio.Task[CallOutcome]) -> None:
        del self._running[approval.id]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("approved_call_crashed approval=%s", approval.id, exc_info=error)

    async def _run(
        self, owner_id: str, approval: Approval, *, was_interrupted: bool
    ) -> CallOutcome:
        outcome = await self._outcome(owner_id, approval, was_interrupted=was_interrupted)
        stored = outcome.model_dump()
        while True:
            try:
                await self._database.write(approvals.set_outcome, owner_id, approval.id, stored)
            except StorageFull:
                logger.warning("outcome_not_stored approval=%s reason=disk_full", approval.id)
                await asyncio.sleep(RETRY_S)
            else:
                logger.info(
                    "approved_call_ended tool=%s call=%s status=%s",
                    approval.tool,
                    approval.tool_call_id,
                    outcome.status,
                )
                return outcome

    async def _outcome(
        self, owner_id: str, approval: Approval, *, was_interrupted: bool
    ) -> CallOutcome:
        """Send it as soon as its server takes it; a journal makes sending it again harmless."""
        pause_s, may_have_run = FIRST_PAUSE_S, was_interrupted
        while True:
            tool = self._aggregator.tool(approval.tool)
            is_over = approval.expires_at <= now_rfc3339()
            if may_have_run and (is_over or (tool is not None and not tool.is_journalled)):
                return UNKNOWN
            if tool is not None:
                result = await self._sent(owner_id, approval, tool)
                if result.status == "unknown" and await self._will_be_known(approval, tool):
                    may_have_run = True
                elif result.error_code not in NOT_YET or approval.decided_by == STANDING:
                    origin = Origin(
                        owner_id, None, tool.server, approval.tool, approval.tool_call_id
                    )
                    return outcome_of(await self._keeper.of_tool(result, origin))
            if is_over and not may_have_run:
                return NEVER_RAN
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _will_be_known(self, approval: Approval, tool: ToolDefinition) -> bool:
        """Wait until the server does not run the call any more; False when its end is lost.

        No turn waits, so a call may take longer than its time limit.
        """
        while tool.is_journalled and approval.expires_at > now_rfc3339():
            try:
                record = await self._aggregator.call_record(tool.server, approval.tool_call_id)
            except (ToolError, NotFound) as error:
                logger.info("approved_call_waits call=%s error=%s", approval.tool_call_id, error)
                return True
            if record.state != "started":
                return record.state != "unknown"
            await asyncio.sleep(RECORD_PAUSE_S)
        return False

    async def _sent(self, owner_id: str, approval: Approval, tool: ToolDefinition) -> ToolResult:
        changed = approval.arguments_to_run
        arguments = approval.arguments if changed is None else changed
        call_id = approval.tool_call_id
        permit = Permit()
        permits = Permits(self._database, self._grants, owner_id, None)
        try:
            if approval.decided_by != STANDING:
                await permits.confirm(approval, arguments)
            if tool.is_journalled:
                permit = await permits.permit(
                    tool, arguments, consent_of(approval, tool), call_id=call_id, base=permit
                )
        except ToolError as error:
            return ToolResult("failed", str(error), error=str(error), error_code=error.code)
        result = await self._aggregator.call(
            tool.qualified_name, arguments, call_id=call_id, permit=permit
        )
        return replace(result, text=with_changed_arguments(result, approval))
