"""Tool calls outside a turn: judged, asked about and run as those of the model are."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection

from orchestrator.approvals.canonical import canonical_json, is_too_large_to_ask
from orchestrator.approvals.grants import GrantKeys
from orchestrator.approvals.inbox import Inbox
from orchestrator.approvals.policy import ASKS, Allow, Ask, Refuse, decide
from orchestrator.approvals.taint import NO_TAINT
from orchestrator.attachments.uploads import Attachments
from orchestrator.chat.approved_calls import (
    AWAY,
    STANDING,
    ApprovedCalls,
    CallOutcome,
    outcome_of,
)
from orchestrator.chat.asking import refused_by_owner
from orchestrator.chat.judging import TOO_LARGE
from orchestrator.chat.keeping import FileKeeper, Kept, Origin
from orchestrator.chat.permits import Consent, Permits, named_account
from orchestrator.chat.resources import ChatSettings
from orchestrator.chat.signing_in import sign_in_needed
from orchestrator.domain.approvals import Approval, PolicyMode
from orchestrator.domain.ids import new_id
from orchestrator.domain.questions import path_to_sign_in
from orchestrator.domain.times import now_rfc3339, to_rfc3339, utc_now
from orchestrator.domain.tools import Permit, ToolDefinition, ToolResult
from orchestrator.errors import Conflict, Forbidden, ServerUnavailable, TooLarge, ToolNotFound
from orchestrator.store import approvals
from orchestrator.store.database import Database
from orchestrator.tools.aggregator import MCPToolAggregator
from orchestrator.tools.previews import Told


@dataclass(frozen=True, slots=True)
class Ended:
    """The call ended, now or before."""

    call_id: str
    outcome: CallOutcome


@dataclass(frozen=True, slots=True)
class Waiting:
    """The call waits for the owner; or, once approved, for its end."""

    call_id: str
    approval: Approval


class DirectCalls:
    """The door for programs; use it as an async context manager around the requests it serves."""

    def __init__(
        self,
        settings: ChatSettings,
        database: Database,
        aggregator: MCPToolAggregator,
        inbox: Inbox,
        grants: GrantKeys,
        files: Attachments,
    ) -> None:
        self._database = database
        self._aggregator = aggregator
        self._inbox = inbox
        self._grants = grants
        self._keeper = FileKeeper(files, database, aggregator)
        self._mode: PolicyMode = settings.policy
        self._lifetime = timedelta(hours=settings.approval_lifetime_h)
        self._approved = ApprovedCalls(database, aggregator, inbox, grants, self._keeper)

    async def __aenter__(self) -> Self:
        await self._approved.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._approved.__aexit__(kind, error, trace)

    async def call(
        self,
        owner_id: str,
        qualified_name: str,
        arguments: dict[str, Any],
        *,
        call_id: str | None = None,
        client: str = "HTTP API",
    ) -> Ended | Waiting:
        """Call a tool, or ask the owner whether it may be called.

        The same `call_id` with the same call returns what became of it and never runs it twice.
        Raises ToolNotFound, Conflict for a `call_id` that is another call's, Forbidden when the
        policy refuses, TooLarge when nobody can be asked about so much, ServerUnavailable when
        nothing ran because the server is away or busy.
        """
        if call_id is not None:
            earlier = await self._database.read(
                _earlier, owner_id, call_id, qualified_name, arguments
            )
            if earlier is not None:
                return _state_of(earlier)
        tool = self._aggregator.callable_tool(qualified_name)
        approval = self._question(tool, arguments, call_id or new_id("call"), client)
        return await self._judged(owner_id, tool, approval)

    async def _judged(
        self, owner_id: str, tool: ToolDefinition, approval: Approval
    ) -> Ended | Waiting:
        """Do what the policy says; `approval` is what is stored where it says to ask."""
        permits = Permits(self._database, self._grants, owner_id, None)
        standing = await permits.standing_tools() if tool.level >= ASKS else frozenset[str]()
        judged = decide(
            tool,
            approval.arguments,
            taint=NO_TAINT,
            owner_texts=(),
            is_standing=tool.qualified_name in standing,
            mode=self._mode,
        )
        match judged:
            case Refuse(reason):
                raise Forbidden(reason)
            case Ask(reason):
                return await self._ask(owner_id, approval, reason)
            case Allow("standing") if not tool.is_journalled:
                return await self._run_noted(owner_id, tool, approval)
            case Allow("standing"):
                permit = await permits.permit(
                    tool,
                    approval.arguments,
                    Consent("standing", STANDING),
                    call_id=approval.tool_call_id,
                    base=Permit(),
                )
                return await self._run(owner_id, approval, permit)
            case Allow():
                return await self._run(owner_id, approval, Permit())

    async def _run(self, owner_id: str, approval: Approval, permit: Permit) -> Ended | Waiting:
        call_id = approval.tool_call_id
        result = await self._aggregator.call(
            approval.tool, approval.arguments, call_id=call_id, permit=permit
        )
        if result.error_code == "approval_required":
            return await self._ask(owner_id, approval, _why(result))
        if result.error_code in AWAY:
            raise ServerUnavailable(result.text)
        if result.error_code == ToolNotFound.code:
            raise ToolNotFound(result.text)
        if result.error_code == "arguments_differ":
            raise Conflict(result.text)
        result = _with_address(result, approval.server)
        origin = Origin(owner_id, None, approval.server, approval.tool, call_id)
        return Ended(call_id, outcome_of(await self._keeper.of_tool(result, origin)))

    async def _run_noted(
        self, owner_id: str, tool: ToolDefinition, approval: Approval
    ) -> Ended | Waiting:
        """Run what its own server will not remember: our row keeps it from running twice."""
        if not any(known is tool for known in self._aggregator.tools()):
            raise ServerUnavailable(f"The server of {approval.tool!r} is away; nothing ran.")
        decided = {"state": "approved", "decided_at": now_rfc3339(), "decided_by": STANDING}
        noted = approval.model_copy(
            update={**decided, "reason": "You allowed this tool without being asked."}
        )
        stored, is_new = await self._database.write(_insert_once, owner_id, noted)
        if not is_new:
            return _state_of(stored)
        # The call goes on when whoever asked for it is gone.
        outcome = await asyncio.shield(self._approved.run(owner_id, stored))
        return Ended(stored.tool_call_id, outcome)

    async def _ask(self, owner_id: str, approval: Approval, reason: str) -> Ended | Waiting:
        if is_too_large_to_ask(approval.arguments):
            raise TooLarge(f"Nothing ran: {TOO_LARGE}")
        tool = self._aggregator.tool(approval.tool)
        told = (
            Told()
            if tool is None
            else await self._aggregator.previews.tell(tool, approval.arguments)
        )
        if isinstance(told, ToolResult):
            result = _with_address(told, approval.server)
            return Ended(approval.tool_call_id, outcome_of(Kept(result)))
        shown = {"preview": told.preview, "account": told.account or approval.account}
        asked = approval.model_copy(update={"reason": reason, **shown})
        stored, is_new = await self._database.write(_insert_once, owner_id, asked)
        if is_new:
            self._inbox.note([stored])
        return _state_of(stored)

    def _question(
        self, tool: ToolDefinition, arguments: dict[str, Any], call_id: str, client: str
    ) -> Approval:
        now = utc_now()
        return Approval(
            id=new_id("appr"),
            origin="api",
            state="pending",
            tool_call_id=call_id,
            server=tool.server,
            tool=tool.qualified_name,
            title=tool.title,
            account=named_account(tool, arguments),
            arguments=arguments,
            level=tool.level,
            effect=tool.effect,
            reason="",
            undoable=tool.undoable,
            client=client,
            created_at=to_rfc3339(now),
            expires_at=to_rfc3339(now + self._lifetime),
        )


def _earlier(
    conn: Connection, owner_id: str, call_id: str, tool: str, arguments: Mapping[str, Any]
) -> Approval | None:
    """Return the approval of the same call. Raises Conflict when the id is another call's."""
    for approval in approvals.of_call(conn, owner_id, call_id):
        is_same = approval.origin == "api" and approval.tool == tool
        if not is_same or canonical_json(approval.arguments) != canonical_json(arguments):
            raise Conflict(f"The call id {call_id!r} belongs to another call; nothing ran.")
        return approval
    return None


