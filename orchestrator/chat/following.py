"""The events of a turn that has ended, as its log showed them."""

from collections.abc import AsyncGenerator

from orchestrator.store import turns
from orchestrator.store.database import Database
from orchestrator.store.turns import StoredEvent

_EVENTS_PER_READ = 1_000


async def stored_events(
    database: Database, owner_id: str, turn_id: str, after: int, last_seq: int
) -> AsyncGenerator[list[StoredEvent]]:
    """Yield the events above sequence number `after`, up to `last_seq`, in batches."""
    while after < last_seq:
        events = await database.read(
            turns.events_after, owner_id, turn_id, after, limit=_EVENTS_PER_READ
        )
        if not events:
            return
        yield events
        after = events[-1].seq
