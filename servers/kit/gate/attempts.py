"""Runs gated calls: noted before and after, once for each call id, whatever the client does."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

from fastmcp.exceptions import FastMCPError, ToolError
from fastmcp.tools.base import ToolResult
from mcp.types import CallToolResult, TextContent

from servers.kit.errors import SignInRequired, TooLarge, UpstreamError
from servers.kit.gate import journal, refusals, tickets
from servers.kit.gate.current import acting_for, begin_call
from servers.kit.gate.grants import GrantRefused
from servers.kit.gate.journal import Call
from servers.kit.gate.ledger import Ledger, LedgerUnavailable
from servers.kit.gate.limits import Limits
from servers.kit.gate.liveness import ProcessId
from servers.kit.gate.permit import Permit
from servers.kit.output import check_result

logger = logging.getLogger(__name__)

# Before it uvicorn lets open requests end for 2 s; our supervisor's patience ends after 4.
DRAIN_S = 1.2
CANCEL_S = 0.2
REPLAYED_META = "flotilla/replayed"

Run: TypeAlias = Callable[[], Awaitable[ToolResult]]
Ended: TypeAlias = tuple[Literal["done", "failed", "unknown"], CallToolResult]
NotMade: TypeAlias = LedgerUnavailable | SignInRequired
"""Why a call was not made, for everybody who waits for it."""
Attempt: TypeAlias = CallToolResult | journal.OverLimit | journal.GrantUsed | NotMade


class Attempts:
    """The gated calls of one running server."""

    def __init__(self, ledger: Ledger, limits: Limits) -> None:
        self._ledger = ledger
        self._limits = limits
        self._running: dict[str, tuple[str, asyncio.Task[Attempt]]] = {}

    async def known(self, call: Call) -> CallToolResult | None:
        """What there is to say of this call without running it; None when it never began.

        Raises LedgerUnavailable, and SignInRequired when it was withdrawn just now.
        """
        if call.call_id in self._running:
            joined = await self._join(call)
            if isinstance(joined, SignInRequired):
                raise joined
            return joined if isinstance(joined, CallToolResult) else None
        found = await self._ledger.read(journal.find, call.call_id, call.hash, self._ledger.process)
        return None if found is None else _answer(call, found)

    async def carry_out(self, permit: Permit, run: Run) -> CallToolResult | journal.OverLimit:
        """How the call ended, now or before.

        From its first note to its last it cannot be cancelled: whoever waits here may go. Raises
        GrantRefused and LedgerUnavailable when it did not begin for that reason, and SignInRequired
        when it was withdrawn: it may begin again then, under the same id and with the same grant.
        """
        call = permit.call
        if call.call_id not in self._running:
            task = asyncio.create_task(self._noted(permit, run))
            self._running[call.call_id] = (call.hash, task)
            task.add_done_callback(lambda _: self._running.pop(call.call_id, None))
        attempt = await self._join(call)
        if isinstance(attempt, journal.GrantUsed):
            raise GrantRefused("Another call has used this grant.")
        if isinstance(attempt, NotMade):
            raise attempt
        return attempt

    async def _join(self, call: Call) -> Attempt:
        hash_, task = self._running[call.call_id]
        if hash_ != call.hash:
            return refusals.arguments_differ(call.call_id)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Waits for what runs, for a while; then gives it up, and the journal says so."""
        tasks = [task for _, task in self._running.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=DRAIN_S)
            for task in late:
                task.cancel()
            if late:
                # A tool's thread cannot be stopped: what it still does, nobody will know.
                await asyncio.wait(late, timeout=CANCEL_S)
                logger.warning("calls_given_up count=%s", len(late))
        await self._ledger.write(journal.give_up, self._ledger.process, time.time())

    async def _noted(self, permit: Permit, run: Run) -> Attempt:
        call = permit.call
        try:
            beginning = await self._ledger.write(_begin, permit, self._limits, self._ledger.process)
        except LedgerUnavailable as error:
            logger.warning("call_refused reason=ledger call_id=%s: %s", call.call_id, error)
            return error
        match beginning:
            case journal.Begun():
                pass
            case journal.OverLimit() | journal.GrantUsed():
                return beginning
            case found:
                return _answer(call, found)
        ended = await _ended(call, run)
        if isinstance(ended, SignInRequired):
            return await self._withdrawn(call, ended)
        state, result = ended
        text = result.model_dump_json(by_alias=True, exclude_none=True)
        try:
            await self._ledger.write(
                journal.finish, call.call_id, state, text, time.time(), durable=False
            )
        except LedgerUnavailable:
            # What happened, happened: this client learns it, later ones that it is not known.
            logger.exception("call_end_not_noted call_id=%s state=%s", call.call_id, state)
        return result

    async def _withdrawn(self, call: Call, why: SignInRequired) -> NotMade:
        try:
            await self._ledger.write(journal.withdraw, call.call_id)
        except LedgerUnavailable as error:
            # It was not made, and its id is not free either: whoever repeats it has to look.
            logger.exception("call_not_withdrawn call_id=%s", call.call_id)
            return error
        logger.info("call_withdrawn call_id=%s reason=%s", call.call_id, why.reason)
        return why


