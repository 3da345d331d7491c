"""The tool calls of one round: run in their order, each asked about where due, each with an end."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from orchestrator.approvals.policy import Ask
from orchestrator.approvals.taint import sources_of
from orchestrator.chat.asking import Asking, refused_by_owner, with_changed_arguments
from orchestrator.chat.call_runner import CallRunner
from orchestrator.chat.events import ToolCallFinished, ToolCallStarted, attachment_added
from orchestrator.chat.keeping import FileKeeper, Kept, Origin, left_behind
from orchestrator.chat.open_round import OpenRound
from orchestrator.chat.planned_call import PlannedCall, groups_of
from orchestrator.chat.turn_clock import TurnClock
from orchestrator.chat.turn_log import TurnLog
from orchestrator.domain.approvals import Approval
from orchestrator.domain.chat import Turn
from orchestrator.domain.tools import ToolResult
from orchestrator.logs import log_conversation
from orchestrator.store import tool_calls, turns

StoreMessages = Callable[[Connection], None]


class ToolRound:
    """Runs the calls of one round: neighbours that only read run together, others alone."""

    def __init__(
        self,
        owner_id: str,
        turn: Turn,
        calls: list[PlannedCall],
        *,
        log: TurnLog,
        clock: TurnClock,
        asking: Asking,
        runner: CallRunner,
        keeper: FileKeeper,
        store_messages: StoreMessages,
        open_round: OpenRound | None = None,
    ) -> None:
        """Take the calls; `store_messages` joins the transaction that stores the last result.

        `open_round` tells how far they came before a restart.
        """
        self.calls = calls
        self.results = dict(open_round.results) if open_round else {}
        self.sources = list(open_round.sources) if open_round else []
        """Where foreign text in the results came from."""
        self._owner_id = owner_id
        self._turn = turn
        self._log = log
        self._clock = clock
        self._asking = asking
        self._runner = runner
        self._keeper = keeper
        self._store_messages = store_messages
        self._queue = deque(groups_of([call for call in calls if call.id not in self.results]))
        self._started = set(open_round.started) if open_round else set[str]()
        self._open_in_group = 0
        self._is_waiting_stored = open_round is not None

    def announce(self) -> Callable[[Connection], None]:
        """Add the events of the plan; return what the transaction that plans the calls must do."""
        first = self._queue[0]
        asked = [
            self._asking.ask(call, call.definition, call.question)
            for call in self.calls
            if call.definition is not None and call.question is not None
        ]
        waits = self._asking.asks_about(first[0])
        start = None if waits else self._begin(first)
        self._is_waiting_stored = waits

        def store(conn: Connection) -> None:
            self._asking.store(conn, asked)
            if start is None:
                turns.wait(conn, self._owner_id, self._turn.id)
            else:
                start(conn)

        return store

    async def run(self) -> None:
        """Run all calls to their ends, once the plan is stored."""
        async with self._asking:
            while self._queue:
                await self._run_group(self._queue.popleft())

    async def _run_group(self, group: list[PlannedCall]) -> None:
        approval = None
        self._open_in_group = len(group)
        if self._asking.asks_about(group[0]):
            approval = await self._decision(group[0])
            if approval.state != "approved":
                return
        elif group[0].id not in self._started:
            await self._log.commit(self._begin(group))
        async with asyncio.TaskGroup() as tasks:
            for call in group:
                tasks.create_task(self._run_one(call, approval))

    async def _decision(self, call: PlannedCall) -> Approval:
        """Wait for the owner, and store that the call starts, or ends without having run."""
        with self._clock.paused():
            approval = await self._asking.decision_about(call)
            if approval.state == "approved":
                await self._log.commit(self._begin([call], approval))
            else:
                await self._end(call, Kept(refused_by_owner(approval)), 0)
        return approval

    def _begin(
        self, group: Sequence[PlannedCall], approval: Approval | None = None
    ) -> Callable[[Connection], None]:
        """Add the events of calls that start; return what stores it, and that the turn runs."""
        for call in group:
            if call.id not in self._started:
                self._log.add(_started(call))
        ids = [call.id for call in group]
        self._started.update(ids)
        was_waiting, self._is_waiting_stored = self._is_waiting_stored, False
        changed = approval.arguments_to_run if approval else None

        def store(conn: Connection) -> None:
            tool_calls.start(conn, self._owner_id, ids)
            if changed is not None:
                tool_calls.change_arguments(conn, self._owner_id, ids[0], changed)
            if was_waiting:
                turns.end_waiting(conn, self._owner_id, self._turn.id)

        return store

    async def _run_one(self, call: PlannedCall, approval: Approval | None) -> None:
        started_s = time.monotonic()
        try:
            result = await self._runner.run(call, approval)
            kept = result if isinstance(result, Ask) else await self._keep(call, result)
        except asyncio.CancelledError:
            outcome = await self._runner.outcome_at_stop(call)
            if outcome is not None:
                await self._end(call, left_behind(outcome), _ms_since(started_s), approval)
            raise
        if isinstance(kept, Ask):
            await self._park(call, kept.reason)
        else:
            await self._end(call, kept, _ms_since(started_s), approval)

    async def _keep(self, call: PlannedCall, result: ToolResult) -> Kept:
        request = call.request
        origin = Origin(
            self._owner_id, self._turn.session_id, request.server, request.tool, call.id
        )
        return await self._keeper.of_tool(result, origin)

    async def _park(self, call: PlannedCall, reason: str) -> None:
        """Ask about a call that its server did not run, and run it next when it may."""
        if call.definition is None:
            raise RuntimeError("only a tool that is known can want an approval")
        asked = self._asking.ask(call, call.definition, reason)
        self._queue.appendleft([call])
        self._open_in_group -= 1
        wait = self._wait_if_next()

        def store(conn: Connection) -> None:
            tool_calls.park(conn, self._owner_id, call.id)
            self._asking.store(conn, [asked])
            wait(conn)

        await self._log.commit(store)
        self._asking.watch()

    async def _end(
        self,
        call: PlannedCall,
        kept: Kept,
        duration_ms: int,
        approval: Approval | None = None,
    ) -> None:
        result = kept.result
        if approval is not None:
            result = replace(result, text=with_changed_arguments(result, approval))
        sources = sources_of(call.definition, result) if call.definition else ()
        for attachment in kept.attachments:
            self._log.add(attachment_added(attachment, call.id))
        self._log.add(_finished(call, result, duration_ms, sources, kept.ids))
        self._log_end(call, result, duration_ms)
        self.results[call.id] = result
        self.sources += sources
        self._open_in_group -= 1
        is_last = len(self.results) == len(self.calls)
        follow = self._store_messages if is_last else self._wait_if_next()
        was_waiting = is_last and self._is_waiting_stored

        def store(conn: Connection) -> None:
            tool_calls.finish(conn, self._owner_id, call.id, result, duration_ms, sources, kept.ids)
            follow(conn)
            if was_waiting:
                turns.end_waiting(conn, self._owner_id, self._turn.id)

        await self._log.commit(store)

    def _wait_if_next(self) -> Callable[[Connection], None]:
        """Return what stores that the turn waits, if that is its next step."""
        is_free = self._open_in_group == 0 and bool(self._queue)
        if self._is_waiting_stored or not (is_free and self._asking.asks_about(self._queue[0][0])):
            return _nothing
        self._is_waiting_stored = True
        return lambda conn: turns.wait(conn, self._owner_id, self._turn.id)

    def _log_end(self, call: PlannedCall, result: ToolResult, duration_ms: int) -> None:
        log_conversation(
            self._turn.session_id,
            "tool_call_ended",
            tool=call.request.tool,
            arguments_hash=tool_calls.arguments_hash(call.request.arguments),
            status=result.status,
            duration_ms=duration_ms,
        )


def _started(call: PlannedCall) -> ToolCallStarted:
    request = call.request
    return ToolCallStarted(
        tool_call_id=request.tool_call_id,
        tool=request.tool,
        server=request.server,
        arguments=request.arguments,
    )


def _finished(
    call: PlannedCall,
    result: ToolResult,
    duration_ms: int,
    sources: Iterable[str],
    attachment_ids: list[str],
) -> ToolCallFinished:
    return ToolCallFinished(
        tool_call_id=call.id,
        status=result.status,
        duration_ms=duration_ms,
        text=result.text,
        structured=result.structured,
        attachments=attachment_ids,
        error=result.error,
        sources=list(sources),
        undoable=result.undo is not None,
    )


def _ms_since(started_s: float) -> int:
    return round((time.monotonic() - started_s) * 1000)


def _nothing(_conn: Connection) -> None:
    """Store nothing."""
