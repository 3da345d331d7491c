"""The tool calls of one round: run in their order, each asked about where due, each with an end."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from orchestrator.approvals.policy import Ask
from orchestrator.approvals.taint import sources_of
from orchestrator.chat.asking import Asking, refused_by_owner, with_changed_arguments
from orchestrator.chat.call_events import finished, started
from orchestrator.chat.call_runner import CallRunner
from orchestrator.chat.events import attachment_added
from orchestrator.chat.keeping import FileKeeper, Kept, Origin, left_behind
from orchestrator.chat.open_round import OpenRound
from orchestrator.chat.planned_call import PlannedCall, groups_of
from orchestrator.chat.signing_in import SignInNeeded, SignIns, not_signed_in
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
        sign_ins: SignIns,
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
        self._sign_ins = sign_ins
        self._runner = runner
        self._keeper = keeper
        self._store_messages = store_messages
        self._queue = deque(groups_of([call for call in calls if call.id not in self.results]))
        self._started = set(open_round.started) if open_round else set[str]()
        self._open_in_group = 0
        self._signing_in: list[PlannedCall] = []
        """Those of the group that wait for sign-ins; they run together again."""
        self._is_waiting_stored = open_round is not None

    def announce(self) -> Callable[[Connection], None]:
        """Add the events of the plan; return what the transaction that plans the calls must do."""
        first = self._queue[0]
        asked = [
            approval
            for call in self.calls
            if call.definition is not None and call.question is not None
            for approval in self._asking.ask(call, call.definition, call.question)
        ]
        waits = self._waits(first)
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
        async with self._asking, self._sign_ins:
            while self._queue:
                await self._run_group(self._queue.popleft())

    def _waits(self, group: Sequence[PlannedCall]) -> bool:
        return any(
            self._asking.asks_about(call) or self._sign_ins.asks_about(call) for call in group
        )

    async def _run_group(self, group: list[PlannedCall]) -> None:
        approvals: dict[str, Approval] = {}
        self._open_in_group = len(group)
        self._signing_in = []
        if self._waits(group):
            group = await self._released(group, approvals)
        elif group[0].id not in self._started:
            await self._log.commit(self._begin(group))
        async with asyncio.TaskGroup() as tasks:
            for call in group:
                tasks.create_task(self._run_one(call, approvals.get(call.id)))

    async def _released(
        self, group: list[PlannedCall], approvals: dict[str, Approval]
    ) -> list[PlannedCall]:
        """Wait for the owner; return what may run, stored as started, and note its `approvals`.

        The others end without having run.
        """
        with self._clock.paused():
            refused = {call.id: await self._refusal(call, approvals) for call in group}
            for call in group:
                if (refusal := refused[call.id]) is not None:
                    await self._end(call, Kept(refusal), 0)
            ready = [call for call in group if refused[call.id] is None]
            if ready:
                await self._log.commit(self._begin(ready, approvals))
        return ready

    async def _refusal(
        self, call: PlannedCall, approvals: dict[str, Approval]
    ) -> ToolResult | None:
        """Wait for all that was asked about a call; return its end if it may not run."""
        if self._asking.asks_about(call):
            ended = await self._asking.end_about(call)
            if isinstance(ended, ToolResult):
                return ended
            if ended is not None and ended.state != "approved":
                return refused_by_owner(ended)
            if ended is not None:
                approvals[call.id] = ended
        if self._sign_ins.asks_about(call):
            question = await self._sign_ins.end_about(call)
            if question.state != "done":
                return not_signed_in(question)
        return None

    def _begin(
        self, group: Sequence[PlannedCall], approvals: Mapping[str, Approval] | None = None
    ) -> Callable[[Connection], None]:
        """Add the events of calls that start; return what stores it, and that the turn runs."""
        for call in group:
            if call.id not in self._started:
                self._log.add(started(call))
        ids = [call.id for call in group]
        self._started.update(ids)
        was_waiting, self._is_waiting_stored = self._is_waiting_stored, False
        changed = {
            call_id: approval.arguments_to_run
            for call_id, approval in (approvals or {}).items()
            if approval.arguments_to_run is not None
        }

        def store(conn: Connection) -> None:
            tool_calls.start(conn, self._owner_id, ids)
            for call_id, arguments in changed.items():
                tool_calls.change_arguments(conn, self._owner_id, call_id, arguments)
            if was_waiting:
                turns.end_waiting(conn, self._owner_id, self._turn.id)

        return store

    async def _run_one(self, call: PlannedCall, approval: Approval | None) -> None:
        started_s = time.monotonic()
        try:
            result = await self._runner.run(call, approval)
            if isinstance(result, SignInNeeded) and not self._sign_ins.may_ask(call):
                result = result.as_result()
            kept = await self._keep(call, result) if isinstance(result, ToolResult) else result
        except asyncio.CancelledError:
            outcome = await self._runner.outcome_at_stop(call)
            if outcome is not None:
                await self._end(call, left_behind(outcome), _ms_since(started_s), approval)
            raise
        if isinstance(kept, Kept):
            await self._end(call, kept, _ms_since(started_s), approval)
        else:
            await self._park(call, kept)

    async def _keep(self, call: PlannedCall, result: ToolResult) -> Kept:
        request = call.request
        origin = Origin(
            self._owner_id, self._turn.session_id, request.server, request.tool, call.id
        )
        return await self._keeper.of_tool(result, origin)

    async def _park(self, call: PlannedCall, wanted: Ask | SignInNeeded) -> None:
        """Ask about a call that its server did not run, and run it next when it may."""
        store_asked = self._asked(call, wanted)
        self._open_in_group -= 1
        wait = self._wait_if_next()

        def store(conn: Connection) -> None:
            tool_calls.park(conn, self._owner_id, call.id)
            store_asked(conn)
            wait(conn)

        await self._log.commit(store)
        self._asking.watch(call.id)
        self._sign_ins.watch(call.id)

    def _asked(self, call: PlannedCall, wanted: Ask | SignInNeeded) -> Callable[[Connection], None]:
        """Add the event that asks, and have the call run next; return what stores the question."""
        if isinstance(wanted, SignInNeeded):
            question = self._sign_ins.ask(call, wanted)
            if not self._signing_in:
                self._queue.appendleft(self._signing_in)
            self._signing_in.append(call)
            return lambda conn: self._sign_ins.store(conn, question)
        if call.definition is None:
            raise RuntimeError("only a tool that is known can want an approval")
        asked = self._asking.ask(call, call.definition, wanted.reason)
        self._queue.appendleft([call])
        return lambda conn: self._asking.store(conn, asked)

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
        self._log.add(finished(call, result, duration_ms, sources, kept.ids))
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
        if self._is_waiting_stored or not (is_free and self._waits(self._queue[0])):
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


def _ms_since(started_s: float) -> int:
    return round((time.monotonic() - started_s) * 1000)


def _nothing(_conn: Connection) -> None:
    """Store nothing."""
