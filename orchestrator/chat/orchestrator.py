"""The front door of this floor: start, follow, stop and continue turns.

A turn runs as a task of the server, never of a request: the one who asked may leave.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.chat.accepting import Accepted, NewTurn, accept
from orchestrator.chat.closing import Ending, close_interrupted, close_turn
from orchestrator.chat.ending import ending_for
from orchestrator.chat.event_recorder import EventRecorder
from orchestrator.chat.events import TurnFailed
from orchestrator.chat.history import CONTINUE, WireMessage, to_wire
from orchestrator.chat.limits import Spending, TurnLimits
from orchestrator.chat.live_turn import LiveTurn
from orchestrator.chat.prompts import system_prompt
from orchestrator.chat.tool_menu import ToolMenu
from orchestrator.chat.turn_log import TurnLog
from orchestrator.chat.turn_plan import TurnPlan
from orchestrator.chat.turn_runner import TurnRunner
from orchestrator.chat.unclosed import UnclosedTurns
from orchestrator.domain.chat import Turn
from orchestrator.domain.times import utc_now
from orchestrator.errors import Conflict, EventLogBehind, NotFound, NotReady, TooManyRequests
from orchestrator.llm.openrouter import OpenRouterClient
from orchestrator.logs import log_conversation
from orchestrator.store import messages, turns
from orchestrator.store.database import Database
from orchestrator.store.event_spill import EventSpill, left_in
from orchestrator.store.turns import StoredEvent
from orchestrator.tools.aggregator import MCPToolAggregator

logger = logging.getLogger(__name__)

MAX_RUNNING_TURNS = 500
SETTLE_S = 1.0
_EVENTS_PER_READ = 1_000


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """What the chat needs to know of the settings."""

    model: str
    fallback_models: tuple[str, ...]
    system_prompt: str | None
    timezone: str
    limits: TurnLimits


class ChatOrchestrator:
    """Runs turns; use it as an async context manager around the life of the process."""

    def __init__(
        self,
        settings: ChatSettings,
        data_dir: Path,
        database: Database,
        llm: OpenRouterClient,
        aggregator: MCPToolAggregator,
    ) -> None:
        self.settings = settings
        self._data_dir = data_dir
        self._database = database
        self._llm = llm
        self._aggregator = aggregator
        self._menu = ToolMenu(aggregator)
        self._live: dict[str, LiveTurn] = {}
        self._unclosed = UnclosedTurns(database)
        self._tasks = asyncio.TaskGroup()
        self._accepting: set[asyncio.Task[Turn]] = set()
        self._is_stopping = False
        self._is_fleet_settled = False

    async def __aenter__(self) -> Self:
        """Restore and end what a crash left running, then take turns."""
        await self._database.write(turns.restore_events, left_in(self._data_dir))
        self._spill = EventSpill(self._data_dir)
        self._recorder = EventRecorder(self._database, self._spill)
        for turn in await self._database.write(close_interrupted):
            logger.warning("turn_interrupted turn=%s session=%s", turn.id, turn.session_id)
        await self._tasks.__aenter__()
        self._recording = self._tasks.create_task(self._recorder.run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Interrupt what is running, so that it can be continued after the restart."""
        self._is_stopping = True
        if self._accepting:
            await asyncio.wait(self._accepting)
        for live in list(self._live.values()):
            live.interrupt()
        for live in list(self._live.values()):
            await live.ended.wait()
        self._recording.cancel()
        await self._tasks.__aexit__(None, None, None)
        self._spill.close()

    async def start(self, owner_id: str, new: NewTurn) -> Turn:
        """Store the message and start its turn; the same client message returns the same turn.

        Raises NotFound, Conflict, StorageFull, TooManyRequests, NotReady.
        """
        if self._is_stopping:
            raise NotReady("The assistant is shutting down. Send the message again in a moment.")
        if len(self._live) + len(self._accepting) >= MAX_RUNNING_TURNS:
            raise TooManyRequests(
                f"{MAX_RUNNING_TURNS} answers are being written. Try again soon.", retry_after_s=5
            )
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
        turn = await self._database.read(turns.get, owner_id, turn_id)
        if turn.state == "running" or (turn.state == "finished" and turn.finish_reason == "stop"):
            raise Conflict(f"This turn is {turn.state}: there is nothing to continue.")
        leaf, _, _ = await self._database.read(messages.end_of_turn, owner_id, turn_id)
        new = NewTurn(
            text=None,
            model=turn.model,
            session_id=turn.session_id,
            client_message_id=client_message_id,
            parent_message_id=leaf,
        )
        return await self.start(owner_id, new)

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
            events = self._stored_events(owner_id, turn_id, after, last_seq)
        if after > last_seq:
            raise EventLogBehind("Events you have seen were lost in a crash. Reload the session.")
        return events

    async def _stored_events(
        self, owner_id: str, turn_id: str, after: int, last_seq: int
    ) -> AsyncGenerator[list[StoredEvent]]:
        while after < last_seq:
            events = await self._database.read(
                turns.events_after, owner_id, turn_id, after, limit=_EVENTS_PER_READ
            )
            if not events:
                return
            yield events
            after = events[-1].seq

    async def _accept(self, owner_id: str, new: NewTurn) -> Turn:
        await self._unclosed.close()
        accepted = await self._database.write(accept, owner_id, new)
        turn = accepted.turn
        if accepted.started is not None:
            log = TurnLog(turn.id, self._recorder)
            log.show_stored([accepted.started])
            live = LiveTurn(owner_id, accepted, log)
            self._live[turn.id] = live
            live.runs_as(self._tasks.create_task(self._run(live), name=turn.id))
        return turn

    async def _run(self, live: LiveTurn) -> None:
        """Run the turn to its end, whatever happens."""
        spending = Spending(self.settings.limits)
        ending = live.begin() or await self._run_rounds(live, spending)
        if ending is not None:
            await self._close(live, ending)
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

    async def _run_rounds(self, live: LiveTurn, spending: Spending) -> Ending | None:
        """Return how the turn must be ended, None when it came to its end: a task's border."""
        try:
            async with asyncio.timeout(self.settings.limits.max_duration_s):
                plan = await self._plan(live.owner_id, live.accepted)
                runner = TurnRunner(
                    plan,
                    live.log,
                    spending,
                    llm=self._llm,
                    aggregator=self._aggregator,
                    menu=self._menu,
                )
                await runner.run()
        except asyncio.CancelledError:
            return live.wish
        except Exception as error:  # noqa: BLE001 - ending_for logs what nobody foresaw
            return ending_for(error, self.settings.limits)
        return None

    async def _close(self, live: LiveTurn, ending: Ending) -> None:
        pending = live.begin_closing()
        try:
            added = await self._database.write(
                close_turn, live.owner_id, live.turn, pending, ending
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

    async def _plan(self, owner_id: str, accepted: Accepted) -> TurnPlan:
        if not self._is_fleet_settled:
            # Right after the start the servers are still answering for the first time.
            await self._aggregator.wait_until_settled(SETTLE_S)
            self._is_fleet_settled = True
        turn = accepted.turn
        wire = [self._system_message(), *await self._history(owner_id, accepted)]
        if turn.user_message_id is None and wire[-1]["role"] == "assistant":
            wire.append({"role": "user", "content": CONTINUE})
        return TurnPlan(
            owner_id=owner_id,
            turn=turn,
            parent_message_id=accepted.parent_message_id,
            history=wire,
            fallback_models=self.settings.fallback_models,
            parameters=accepted.parameters,
        )

    async def _history(self, owner_id: str, accepted: Accepted) -> list[WireMessage]:
        if accepted.opening is not None:
            return [{"role": "user", "content": accepted.opening}]
        branch = await self._database.read(
            messages.branch, owner_id, accepted.turn.session_id, accepted.parent_message_id
        )
        return to_wire(branch)

    def _system_message(self) -> WireMessage:
        settings = self.settings
        servers = self._aggregator.servers()
        text = system_prompt(settings.system_prompt, utc_now(), settings.timezone, servers)
        return {"role": "system", "content": text}
