"""How a call that asks gets its permission: a grant, the person at the client, or a ticket."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

from fastmcp.server.context import Context
from fastmcp.tools.base import InputRequiredToolResult
from mcp.types import CallToolRequestParams, CallToolResult

from servers.kit.gate import elicitation, journal, refusals
from servers.kit.gate.grants import verified_grant
from servers.kit.gate.incoming import AskState, CallMeta, asked_before
from servers.kit.gate.journal import Call
from servers.kit.gate.ledger import Ledger
from servers.kit.gate.permit import Need, Permit
from servers.kit.gate.ticket_desk import TicketDesk
from servers.kit.gate.wording import account_in, question
from servers.kit.manifest import ASKS, Manifest
from servers.kit.previews import Previews

ALWAYS_ASKS = 3

Refused: TypeAlias = CallToolResult | InputRequiredToolResult
"""The answer instead of running: an error, a stored result, or a question to the client."""
AccountCheck: TypeAlias = Callable[[CallToolRequestParams], Awaitable[None]]
"""Raises UpstreamError when the account that a call needs does not work."""


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
        return _approved_at_client(call)
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
    return Permit(granted, may_pass_limits=grant.scope == "once")


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
            await self._account_works(message)
            return refusals.approval_required(
                call.call_id, reason=need.reason, why=need.why, how="Its caller asks the owner."
            )
        if ctx.request_context is not None and elicitation.can_elicit(ctx):
            asked = await self._elicited(call, need, message, ctx)
            if asked is not None:
                return asked
        # What it asked for before may have ended by now: it is told so whatever the account does.
        arguments, preview = message.arguments or {}, None
        if not await self._desk.knows(call):
            await self._account_works(message)
            preview = await self._previews.told(call.tool, arguments)
        return await self._desk.present(call, need, arguments, preview)

    async def _account_works(self, message: CallToolRequestParams) -> None:
        if self._check_account is not None:
            await self._check_account(message)

    async def _elicited(
        self, call: Call, need: Need, message: CallToolRequestParams, ctx: Context
    ) -> Permit | Refused | None:
        if elicitation.is_modern(ctx):
            answer = elicitation.answer_in(message)
            if message.request_state is None or answer is None:
                text = await self._question(call, need, message)
                state = AskState(call_id=call.call_id).model_dump_json()
                return elicitation.asking_result(text, state)
        else:
            text = await self._question(call, need, message)
            if (answer := await elicitation.ask_now(ctx, text)) is None:
                return None
        if answer.is_approved:
            return _approved_at_client(call)
        denied = replace(call, decided_by="elicitation")
        await self._ledger.write(journal.note_refusal, denied, "denied", time.time())
        return refusals.denied(call.call_id, answer.reason)

    async def _question(self, call: Call, need: Need, message: CallToolRequestParams) -> str:
        await self._account_works(message)
        tool = self._manifest.tools[call.tool]
        arguments = message.arguments or {}
        return question(
            title=self._manifest.title_of(call.tool),
            server_title=self._manifest.title,
            arguments=arguments,
            is_undoable=tool.undo is not None,
            why=need.why,
            account=account_in(arguments, tool),
            preview=await self._previews.told(call.tool, arguments),
        )


def _approved_at_client(call: Call) -> Permit:
    approved = replace(call, decision="approved", decided_by="elicitation")
    return Permit(approved, may_pass_limits=True)
