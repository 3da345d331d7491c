"""Judges one gated call after the other: known already, permitted, or to be asked about."""

from fastmcp.exceptions import ToolError
from fastmcp.server.context import Context
from fastmcp.tools.base import InputRequiredToolResult
from mcp.types import CallToolRequestParams, CallToolResult

from servers.kit.errors import SignInRequired, UpstreamError
from servers.kit.gate import journal, refusals
from servers.kit.gate.attempts import Attempts, Run
from servers.kit.gate.canonical import canonical_json
from servers.kit.gate.grants import GrantRefused
from servers.kit.gate.incoming import AskState, CallMeta, call_meta_of, new_call
from servers.kit.gate.journal import Call
from servers.kit.gate.ledger import Ledger, LedgerUnavailable
from servers.kit.gate.permission import (
    AccountCheck,
    Permissions,
    Refused,
    another_account,
    brought_along,
    need_of,
)
from servers.kit.gate.permit import Need, NeedsSignIn, Permit
from servers.kit.gate.ticket_desk import TicketDesk
from servers.kit.manifest import Manifest
from servers.kit.previews import Previews

MAX_ASKED_BYTES = 64 * 1024
"""The most that the arguments of a call may be, as canonical JSON, if somebody is to approve it."""


class Judge:
    """The owner's rules, applied to the gated calls of a running server."""

    def __init__(
        self,
        manifest: Manifest,
        *,
        owner: str,
        key: bytes,
        ledger: Ledger,
        attempts: Attempts,
        desk: TicketDesk,
        check_account: AccountCheck | None,
        previews: Previews,
    ) -> None:
        self._manifest = manifest
        self._owner = owner
        self._key = key
        self._attempts = attempts
        self._desk = desk
        self._permissions = Permissions(manifest, ledger, desk, check_account, previews)

    async def answer(
        self, message: CallToolRequestParams, ctx: Context, run: Run
    ) -> CallToolResult | InputRequiredToolResult:
        """What the client gets; `run` comes to an end at most once for a call id, ever.

        Raises ToolError when `_meta`, the arguments or the account cannot be used at all, and
        NeedsSignIn when the owner can mend that and the same call goes on then.
        """
        meta = call_meta_of(ctx)
        call = new_call(message, ctx, meta, self._manifest, self._owner)
        try:
            return await self._judged(call, message, meta, ctx, run)
        except GrantRefused as error:
            return refusals.grant_refused(call.call_id, str(error))
        except LedgerUnavailable as error:
            return refusals.gate_unavailable(call.call_id, str(error))
        except SignInRequired as error:
            raise NeedsSignIn(error, AskState(call_id=call.call_id)) from error
        except UpstreamError as error:
            raise ToolError(str(error)) from error

    async def _judged(
        self, call: Call, message: CallToolRequestParams, meta: CallMeta, ctx: Context, run: Run
    ) -> Refused:
        try:
            permit = brought_along(call, message, meta, self._key)
        except GrantRefused:
            # A repeated call may come with a grant that has expired since.
            if (known := await self._attempts.known(call)) is not None:
                return known
            raise
        need = need_of(permit.call, permit)
        if need is None and not permit.may_pass_limits:
            attempt = await self._carried_out(permit, run)
            if not isinstance(attempt, journal.OverLimit):
                return attempt
            need = Need("limit", attempt.why)
        elif need is None and self._manifest.tools[call.tool].capability is None:
            # At once: whoever sent it may leave, and then only what has begun goes on.
            return await self._permitted(permit, run)
        elif (known := await self._attempts.known(call)) is not None:
            return known
        permission: Permit | Refused = permit
        if need is not None:
            permission = await self._obtained(call, need, message, meta, ctx)
        while isinstance(permission, Permit):
            if (other := await self._other_account(permission, message)) is None:
                return await self._permitted(permission, run)
            anew = message.model_copy(update={"request_state": None, "input_responses": None})
            permission = await self._obtained(call, other, anew, meta, ctx)
        return permission

    async def _obtained(
        self, call: Call, need: Need, message: CallToolRequestParams, meta: CallMeta, ctx: Context
    ) -> Permit | Refused:
        # Whoever asks them, the owner has to read it, and it is stored until they did.
        if len(canonical_json(message.arguments or {})) > MAX_ASKED_BYTES:
            return refusals.arguments_too_large(call.call_id, MAX_ASKED_BYTES)
        return await self._permissions.obtain(call, need, message=message, meta=meta, ctx=ctx)

    async def _other_account(self, permit: Permit, message: CallToolRequestParams) -> Need | None:
        """Why the owner has to be asked again: the call is for another account now."""
        approved = permit.call.account
        try:
            account = await self._permissions.account_of(permit.call, message)
        except SignInRequired as error:
            raise _needs_sign_in(permit, error) from error
        if account is None or account == approved:
            return None
        return Need("level", another_account(approved, account))

    async def _permitted(self, permit: Permit, run: Run) -> CallToolResult:
        attempt = await self._carried_out(permit, run)
        while isinstance(attempt, journal.OverLimit):
            # Another one of this id had no permit; it was faster, and it is over.
            attempt = await self._carried_out(permit, run)
        if permit.ticket_id is not None:
            await self._desk.close(permit.ticket_id)
        return attempt

    async def _carried_out(self, permit: Permit, run: Run) -> CallToolResult | journal.OverLimit:
        try:
            return await self._attempts.carry_out(permit, run)
        except SignInRequired as error:
            raise _needs_sign_in(permit, error) from error


def _needs_sign_in(permit: Permit, why: SignInRequired) -> NeedsSignIn:
    # A grant or a ticket comes again with the call; what was said at the client does not.
    call, is_approved = permit.call, permit.call.decided_by == "elicitation"
    account = call.account if is_approved else None
    return NeedsSignIn(
        why, AskState(call_id=call.call_id, is_approved=is_approved, account=account)
    )
