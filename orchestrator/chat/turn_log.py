"""The events of running turns: on disk before anyone sees them, seen in the order of the disk."""

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
from orchestrator.store.turns import StoredEvent, append_events

logger = logging.getLogger(__name__)

DELTA_INTERVAL_S = 0.033
DISK_INTERVAL_S = 0.25
DeltaType = Literal["text_delta", "reasoning_delta"]


class TurnLog:
    """The append-only log of one running turn."""

    def __init__(self, turn_id: str, recorder: "EventRecorder") -> None:
        self.turn_id = turn_id
        self.error: Exception | None = None
        self._recorder = recorder
        self._events: list[StoredEvent] = []
        self._taken = 0
        self._stored = 0
        self._delta_type: DeltaType = "text_delta"
        self._delta_parts: list[str] = []
        self._is_first_delta = True
        self._closed = False
        self._followers: set[asyncio.Event] = set()

    def emit(self, event: AnyEvent) -> None:
        """Add an event; it is stored and sent at once."""
        self.add(event)
        self._recorder.record_now(self)

    def add(self, event: AnyEvent) -> int:
        """Add an event that the next `commit` stores; return its sequence number."""
        self._close_delta()
        self._append(event.type, event.model_dump_json(by_alias=True).encode())
        self._is_first_delta = True
        return len(self._events)

    def add_delta(self, delta_type: DeltaType, text: str) -> None:
        """Add text: the first of a round goes out at once, the rest every `DELTA_INTERVAL_S`."""
        if delta_type != self._delta_type:
            self._close_delta()
            self._delta_type = delta_type
        self._delta_parts.append(text)
        if self._is_first_delta:
            self._is_first_delta = False
            self._recorder.record_now(self)
        else:
            self._recorder.record_soon(self)

    def take(self) -> list[StoredEvent]:
        """Return the events that nobody has begun to store yet."""
        self._close_delta()
        pending = self._events[self._taken :]
        self._taken = len(self._events)
        return pending

    async def commit(self, change: Callable[[Connection], None]) -> None:
        """Store what is pending and `change` in one transaction that is on the disk on return."""
        self.raise_if_broken()
        pending = [(self.turn_id, event) for event in self.take()]

        def both(conn: Connection) -> None:
            change(conn)
            if pending:
                append_events(conn, pending)

        await self._recorder.database.write(both)
        self.publish(self._taken)

    def publish(self, count: int) -> None:
        """Show the first `count` events to the followers."""
        if count <= self._stored:
            return
        self._stored = count
        self._closed = self._closed or self._events[count - 1].type in TERMINAL_TYPES
        self._wake()

    def publish_stored(self, events: list[StoredEvent]) -> None:
        """Add events that are stored already, and show all."""
        self._events.extend(events)
        self._taken = len(self._events)
        self.publish(self._taken)

    def abandon(self, event: AnyEvent) -> None:
        """Tell the followers how it ended although the log could not be written."""
        del self._events[self._stored :]
        self._append(event.type, event.model_dump_json().encode())
        self.publish(len(self._events))

    def break_with(self, error: Exception) -> None:
        """Note that events could not be stored; `commit` raises `error` from now on."""
        self.error = error
        self._taken = self._stored

    def raise_if_broken(self) -> None:
        """Raise what kept events from being stored."""
        if self.error is not None:
            raise self.error

    @property
    def last_seq(self) -> int:
        """The sequence number of the last event that followers may see."""
        return self._stored

    async def follow(self, after: int, *, idle_s: float) -> AsyncIterator[list[StoredEvent]]:
        """Yield the stored events above `after` in order until the turn has ended.

        Yields an empty list whenever nothing has happened for `idle_s`.
        """
        changed = asyncio.Event()
        self._followers.add(changed)
        try:
            while True:
                if after < self._stored:
                    events = self._events[after : self._stored]
                    after = self._stored
                    yield events
                elif self._closed:
                    return
                else:
                    try:
                        async with asyncio.timeout(idle_s):
                            await changed.wait()
                    except TimeoutError:
                        yield []
                    changed.clear()
        finally:
            self._followers.discard(changed)

    def _append(self, event_type: str, data: bytes) -> None:
        self._events.append(StoredEvent(len(self._events) + 1, event_type, data))

    def _close_delta(self) -> None:
        if not self._delta_parts:
            return
        text = "".join(self._delta_parts)
        self._delta_parts.clear()
        self._append(self._delta_type, encode_delta(self._delta_type, text))

    def _wake(self) -> None:
        for follower in self._followers:
            follower.set()


def encode_delta(delta_type: DeltaType, text: str) -> bytes:
    """Return the JSON text of a delta event; a tenth of the cost of building the model."""
    try:
        return msgspec.json.encode({"type": delta_type, "text": text})
    except UnicodeEncodeError:  # A model may send half a surrogate pair.
        return json.dumps({"type": delta_type, "text": text}).encode()


class EventRecorder:
    """Stores the pending events of all running turns together.

    A batch is handed to the kernel before it is sent, so that kill -9 leaves neither gap nor
    duplicate, and taken to the disk at least every `DISK_INTERVAL_S` while events flow.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._pending: set[TurnLog] = set()
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._last_stored_s = 0.0
        self._last_on_disk_s = 0.0

    def record_now(self, log: TurnLog) -> None:
        """Store the pending events of `log` without waiting for company."""
        self._pending.add(log)
        self._fire()

    def record_soon(self, log: TurnLog) -> None:
        """Store the pending events of `log` within `DELTA_INTERVAL_S`."""
        self._pending.add(log)
        if self._timer is None and not self._due.is_set():
            loop = asyncio.get_running_loop()
            wait_s = self._last_stored_s + DELTA_INTERVAL_S - loop.time()
            self._timer = loop.call_later(max(0.0, wait_s), self._fire)

    async def run(self) -> None:
        """Store batches until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._due.wait()
            self._due.clear()
            self._last_stored_s = loop.time()
            await self._store(self._last_stored_s)

    def _fire(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due.set()

    async def _store(self, now_s: float) -> None:
        logs, self._pending = self._pending, set[TurnLog]()
        batches = [(log, log.take()) for log in logs]
        rows = [(log.turn_id, event) for log, events in batches for event in events]
        if not rows:
            return
        on_disk = now_s - self._last_on_disk_s >= DISK_INTERVAL_S
        store = self.database.write if on_disk else self.database.append
        try:
            await store(append_events, rows)
        except (StorageFull, SQLAlchemyError) as error:
            logger.exception("events_not_stored turns=%d", len(batches))
            for log, _ in batches:
                log.break_with(error)
            return
        if on_disk:
            self._last_on_disk_s = now_s
        for log, events in batches:
            if events:
                log.publish(events[-1].seq)
