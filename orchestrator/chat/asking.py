"""The approvals of one round: asked for together, each awaited when its call is due."""

import json
from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import Connection

from orchestrator.approvals.inbox import Inbox
from orchestrator.chat.events import ApprovalRequested, ApprovalResolved
from orchestrator.chat.open_round import OpenRound
from orchestrator.chat.permits import named_account
from orchestrator.chat.planned_call import PlannedCall
from orchestrator.chat.signing_in import SignIns, sign_in_needed
from orchestrator.chat.turn_log import TurnLog
from orchestrator.chat.watching import Watching
from orchestrator.domain.approvals import Approval
from orchestrator.domain.chat import Turn
from orchestrator.domain.ids import new_id
from orchestrator.domain.times import to_rfc3339, utc_now
from orchestrator.domain.tools import ToolDefinition, ToolResult
from orchestrator.store import approvals
from orchestrator.tools.previews import Told, ToolPreviews

CLIENT = "web chat"


class Asking(Watching[Approval, Approval | ToolResult | None]):
    """Asks and waits; use it as an async context manager around the round.

    A call that cannot be made ends with its result, and nobody is asked; one that needs a sign-in
    first ends with None: that is asked for in its place, and the call judged anew after it.
    """

    def __init__(
        self,
        owner_id: str,
        turn: Turn,
        log: TurnLog,
        inbox: Inbox,
        previews: ToolPreviews,
        sign_ins: SignIns,
        *,
        lifetime_h: float,
        taint: Iterable[str],
        open_round: OpenRound | None = None,
    ) -> None:
        """Ask in this turn; `open_round` holds what was asked before a restart."""
        super().__init__(open_round.approvals if open_round else {})
        self._owner_id = owner_id
        self._turn = turn
        self._log = log
        self._inbox = inbox
        self._previews = previews
        self._sign_ins = sign_ins
        self._lifetime = timedelta(hours=lifetime_h)
        self._taint = list(taint)
        self._told = open_round.told if open_round else frozenset[str]()
        self._to_preview: dict[str, tuple[PlannedCall, ToolDefinition]] = {}

    def ask(self, call: PlannedCall, tool: ToolDefinition, reason: str) -> list[Approval]:
        """Add the event that asks, and return the row that the next commit must `store`.

        Where its server has to say first what the call would do, watching sees to both.
        """
        now = utc_now()
        approval = Approval(
            id=new_id("appr"),
            origin="turn",
            state="pending",
            tool_call_id=call.id,
            server=tool.server,
            tool=tool.qualified_name,
            title=tool.title,
            account=named_account(tool, call.request.arguments),
            arguments=call.request.arguments,
            level=tool.level,
            effect=tool.effect,
            reason=reason,
            taint=self._taint,
            undoable=tool.undoable,
            client=CLIENT,
            session_id=self._turn.session_id,
            turn_id=self._turn.id,
            created_at=to_rfc3339(now),
            expires_at=to_rfc3339(now + self._lifetime),
        )
        self._asked[call.id] = approval
        if tool.has_preview:
            self._to_preview[approval.id] = (call, tool)
            return []
        self._log.add(_requested(approval))
        return [approval]

    def store(self, conn: Connection, asked: Iterable[Approval]) -> None:
        """Store what was asked, in the transaction that stores why."""
        for approval in asked:
            approvals.insert(conn, self._owner_id, approval)

    async def _ended(self, row: Approval) -> Approval | ToolResult | None:
        if (unasked := self._to_preview.pop(row.id, None)) is not None:
            call, tool = unasked
            told = await self._previews.tell(tool, row.arguments)
            if isinstance(told, ToolResult):
                return await self._sign_in_first(call, told)
            await self._ask_with_preview(row, told)
        self._inbox.note([row])
        decided = await self._inbox.wait(self._owner_id, row.id)
        if row.id not in self._told:
            # At once, and not when its call is due: other tabs show what is still to decide.
            self._log.emit(resolved(decided))
        return decided

    async def _sign_in_first(self, call: PlannedCall, result: ToolResult) -> ToolResult | None:
        """Ask for the sign-in that the result wants; any other is the end of the call."""
        needed = sign_in_needed(result)
        if needed is None or not self._sign_ins.may_ask(call):
            return result
        question = self._sign_ins.ask(call, needed)
        del self._asked[call.id]
        await self._log.commit(lambda conn: self._sign_ins.store(conn, question))
        self._sign_ins.watch(call.id)
        return None

    async def _ask_with_preview(self, approval: Approval, told: Told) -> None:
        """Ask now that its server told what it would do; after a crash before, judged anew."""
        shown = {"preview": told.preview, "account": told.account or approval.account}
        asked = approval.model_copy(update=shown)
        self._log.add(_requested(asked))
        await self._log.commit(lambda conn: self.store(conn, [asked]))


def resolved(approval: Approval) -> ApprovalResolved:
    """Return the event that tells how an approval ended."""
    if approval.state == "pending":
        raise ValueError(f"nobody has decided {approval.id!r} yet")
    return ApprovalResolved(
        approval_id=approval.id,
        decision=approval.state,
        by=approval.decided_by or "nobody",
        arguments=approval.arguments_to_run,
        reason=approval.decision_reason,
    )


def refused_by_owner(approval: Approval) -> ToolResult:
    """Return the result of a call that was asked about and may not run."""
    if approval.state == "denied":
        said = f": {approval.decision_reason}" if approval.decision_reason else "."
        text, error, code = f"The owner denied this{said}", f"You denied this{said}", "denied"
    elif approval.state == "expired":
        text = error = "This did not run: nobody approved it in time."
        code = "approval_expired"
    else:
        text = error = "This did not run: the turn was stopped before it was approved."
        code = "cancelled"
    return ToolResult(
        "denied", f"{text} Do not try again unless asked.", error=error, error_code=code
    )


def with_changed_arguments(result: ToolResult, approval: Approval) -> str:
    """Return the text of a result for the model, which does not know what the owner changed."""
    if approval.arguments_to_run is None:
        return result.text
    ran = json.dumps(approval.arguments_to_run, ensure_ascii=False)
    return f"[The owner changed the arguments before approving. What ran: {ran}]\n{result.text}"


def _requested(approval: Approval) -> ApprovalRequested:
    return ApprovalRequested(
        approval_id=approval.id,
        tool_call_id=approval.tool_call_id,
        tool=approval.tool,
        account=approval.account,
        arguments=approval.arguments,
        level=approval.level,
        reason=approval.reason,
        taint=approval.taint,
        undoable=approval.undoable,
        preview=approval.preview,
        expires_at=approval.expires_at,
    )