def replayed(stored: str) -> CallToolResult:
    """The result in the JSON text that the journal kept, marked as told before."""
    result = CallToolResult.model_validate_json(stored)
    result.meta = {**(result.meta or {}), REPLAYED_META: True}
    return result


def _answer(call: Call, found: journal.Found) -> CallToolResult:
    match found:
        case journal.Replay():
            return replayed(found.result)
        case journal.ArgumentsDiffer():
            return refusals.arguments_differ(call.call_id)
        case journal.Running(elsewhere=True):
            return refusals.in_progress(call.call_id)
        # One that began here and does not run is one whose end could not be noted.
        case journal.Running() | journal.Unknown():
            return refusals.unknown(call.call_id)


def _begin(
    conn: sqlite3.Connection, permit: Permit, limits: Limits, process: ProcessId
) -> journal.Beginning:
    beginning = journal.begin(
        conn,
        permit.call,
        limits,
        may_pass_limits=permit.may_pass_limits,
        process=process,
        now_s=time.time(),
    )
    if isinstance(beginning, journal.Begun) and permit.call.decided_by is not None:
        # The orchestrator runs a ticket's call itself once its owner approved it there.
        tickets.note_approval(conn, permit.call.call_id, permit.call.decided_by)
    return beginning


async def _ended(call: Call, run: Run) -> Ended | SignInRequired:
    """Runs the tool; whatever it raises becomes a result that says what is known.

    Only of a missing sign-in nothing is kept, unless something was done before it was missed.
    """
    current = begin_call(call.call_id)
    try:
        with acting_for(call.account):
            result = await run()
    except ToolError as error:
        if isinstance(error.__cause__, SignInRequired):
            if not current.has_acted:
                return error.__cause__
            logger.warning("sign_in_missed_after_effect call_id=%s", call.call_id)
            return "unknown", refusals.unknown(call.call_id)
        # FastMCP masks what nobody raised on purpose: a fault, perhaps after the effect.
        if isinstance(error.__cause__, UpstreamError | None):
            return "failed", _failure(call, str(error))
        return "unknown", refusals.unknown(call.call_id)
    except FastMCPError as error:
        return "failed", _failure(call, str(error))
    except Exception:
        # Border of a call: what breaks around the tool must not leave it without an end.
        logger.exception("call_broke call_id=%s", call.call_id)
        return "unknown", refusals.unknown(call.call_id)
    try:
        check_result(result)
    except TooLarge as error:
        return "done", _counted(call, refusals.result_too_large(call.call_id, str(error)))
    meta = {**(result.meta or {}), **refusals.call_meta(call.call_id)}
    sent = CallToolResult(
        content=result.content,
        structured_content=result.structured_content,
        is_error=result.is_error,
        _meta=meta,
    )
    return ("failed", sent) if result.is_error else ("done", _counted(call, sent))


def _counted(call: Call, result: CallToolResult) -> CallToolResult:
    """The result of a call that was done, with the number of its effects."""
    if call.effect is not None:
        result.meta = {**(result.meta or {}), refusals.EFFECTS_META: call.effects}
    return result


def _failure(call: Call, text: str) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=text)],
        is_error=True,
        _meta=refusals.call_meta(call.call_id),
    )
