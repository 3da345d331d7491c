"""The events of a running turn: safe from kill -9 before anyone sees them, seen in their order."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Literal, Protocol, get_args

import msgspec
from sqlalchemy import Connection

from orchestrator.chat.events import TERMINAL_TYPES, AnyEvent
from orchestrator.store.database import Database
from orchestrator.store.turns import StoredEvent, append_events

DeltaType = Literal["text_delta", "reasoning_delta"]


class Recorder(Protocol):
    """What a log needs of the EventRecorder of the process."""

    database: Database

    def show_now(self, log: "TurnLog") -> None: ...

    def show_soon(self, log: "TurnLog") -> None: ...


class TurnLog:
    """The append-only log of one running turn.

    An event is made, then shown (once it is in the spill or the database), then stored (once it is
    in the database); each of the three counts only grows.
    """

    def __init__(self, turn_id: str, recorder: Recorder) -> None:
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
        self._is_sealed = False
        self._followers: set[asyncio.Event] = set()

    @property
    def last_seq(self) -> int:
        """The sequence number of the last event that followers may see."""
        return self._shown

    @property
    def stored_seq(self) -> int:
        """The sequence number of the last event that is known to be in the database."""
        return self._stored

    def emit(self, event: AnyEvent) -> None:
        """Add an event and show it at once; the end of the turn leaves no room for it."""
        if self._is_sealed:
            return
        self.add(event)
        self._recorder.show_now(self)

    def add(self, event: AnyEvent) -> int:
        """Add an event that the next `commit` shows; return its sequence number."""
        self._close_delta()
        self._append(event.type, event.model_dump_json(by_alias=True).encode())
        self._is_first_delta = True
        self._is_sealed = self._is_sealed or event.type in TERMINAL_TYPES
        return len(self._events)

    def add_delta(self, delta_type: DeltaType, text: str) -> None:
        """Add text: the first of a round is shown at once, the rest every few dozen ms."""
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
        """Return the events to show next.

        None while a commit is about to show them itself, or after one that was not kept: then
        closing the turn tells what stays.
        """
        if self._commits or self.error is not None:
            return []
        self._close_delta()
        return self._events[self._shown :]

    def take(self) -> list[StoredEvent]:
        """Return the events that nobody has begun to store yet: none once one was not kept."""
        if self.error is not None:
            return []
        self._close_delta()
        pending = self._events[self._taken :]
        self._taken = len(self._events)
        return pending

    def seal(self) -> list[StoredEvent]:
        """Take no more events; return those to keep of all that may not be in the database.

        Of what nobody has seen only text stands for itself: the rest tells of changes whose
        transaction has failed, or has stored them.
        """
        self._close_delta()
        self._is_sealed = True
        self._taken = len(self._events)
        unsure = self._events[self._stored :]
        return [e for e in unsure if e.seq <= self._shown or e.type in get_args(DeltaType)]

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
        except Exception as error:
            self.break_with(error)
            raise
        # Not when cancelled: whether the events were stored shows when the turn is closed.
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
        """Put events that are in the database in their place, and show all."""
        if events:
            del self._events[events[0].seq - 1 :]
        self._events.extend(events)
        self._taken = len(self._events)
        self.note_stored(self._taken)
        self.show(self._taken)

    def abandon(self, event: AnyEvent) -> None:
        """Tell the followers how it ended although the log could not be written."""
        del self._events[self._shown :]
        self._append(event.type, event.model_dump_json().encode())
        self._taken = self._stored = len(self._events)
        self.show(self._taken)

    def end_following(self) -> None:
        """Let the followers go although the turn goes on: after a restart."""
        self._closed = True
        for follower in self._followers:
            follower.set()

    def break_with(self, error: Exception) -> None:
        """Note that events could not be kept; `commit` raises `error` from now on."""
        self.error = error

    def raise_if_broken(self) -> None:
        """Raise what kept events from being kept."""
        if self.error is not None:
            raise self.error

    async def follow(self, after: int, *, idle_s: float) -> AsyncGenerator[list[StoredEvent]]:
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
    return msgspec.json.encode({"type": delta_type, "text": text})
