"""A turn that is running in this process."""

import asyncio
from dataclasses import dataclass, field

from orchestrator.chat.closing import INTERRUPTED, STOPPED, Ending
from orchestrator.chat.turn_clock import TurnClock
from orchestrator.chat.turn_log import TurnLog
from orchestrator.domain.chat import Turn
from orchestrator.store.turns import StoredEvent


@dataclass(slots=True)
class LiveTurn:
    """The turn, its log and the task that runs it."""

    owner_id: str
    turn: Turn
    """The turn as it was accepted."""
    log: TurnLog
    clock: TurnClock
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _wish: Ending | None = None
    _has_begun: bool = False
    _is_closing: bool = False

    def runs_as(self, task: asyncio.Task[None]) -> None:
        """Note the task that runs this turn."""
        self._task = task

    def begin(self) -> Ending | None:
        """Note that the task is running; return how it must end if it was ended before that.

        A task that is cancelled before its first step never runs a line of its own.
        """
        self._has_begun = True
        return self._wish

    def stop(self) -> None:
        """End it as the owner wishes."""
        self._end(STOPPED)

    def interrupt(self) -> None:
        """End it because the process ends."""
        self._end(INTERRUPTED)

    def stays_waiting(self, ending: Ending | None) -> bool:
        """Return whether it goes on after a restart: the process ends, not the turn."""
        return ending is INTERRUPTED and self.clock.is_paused

    def begin_closing(self) -> list[StoredEvent]:
        """From here on the task is not cancelled any more: it is storing how the turn ended.

        Returns the events to keep of those that may not be stored.
        """
        self._is_closing = True
        return self.log.seal()

    @property
    def wish(self) -> Ending:
        """How the one who cancelled the task wants it to end."""
        return self._wish or INTERRUPTED

    def _end(self, ending: Ending) -> None:
        if self._wish is None and not self._is_closing and self._task is not None:
            self._wish = ending
            if self._has_begun:
                self._task.cancel()
