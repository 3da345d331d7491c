"""The front door of this floor: start, follow, stop and continue turns.

A turn runs as a task of the server, never of a request: the one who asked may leave.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.chat.accepting import NewTurn, accept
from orchestrator.chat.again import another_answer, continuation
from orchestrator.chat.closing import Ending, close_interrupted, close_live_turn
from orchestrator.chat.ending import ending_for
from orchestrator.chat.event_recorder import EventRecorder
from orchestrator.chat.events import TurnFailed
from orchestrator.chat.following import stored_events
from orchestrator.chat.limits import Spending
from orchestrator.chat.live_turn import LiveTurn
from orchestrator.chat.open_round import WaitingTurn
from orchestrator.chat.resources import Resources
from orchestrator.chat.taking_up import waiting_turns
from orchestrator.chat.titles import Titles
from orchestrator.chat.turn_clock import TurnClock
from orchestrator.chat.turn_log import TurnLog
from orchestrator.chat.turn_plan import TurnPlan
from orchestrator.chat.turn_planner import TurnPlanner
from orchestrator.chat.turn_runner import TurnRunner
from orchestrator.chat.unclosed import UnclosedTurns
from orchestrator.chat.undoing import Undoing
from orchestrator.domain.chat import Turn
from orchestrator.domain.model_settings import SessionSettings
from orchestrator.errors import EventLogBehind, NotFound, NotReady, TooManyRequests
from orchestrator.logs import log_conversation
from orchestrator.store import approvals, turns
from orchestrator.store.event_spill import EventSpill, NoSpill, left_in
from orchestrator.store.turns import StoredEvent

logger = logging.getLogger(__name__)

MAX_RUNNING_TURNS = 500
MAX_WAITING_TURNS = 5_000
"""Those that wait for the owner hold nothing but their log."""
Planning = Callable[[], Awaitable[TurnPlan]]


class ChatOrchestrator:
    """Runs turns; use it as an async context manager around the life of the process."""

    def __init__(self, resources: Resources, spill_dir: Path | None) -> None:
        """`spill_dir` keeps what is shown before it is stored; None for chats no disk may see."""
        self.settings = resources.settings
        self.undoing = Undoing(resources.database, resources.aggregator, resources.grants)
        self._spill_dir = spill_dir
        self._database = resources.database
        self._inbox = resources.inbox
        self._resources = resources
        self.titles = Titles(self._resources)
        self._planner = TurnPlanner(self._resources)
        self._live: dict[str, LiveTurn] = {}
        self._unclosed = UnclosedTurns(self._database)
        self._tasks = asyncio.TaskGroup()
        self._accepting: set[asyncio.Task[Turn]] = set()
        self._is_stopping = False

    async def __aenter__(self) -> Self:
        """Restore what a crash left running: what waits goes on waiting, the rest ends."""
        self._spill = await self._opened_spill()
        self._recorder = EventRecorder(self._database, self._spill)
        for turn in await self._database.write(close_interrupted):
            logger.warning("turn_interrupted turn=%s session=%s", turn.id, turn.session_id)
        await self._tasks.__aenter__()
        self._recording = self._tasks.create_task(self._recorder.run())
        self._settling = self._tasks.create_task(self._resources.settler.settle())
        self._answering = self._tasks.create_task(self._resources.questions.keep())
        for waiting in await waiting_turns(self._database):
            self._revive(waiting)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Interrupt what is running, so that it can be continued; what waits goes on waiting."""
        self._is_stopping = True
        if self._accepting:
            await asyncio.wait(self._accepting)
        for live in list(self._live.values()):
            live.interrupt()
        for live in list(self._live.values()):
            await live.ended.wait()
        self.titles.stop()
        await self._resources.attached.close()
        self._recording.cancel()
        self._settling.cancel()
        self._answering.cancel()
        await self._tasks.__aexit__(None, None, None)
        self._spill.close()

    async def _opened_spill(self) -> EventSpill:
        if self._spill_dir is None:
            return NoSpill()
        await self._database.write(turns.restore_events, left_in(self._spill_dir))
        return EventSpill(self._spill_dir)

    async def start(self, owner_id: str, new: NewTurn) -> Turn:
        """Store the message and start its turn; the same client message returns the same turn.

        Raises NotFound, Conflict, StorageFull, TooManyRequests, NotReady.
        """
        if self._is_stopping:
            raise NotReady("The assistant is shutting down. Send the message again in a moment.")
        if len(self._live) + len(self._accepting) >= MAX_RUNNING_TURNS:
            self._refuse_too_many()
        # A client that leaves now must not leave a stored turn behind that nobody runs.
        task = asyncio.create_task(self._accept(owner_id, new))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        return await asyncio.shield(task)

    async def continue_turn(
        self, owner_id: str, turn_id: str, client_message_id: str | None
    ) -> Turn:
        """Start a turn that goes on where this one stopped.

        Raises NotFound, and Conflict when the turn is running or came to its end.
        """
        await self._unclosed.close()
        ask = (owner_id, turn_id, client_message_id)
        return await self.start(owner_id, await self._database.read(continuation, *ask))

    async def answer_again(
        self,
        owner_id: str,
        turn_id: str,
        client_message_id: str | None,
        settings: SessionSettings,
    ) -> Turn:
        """Start a turn that answers the same question beside this one's answer.

        Raises NotFound, Conflict.
        """
        ask = (owner_id, turn_id, client_message_id, settings)
        return await self.start(owner_id, await self._database.read(another_answer, *ask))

    async def cancel(self, owner_id: str, turn_id: str) -> Turn:
        """Stop the turn, with the tool it is running; a turn that has ended stays as it is."""
        live = self._live.get(turn_id)
        if live is not None and live.owner_id == owner_id:
            live.stop()
            await live.ended.wait()
        await self._unclosed.find(turn_id)
        return await self._database.read(turns.get, owner_id, turn_id)

    async def stop_session(self, owner_id: str, session_id: str) -> None:
        """Stop every running turn of the session."""
        for live in list(self._live.values()):
            if (live.owner_id, live.turn.session_id) == (owner_id, session_id):
                live.stop()
                await live.ended.wait()

    async def follow(
        self, owner_id: str, turn_id: str, after: int, *, idle_s: float
    ) -> AsyncGenerator[list[StoredEvent]]:
        """Return the turn's events above sequence number `after`, until it has ended.

        The iterator yields an empty list whenever nothing has happened for `idle_s`. Raises
        NotFound, and EventLogBehind when the log ends before `after`.
        """
        live = self._live.get(turn_id) or await self._unclosed.find(turn_id)
        if live is not None and live.owner_id == owner_id:
            last_seq = live.log.last_seq
            events = live.log.follow(after, idle_s=idle_s)
        else:
            last_seq = (await self._database.read(turns.get, owner_id, turn_id)).last_seq
            events = stored_events(self._database, owner_id, turn_id, after, last_seq)
        if after > last_seq:
            raise EventLogBehind("Events you have seen were lost in a crash. Reload the session.")
        return events

    async def _accept(self, owner_id: str, new: NewTurn) -> Turn:
        await self._unclosed.close()
        standing = self.settings.model_layers()
        accepted = await self._database.write(accept, owner_id, new, standing)
        turn = accepted.turn
        if accepted.started is not None:
            clock = TurnClock(self.settings.limits.max_duration_s)
            live = LiveTurn(owner_id, turn, TurnLog(turn.id, self._recorder), clock)
            spending = Spending(self.settings.limits)
            plan = partial(self._planner.plan, owner_id, accepted)
            self._begin(live, [accepted.started], spending, plan)
        return turn

    def _revive(self, waiting: WaitingTurn) -> None:
        """Go on waiting for the owner, as before the restart."""
        turn = waiting.turn
        clock = TurnClock(self.settings.limits.max_duration_s, is_paused=True)
        live = LiveTurn(waiting.owner_id, turn, TurnLog(turn.id, self._recorder), clock)
        spending = Spending(
            self.settings.limits, rounds=waiting.rounds, cost_microusd=waiting.cost_microusd
        )
        spending.count_again(waiting.earlier_calls)
        self._begin(live, waiting.events, spending, partial(self._planner.plan_again, waiting))

    def _begin(
        self, live: LiveTurn, events: list[StoredEvent], spending: Spending, plan: Planning
    ) -> None:
        live.log.show_stored(events)
        self._live[live.turn.id] = live
        run = self._run(live, spending, plan)
        live.runs_as(self._tasks.create_task(run, name=live.turn.id))

    def _refuse_too_many(self) -> None:
        waiting = sum(live.clock.is_paused for live in self._live.values())
        if len(self._live) - waiting + len(self._accepting) >= MAX_RUNNING_TURNS:
            raise TooManyRequests(
                f"{MAX_RUNNING_TURNS} answers are being written. Try again soon.", retry_after_s=5
            )
        if waiting >= MAX_WAITING_TURNS:
            raise TooManyRequests(
                f"{waiting} answers wait for you. Approve, deny or stop some of them first."
            )

    async def _run(self, live: LiveTurn, spending: Spending, plan: Planning) -> None:
        """Run the turn to its end, whatever happens."""
        ending = live.begin() or await self._run_rounds(live, spending, plan)
        if live.stays_waiting(ending):
            live.log.end_following()
        elif ending is not None:
            await self._close(live, ending)
        else:
            self.titles.begin(self._tasks, live.owner_id, live.turn)
        del self._live[live.turn.id]
        live.ended.set()
        log_conversation(
            live.turn.session_id,
            "turn_ended",
            turn=live.turn.id,
            model=live.turn.model,
            state=ending.state if ending else "finished",
            error=ending.error.code if ending and ending.error else None,
            rounds=spending.rounds,
            tool_calls=spending.tool_calls,
            cost_microusd=spending.cost_microusd,
        )

    async def _run_rounds(
        self, live: LiveTurn, spending: Spending, plan: Planning
    ) -> Ending | None:
        """Return how the turn must be ended, None when it came to its end: a task's border."""
        try:
            async with live.clock.running():
                runner = TurnRunner(await plan(), live.log, spending, live.clock, self._resources)
                return await runner.run()
        except asyncio.CancelledError:
            return live.wish
        except Exception as error:  # noqa: BLE001 - ending_for logs what nobody foresaw
            return ending_for(error, self.settings.limits)

    async def _close(self, live: LiveTurn, ending: Ending) -> None:
        pending = live.begin_closing()
        try:
            added = await self._database.write(
                close_live_turn, live.owner_id, live.turn, pending, ending
            )
        except NotFound:
            message = "This chat was deleted while the answer was being written."
            live.log.abandon(TurnFailed(code=NotFound.code, message=message, retryable=False))
        except Exception:
            logger.exception("turn_not_closed turn=%s", live.turn.id)
            self._unclosed.add(live, pending, ending)
            message = "The answer could not be stored. Check the disk, then send it again."
            live.log.abandon(TurnFailed(code="storage", message=message, retryable=True))
        else:
            live.log.show_stored(added)
            live.log.end_following()
            if any(event.type == "approval_resolved" for event in added):
                ended = await self._database.read(approvals.of_turn, live.owner_id, live.turn.id)
                self._inbox.note(ended)
