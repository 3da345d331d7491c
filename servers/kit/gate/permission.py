"""How a call that asks gets its permission: a grant, the person at the client, or a ticket."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from fastmcp.server.context import Context
from fastmcp.tools.base import InputRequiredToolResult
from mcp.types import CallToolRequestParams, CallToolResult

from servers.kit.gate import elicitation, journal, refusals
from servers.kit.gate.current import acting_for
from servers.kit.gate.grants import verified_grant
from servers.kit.gate.incoming import AskState, CallMeta, asked_before
from servers.kit.gate.journal import Call
from servers.kit.gate.ledger import Ledger
from servers.kit.gate.permit import Need, Permit
from servers.kit.gate.ticket_desk import TicketDesk
from servers.kit.gate.wording import account_in, one_line, question
from servers.kit.manifest import ASKS, Manifest
from servers.kit.previews import Previews

ALWAYS_ASKS = 3

Refused: TypeAlias = CallToolResult | InputRequiredToolResult
"""The answer instead of running: an error, a stored result, or a question to the client."""
AccountCheck: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[str | None]]
"""The account that a call of this tool is for; None where it needs none.

Raises UpstreamError when that account does not work.
"""


def need_of(call: Call, permit: Permit) -> Need | None:
    """What the level of a call still needs, given what its caller brought along."""
    if call.level < ASKS or permit.may_pass_limits:
        return None
    if call.level >= ALWAYS_ASKS:
        return Need("level", "This tool asks each time it is called.")
    if permit.call.decision == "approved":
        return None
    return Need("level", "This tool asks before it runs.")


def brought_along(call: Call, message: CallToolRequestParams, meta: CallMeta, key: bytes) -> Permit:
    """What was approved at the client before, or by the grant in `_meta`. Raises GrantRefused."""
    asked = asked_before(message)
    if asked is not None and asked.is_approved:
        return _approved_at_client(call, asked.account)
    if meta.grant is None:
        return Permit(call)
    grant = verified_grant(
        meta.grant,
        key,
        owner=call.owner,
        server=call.server,
        tool=call.tool,
        call_id=call.call_id,
        call_hash=call.hash,
        now_s=time.time(),
    )
    granted = replace(
        call,
        grant_id=grant.id,
        decision="approved",
        decided_by=grant.by,
        taint=call.taint or grant.taint,
    )
    if grant.scope == "standing":
        return Permit(granted)
    return Permit(replace(granted, account=_same(grant.account)), may_pass_limits=True)


class Permissions:
    """Asks the owner, one way or another."""

    def __init__(
        self,
        manifest: Manifest,
        ledger: Ledger,
        desk: TicketDesk,
        check_account: AccountCheck | None,
        previews: Previews,
    ) -> None:
        self._manifest = manifest
        self._ledger = ledger
        self._desk = desk
        self._check_account = check_account
        self._previews = previews

    async def obtain(
        self,
        call: Call,
        need: Need,
        *,
        message: CallToolRequestParams,
        meta: CallMeta,
        ctx: Context,
    ) -> Permit | Refused:
        """A permit once the owner agreed, else what to answer meanwhile.

        Waits for the owner only where the protocol has the client wait. Raises UpstreamError
        instead of asking about a call whose account does not work.
        """
        if meta.caller_asks:
            await self.account_of(call, message)
            return refusals.approval_required(
                call.call_id, reason=need.reason, why=need.why, how="Its caller asks the owner."
            )
        if ctx.request_context is not None and elicitation.can_elicit(ctx):
            asked = await self._elicited(call, need, message, ctx)
            if asked is not None:
                return asked
        return await self._ticketed(call, need, message)

    async def account_of(self, call: Call, message: CallToolRequestParams) -> str | None:
        """The account that the call is for now; None where it needs none.

        Raises UpstreamError when that account does not work.
        """
        if self._check_account is None:
            return None
        return await self._check_account(call.tool, message.arguments or {})

    async def _ticketed(
        self, call: Call, need: Need, message: CallToolRequestParams
    ) -> Permit | CallToolResult:
        # What it asked for before may have ended by now: it is told so whatever the account does.
        if (end := await self._desk.end_of(call)) is not None:
            return end
        call = replace(call, account=await self.account_of(call, message))
        arguments, preview = message.arguments or {}, None
        if not await self._desk.knows(call):
            preview = await self._told(call, arguments)
        return await self._desk.present(call, need, arguments, preview)

    async def _told(self, call: Call, arguments: Mapping[str, Any]) -> str | None:
        with acting_for(call.account):
            return await self._previews.told(call.tool, arguments)

    async def _elicited(
        self, call: Call, need: Need, message: CallToolRequestParams, ctx: Context
    ) -> Permit | Refused | None:
        if elicitation.is_modern(ctx):
            answer, asked = elicitation.answer_in(message), asked_before(message)
            if asked is None or answer is None:
                call = replace(call, account=await self.account_of(call, message))
                text = await self._question(call, need, message)
                state = AskState(call_id=call.call_id, account=call.account)
                return elicitation.asking_result(text, state.model_dump_json())
            call = replace(call, account=asked.account)
        else:
            call = replace(call, account=await self.account_of(call, message))
            text = await self._question(call, need, message)
            if (answer := await elicitation.ask_now(ctx, text)) is None:
                return None
        if answer.is_approved:
            return _approved_at_client(call, call.account)
        denied = replace(call, decided_by="elicitation")
        await self._ledger.write(journal.note_refusal, denied, "denied", time.time())
        return refusals.denied(call.call_id, answer.reason)

    async def _question(self, call: Call, need: Need, message: CallToolRequestParams) -> str:
        tool = self._manifest.tools[call.tool]
        arguments = message.arguments or {}
        return question(
            title=self._manifest.title_of(call.tool),
            server_title=self._manifest.title,
            arguments=arguments,
            is_undoable=tool.undo is not None,
            why=need.why,
            account=call.account or account_in(arguments, tool),
            preview=await self._told(call, arguments),
        )


def another_account(approved: str | None, now: str) -> str:
    """Why what was approved is to be asked about again: a sentence for the owner."""
    if approved is None:
        return f"It was approved when nobody could say for which account: it is for {now}."
    return f"It was approved for {one_line(approved)}, and it is for another account now: {now}."


def _same(account: str | None) -> str | None:
    """The account as accounts are kept."""
    return None if account is None else account.strip().lower()


def _approved_at_client(call: Call, account: str | None) -> Permit:
    approved = replace(call, decision="approved", decided_by="elicitation", account=account)
    return Permit(approved, may_pass_limits=True)
