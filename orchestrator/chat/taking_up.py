"""Reads the turns that have waited for the owner since before a restart."""

import logging

from orchestrator.chat.closing import INTERRUPTED, close_turn
from orchestrator.chat.open_round import WaitingTurn, read_waiting_turn
from orchestrator.store import turns
from orchestrator.store.database import Database

logger = logging.getLogger(__name__)


async def waiting_turns(database: Database) -> list[WaitingTurn]:
    """Return the turns of all owners that wait; one whose rows cannot be read is ended instead."""
    found: list[WaitingTurn] = []
    for owner_id, turn in await database.read(turns.left_waiting):
        try:
            found.append(await database.read(read_waiting_turn, owner_id, turn))
        except Exception:
            # Border of one turn: what is wrong with it must not keep the process from starting.
            logger.exception("turn_not_taken_up turn=%s", turn.id)
            await database.write(close_turn, owner_id, turn, [], INTERRUPTED)
    return found
