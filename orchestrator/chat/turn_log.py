"""The events of running turns: safe from kill -9 before anyone sees them, seen in their order."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Literal

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.chat.events import TERMINAL_TYPES, AnyEvent
from orchestrator.errors import StorageFull
from orchestrator.store.database import Database
from orchestrator.store.event_spill import EventSpill
from orchestrator.store.turns import StoredEvent, append_events

logger = logging.getLogger(__name__)

DELTA_INTERVAL_S = 0.04
STORE_INTERVAL_S = 0.25
DeltaType = Literal["text_delta", "reasoning_delta"]


class TurnLog:
    """The append-only log of one running turn.

    An event is made, then shown (once it is in the spill or the database), then stored (once it is
    in the database); each of the three counts only grows.
    """

    def __init__(self, turn_id: str, recorder: "EventRecorder") -> None:
        self.turn_id = turn_id
        self.error: Exception | None = None
        self._recorder = recorder
        self._events: list[StoredEvent] = []
        self._shown = 0
        self._taken = 0
        self._stored = 0
        self._commits = 0
        self._delta_type: DeltaType = "text_delta"
        self._delta_parts: list[str] = []
        self._is_first_delta = True
        self._closed = False
        self._followers: set[asyncio.Event] = set()

    @property
    def last_seq(self) -> int:
        """The sequence number of the last event that followers may see."""
        return self._shown

    def emit(self, event: AnyEvent) -> None:
        """Add an event and show it at once."""
        self.add(event)
        self._recorder.show_now(self)

    def add(self, event: AnyEvent) -> int:
        """Add an event that the next `commit` shows; return its sequence number."""
        self._close_delta()
        self._append(event.type, event.model_dump_json(by_alias=True).encode())
        self._is_first_delta = True
        return len(self._events)

    def add_delta(self, delta_type: DeltaType, text: str) -> None:
        """Add text: the first of a round is shown at once, the rest every `DELTA_INTERVAL_S`."""
        if delta_type != self._delta_type:
            self._close_delta()
            self._delta_type = delta_type
        self._delta_parts.append(text)
        if self._is_first_delta:
            self._is_first_delta = False
            self._recorder.show_now(self)
        else:
            self._recorder.show_soon(self)

    def unshown(self) -> list[StoredEvent]:
        """Return the events to show next: none while a commit is about to show them itself."""
        if self._commits:
            return []
        self._close_delta()
        return self._events[self._shown :]

    def take(self) -> list[StoredEvent]:
        """Return the events that nobody has begun to store yet."""
        self._close_delta()
        pending = self._events[self._taken :]
        self._taken = len(self._events)
        return pending

    async def commit(self, change: Callable[[Connection], None]) -> None:
        """Store what is pending and `change` in one transaction, then show it.

        Raises what kept earlier events from being kept, or what `change` raises.
        """
        self.raise_if_broken()
        pending = [(self.turn_id, event) for event in self.take()]
        count = self._taken

        def both(conn: Connection) -> None:
            change(conn)
            if pending:
                append_events(conn, pending)

        self._commits += 1
        try:
            await self._recorder.database.write(both)
        except Exception:
            self._taken = self._stored
            raise
        finally:
            self._commits -= 1
        self.note_stored(count)
        self.show(count)
        self._recorder.show_soon(self)

    def note_stored(self, count: int) -> None:
        """Note that the first `count` events are in the database."""
        self._stored = max(self._stored, count)

    def show(self, count: int) -> None:
        """Show the first `count` events to the followers."""
        if count <= self._shown:
            return
        self._shown = count
        self._closed = self._closed or self._events[count - 1].type in TERMINAL_TYPES
        for follower in self._followers:
            follower.set()

    def show_stored(self, events: list[StoredEvent]) -> None:
        """Add events that are in the database already, and show all."""
        self._close_delta()
        self._events.extend(events)
        self._taken = len(self._events)
        self.note_stored(self._taken)
        self.show(self._taken)

    def abandon(self, event: AnyEvent) -> None:
        """Tell the followers how it ended although the log could not be written."""
        del self._events[self._shown :]
        self._append(event.type, event.model_dump_json().encode())
        self._taken = len(self._events)
        self.show(self._taken)

    def break_with(self, error: Exception) -> None:
        """Note that events could not be kept; `commit` raises `error` from now on."""
        self.error = error
        self._taken = self._stored

    def raise_if_broken(self) -> None:
        """Raise what kept events from being kept."""
        if self.error is not None:
            raise self.error

    async def follow(self, after: int, *, idle_s: float) -> AsyncIterator[list[StoredEvent]]:
        """Yield the shown events above `after` in order until the turn has ended.

        Yields an empty list whenever nothing has happened for `idle_s`.
        """
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        self._followers.add(changed)
        # One timer that looks when it rings costs less than one for every wait.
        last_s = loop.time()
        timer = loop.call_at(last_s + idle_s, changed.set)
        try:
            while True:
                now_s = loop.time()
                if after < self._shown:
                    events = self._events[after : self._shown]
                    after, last_s = self._shown, now_s
                    yield events
                elif self._closed:
                    return
                else:
                    if now_s >= last_s + idle_s:
                        last_s = now_s
                        yield []
                    if timer.when() <= now_s:
                        timer = loop.call_at(last_s + idle_s, changed.set)
                    await changed.wait()
                    changed.clear()
        finally:
            timer.cancel()
            self._followers.discard(changed)

    def _append(self, event_type: str, data: bytes) -> None:
        self._events.append(StoredEvent(len(self._events) + 1, event_type, data))

    def _close_delta(self) -> None:
        if not self._delta_parts:
            return
        text = "".join(self._delta_parts)
        self._delta_parts.clear()
        self._append(self._delta_type, encode_delta(self._delta_type, text))


def encode_delta(delta_type: DeltaType, text: str) -> bytes:
    """Return the JSON text of a delta event; a tenth of the cost of building the model."""
    try:
        return msgspec.json.encode({"type": delta_type, "text": text})
    except UnicodeEncodeError:  # A model may send half a surrogate pair.
        return json.dumps({"type": delta_type, "text": text}).encode()


class EventRecorder:
    """Shows the events of all running turns, once the spill has them, and stores them in batches.

    Text is shown within `DELTA_INTERVAL_S` and stored within `STORE_INTERVAL_S`; everything else is
    shown at once.
    """

    def __init__(self, database: Database, spill: EventSpill) -> None:
        self.database = database
        self._spill = spill
        self._waiting: set[TurnLog] = set()
        self._unstored: set[TurnLog] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._last_shown_s = 0.0
        self._has_unstored = asyncio.Event()

    def show_now(self, log: TurnLog) -> None:
        """Show the new events of `log`, and what waits with it."""
        self._waiting.add(log)
        self._show()

    def show_soon(self, log: TurnLog) -> None:
        """Show the new events of `log` within `DELTA_INTERVAL_S`."""
        self._waiting.add(log)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            due_s = max(self._last_shown_s + DELTA_INTERVAL_S, loop.time())
            self._timer = loop.call_at(due_s, self._show)

    async def run(self) -> None:
        """Store in batches until cancelled."""
        while True:
            await self._has_unstored.wait()
            await asyncio.sleep(STORE_INTERVAL_S)
            self._has_unstored.clear()
            await self._store()

    def _show(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._last_shown_s = asyncio.get_running_loop().time()
        logs, self._waiting = self._waiting, set[TurnLog]()
        batches = [(log, events) for log in logs if (events := log.unshown())]
        try:
            self._spill.write((log.turn_id, event) for log, events in batches for event in events)
        except (StorageFull, OSError) as error:
            _break(batches, error)
            return
        self._unstored.update(logs)
        self._has_unstored.set()
        for log, events in batches:
            log.show(events[-1].seq)

    async def _store(self) -> None:
        """Bring what was spilled into the database and empty the spill."""
        self._spill.switch()
        logs, self._unstored = self._unstored, set[TurnLog]()
        batches = [(log, events) for log in logs if (events := log.take())]
        rows = [(log.turn_id, event) for log, events in batches for event in events]
        try:
            if rows:
                await self.database.write(append_events, rows)
            self._spill.clear_stored()
        except (StorageFull, SQLAlchemyError, OSError) as error:
            _break(batches, error)
            return
        for log, events in batches:
            log.note_stored(events[-1].seq)
            log.show(events[-1].seq)


def _break(batches: list[tuple[TurnLog, list[StoredEvent]]], error: Exception) -> None:
    logger.error("events_not_kept turns=%d", len(batches), exc_info=error)
    for log, _ in batches:
        log.break_with(error)
