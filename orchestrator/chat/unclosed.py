"""Turns that have ended, but whose end a full disk refused to store."""

from contextlib import suppress

from orchestrator.chat.closing import Ending, close_turn
from orchestrator.chat.live_turn import LiveTurn
from orchestrator.errors import NotFound, StorageFull
from orchestrator.store.database import Database
from orchestrator.store.turns import StoredEvent


class UnclosedTurns:
    """Keeps them until the store takes their ends; it still calls them running."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns: dict[str, tuple[LiveTurn, list[StoredEvent], Ending]] = {}

    def add(self, live: LiveTurn, pending: list[StoredEvent], ending: Ending) -> None:
        """Remember what `close_turn` could not store."""
        self._turns[live.turn.id] = (live, pending, ending)

    async def close(self) -> None:
        """Try again to store the ends. Raises StorageFull."""
        for turn_id, (live, pending, ending) in list(self._turns.items()):
            with suppress(NotFound):  # Deleted in the meantime.
                await self._database.write(close_turn, live.owner_id, live.turn, pending, ending)
            self._turns.pop(turn_id, None)

    async def find(self, turn_id: str) -> LiveTurn | None:
        """Return the turn if its end cannot be stored even now: its log knows how it ended."""
        if turn_id in self._turns:
            with suppress(StorageFull):
                await self.close()
        return self._turns[turn_id][0] if turn_id in self._turns else None
