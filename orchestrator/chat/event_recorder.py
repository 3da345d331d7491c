"""Shows and stores the events of all running turns together."""

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from orchestrator.chat.turn_log import TurnLog
from orchestrator.errors import StorageFull
from orchestrator.store.database import Database
from orchestrator.store.event_spill import EventSpill
from orchestrator.store.turns import EventGap, StoredEvent, append_where_whole

logger = logging.getLogger(__name__)

DELTA_INTERVAL_S = 0.04
STORE_INTERVAL_S = 0.25


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
        spilled = {log: log.last_seq for log in logs}
        batches = [(log, events) for log in logs if (events := log.take())]
        # Without events of our own we still wait for the commits that are storing what was spilled.
        if batches or _behind(spilled):
            await self._write(batches)
        if behind := _behind(spilled):  # A broken log, until its turn is closed.
            self._unstored |= behind
            self._has_unstored.set()
            return
        try:
            self._spill.clear_stored()
        except OSError:  # What is restored twice is stored once.
            logger.exception("event_spill_not_cleared")

    async def _write(self, batches: list[tuple[TurnLog, list[StoredEvent]]]) -> None:
        rows = [(log.turn_id, event) for log, events in batches for event in events]
        try:
            left_out = await self.database.write(append_where_whole, rows)
        except (StorageFull, SQLAlchemyError) as error:
            _break(batches, error)
            return
        for log, events in batches:
            if log.turn_id in left_out:
                log.break_with(EventGap(f"Turn {log.turn_id!r} was deleted, or broke before."))
                continue
            log.note_stored(events[-1].seq)
            log.show(events[-1].seq)


def _behind(spilled: dict[TurnLog, int]) -> set[TurnLog]:
    return {log for log, seq in spilled.items() if log.stored_seq < seq}


def _break(batches: list[tuple[TurnLog, list[StoredEvent]]], error: Exception) -> None:
    logger.error("events_not_kept turns=%d", len(batches), exc_info=error)
    for log, _ in batches:
        log.break_with(error)