def _insert_once(conn: Connection, owner_id: str, approval: Approval) -> tuple[Approval, bool]:
    earlier = _earlier(conn, owner_id, approval.tool_call_id, approval.tool, approval.arguments)
    if earlier is not None:
        return earlier, False
    approvals.insert(conn, owner_id, approval)
    return approval, True


def _state_of(approval: Approval) -> Ended | Waiting:
    call_id = approval.tool_call_id
    if approval.outcome is not None:
        return Ended(call_id, CallOutcome.model_validate(approval.outcome))
    if approval.state in ("pending", "approved"):
        return Waiting(call_id, approval)
    return Ended(call_id, outcome_of(Kept(refused_by_owner(approval))))


def _with_address(result: ToolResult, server: str) -> ToolResult:
    """Return a result that wants a sign-in with where that is, also if its server cannot tell."""
    needed = sign_in_needed(result)
    error: dict[str, Any] = result.structured["error"] if needed else {}
    if needed is None or error.get("sign_in_url"):
        return result
    url = path_to_sign_in(server, needed.capability, needed.account)
    return replace(result, structured={"error": error | {"sign_in_url": url}})


def _why(result: ToolResult) -> str:
    """Return the server's reason to ask, in a sentence for the owner."""
    error: dict[str, Any] = result.structured["error"]
    why = error.get("why")
    return why if isinstance(why, str) and why else result.text
