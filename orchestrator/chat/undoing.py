"""Reversing what a tool did, on a click of the owner."""

from typing import Literal

from sqlalchemy import Connection

from orchestrator.approvals.grants import GrantKeys
from orchestrator.chat.permits import Consent, Permits, named_account
from orchestrator.domain.chat import ToolCallRecord
from orchestrator.domain.tools import Permit, ToolResult, UndoCall
from orchestrator.domain.values import Value
from orchestrator.errors import Conflict, ToolError
from orchestrator.store import audit, tool_calls, turns
from orchestrator.store.database import Database
from orchestrator.tools.aggregator import MCPToolAggregator


class Undone(Value):
    """How the reversal of one call ended."""

    tool_call_id: str
    tool: str
    """Qualified name of the tool whose call was to be reversed."""
    status: Literal["undone", "failed", "unknown"]
    error: str | None = None
    """Why it was not reversed, or why nobody knows."""


class Undoing:
    """Calls the inverse that a server named in its result; the owner's click is the approval."""

    def __init__(
        self, database: Database, aggregator: MCPToolAggregator, grants: GrantKeys
    ) -> None:
        self._database = database
        self._aggregator = aggregator
        self._grants = grants

    async def undo_call(self, owner_id: str, tool_call_id: str, *, actor: str) -> Undone:
        """Reverse one call. Raises NotFound, Conflict."""
        call = await self._database.read(tool_calls.get, owner_id, tool_call_id)
        if call.undone_at is not None:
            raise Conflict(f"This was undone at {call.undone_at}.")
        if not call.undoable:
            raise Conflict("This cannot be undone.")
        return await self._undo(owner_id, call, actor)

    async def undo_turn(self, owner_id: str, turn_id: str, *, actor: str) -> list[Undone]:
        """Reverse what can be reversed of a turn, the newest first. Raises NotFound, Conflict."""
        calls = await self._database.read(_calls_of, owner_id, turn_id)
        undoable = [call for call in reversed(calls) if call.undoable]
        if not undoable:
            raise Conflict("Nothing that this turn did can be undone, or it was undone before.")
        return [await self._undo(owner_id, call, actor) for call in undoable]

    async def _undo(self, owner_id: str, call: ToolCallRecord, actor: str) -> Undone:
        undo = await self._database.read(tool_calls.undo_of, owner_id, call.tool_call_id)
        if undo is None:
            raise RuntimeError("an undoable call has a call that reverses it")
        result = await self._run(owner_id, call.tool_call_id, undo)
        if result.status == "done":
            await self._database.write(_note_undone, owner_id, call, actor)
            return Undone(tool_call_id=call.tool_call_id, tool=call.tool, status="undone")
        status = "unknown" if result.status == "unknown" else "failed"
        return Undone(
            tool_call_id=call.tool_call_id, tool=call.tool, status=status, error=result.error
        )

    async def _run(self, owner_id: str, tool_call_id: str, undo: UndoCall) -> ToolResult:
        tool = self._aggregator.tool(undo.tool)
        call_id, permit = f"undo_{tool_call_id}", Permit()
        try:
            if tool is not None and tool.is_journalled:
                call_id = await self._id_of_next_try(tool.server, call_id)
                permits = Permits(self._database, self._grants, owner_id, None)
                consent = Consent("once", "undo", account=named_account(tool, undo.arguments))
                permit = await permits.permit(
                    tool, undo.arguments, consent, call_id=call_id, base=permit
                )
        except ToolError as error:
            return ToolResult("failed", str(error), error=str(error), error_code=error.code)
        return await self._aggregator.call(
            undo.tool, undo.arguments, call_id=call_id, permit=permit
        )

    async def _id_of_next_try(self, server: str, first: str) -> str:
        """Return the same id at every click, as the server runs it once, until it has failed."""
        call_id, failed = first, 0
        while (await self._aggregator.call_record(server, call_id)).state == "failed":
            failed += 1
            call_id = f"{first}_{failed + 1}"
        return call_id


def _calls_of(conn: Connection, owner_id: str, turn_id: str) -> list[ToolCallRecord]:
    turns.get(conn, owner_id, turn_id)
    return tool_calls.of_turn(conn, owner_id, turn_id)


def _note_undone(conn: Connection, owner_id: str, call: ToolCallRecord, actor: str) -> None:
    tool_calls.note_undone(conn, owner_id, call.tool_call_id)
    details = {"tool": call.tool}
    audit.append(
        conn,
        owner_id,
        actor=actor,
        action="tool_call_undone",
        subject=call.tool_call_id,
        details=details,
    )
