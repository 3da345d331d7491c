"""Runs one judged call: with the permit it needs, and with a known end when the turn stops."""

import asyncio
from typing import Any

from orchestrator.approvals.policy import ASKS, Ask, Refuse
from orchestrator.chat.judging import Judge, refused
from orchestrator.chat.permits import Consent, Permits, consent_of
from orchestrator.chat.planned_call import PlannedCall
from orchestrator.chat.sending import Sender
from orchestrator.chat.signing_in import SIGN_IN_REQUIRED, SignInNeeded, sign_in_needed
from orchestrator.domain.approvals import Approval
from orchestrator.domain.tools import Permit, ToolResult
from orchestrator.errors import ServerBusy, ToolError
from orchestrator.tools.aggregator import MCPToolAggregator

APPROVAL_REQUIRED = "approval_required"
_NOT_SENT = "The turn stopped before this call ran."


class CallRunner:
    """Runs the calls of one turn, one or several at a time."""

    def __init__(
        self,
        turn_id: str,
        aggregator: MCPToolAggregator,
        sender: Sender,
        permits: Permits,
        judge: Judge,
    ) -> None:
        self._turn_id = turn_id
        self._aggregator = aggregator
        self._sender = sender
        self._permits = permits
        self._judge = judge
        self._sent: dict[str, asyncio.Task[ToolResult]] = {}

    async def run(
        self, call: PlannedCall, approval: Approval | None
    ) -> ToolResult | Ask | SignInNeeded:
        """Return how the call ended, or what must come first: then it did not run.

        `approval` is the one the owner gave, if he was asked. Cancelling breaks off what only
        reads; of anything else `outcome_at_stop` then tells what became.
        """
        if call.refusal is not None:
            return call.refusal
        result = await self._sent_in_turn(call, approval)
        while approval is not None and isinstance(result, ToolResult) and _was_busy(result):
            # The owner agreed to it: it waits for a free place as long as its turn may run.
            result = await self._sent_in_turn(call, approval)
        return result

    async def _sent_in_turn(
        self, call: PlannedCall, approval: Approval | None
    ) -> ToolResult | Ask | SignInNeeded:
        arguments = call.request.arguments
        if approval is not None and approval.arguments_to_run is not None:
            arguments = approval.arguments_to_run
        try:
            permit = await self._permit(call, arguments, approval)
        except ToolError as error:
            return ToolResult("failed", str(error), error=str(error), error_code=error.code)
        if isinstance(permit, Ask):
            return permit
        if isinstance(permit, Refuse):
            return refused(permit)
        result = await self._send(call, arguments, permit)
        is_ours = call.definition is not None and call.definition.is_journalled
        if result.error_code == APPROVAL_REQUIRED and (approval is None or is_ours):
            # Also after an approval: it was for another account than the call is for by now.
            return Ask(_why(result))
        needed = sign_in_needed(result)
        if needed is None:
            return result
        self._sent.pop(call.id, None)
        return needed

    async def outcome_at_stop(self, call: PlannedCall) -> ToolResult | None:
        """Return how a call ended whose `run` was cancelled; None for nobody knows."""
        if call.is_read_only:
            return None
        if call.id not in self._sent:
            return _not_sent()
        result = await self._sender.outcome_at_stop(call, self._sent[call.id])
        if result is not None and result.error_code == SIGN_IN_REQUIRED:
            return _not_sent()
        return None if result and result.error_code == APPROVAL_REQUIRED else result

    async def _send(
        self, call: PlannedCall, arguments: dict[str, Any], permit: Permit
    ) -> ToolResult:
        sending = self._sender.send(call, arguments, permit)
        if call.is_read_only:
            return await sending
        # A task of its own, so that a Stop can wait for its end.
        self._sent[call.id] = asyncio.create_task(sending)
        return await asyncio.shield(self._sent[call.id])

    async def _permit(
        self, call: PlannedCall, arguments: dict[str, Any], approval: Approval | None
    ) -> Permit | Ask | Refuse:
        base = Permit(turn_id=self._turn_id, taint=self._judge.taint.sources)
        # As it is listed now: the owner may have taken half a day.
        tool = self._aggregator.tool(call.request.tool)
        if tool is None:
            return base
        if approval is not None:
            await self._permits.confirm(approval, arguments)
            consent = consent_of(approval, tool)
        else:
            # Judged anew: what it can do may have changed while an earlier call waited.
            asks = tool.level >= ASKS
            standing = await self._permits.standing_tools() if asks else frozenset[str]()
            verdict = self._judge.judge(tool, arguments, standing)
            if isinstance(verdict, (Ask, Refuse)):
                return verdict
            if verdict.scope == "none":
                return base
            consent = Consent("standing", "standing approval")
        if not tool.is_journalled:
            return base  # A third party has no gate that could read a grant.
        return await self._permits.permit(tool, arguments, consent, call_id=call.id, base=base)


def _was_busy(result: ToolResult) -> bool:
    return result.error_code == ServerBusy.code


def _not_sent() -> ToolResult:
    return ToolResult("cancelled", _NOT_SENT, error=_NOT_SENT, error_code="cancelled")


def _why(result: ToolResult) -> str:
    """Return the server's own reason to ask."""
    error: dict[str, Any] = result.structured["error"]
    why = error.get("why")
    return why if isinstance(why, str) and why else result.text
