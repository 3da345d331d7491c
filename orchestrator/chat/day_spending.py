"""What an owner spent within a day, so that a cap can be kept before each request to a model."""

from collections.abc import Callable
from datetime import datetime, timedelta

from orchestrator.domain.times import to_rfc3339, utc_now
from orchestrator.store import usage
from orchestrator.store.database import Database

DAY = timedelta(hours=24)


class DaySpending:
    """Knows without asking the store that the cap is far away.

    What it remembers only grows, so it is never too little; the store is asked for the truth when
    that reaches the cap, and once per owner and process.
    """

    def __init__(
        self, database: Database, cap_microusd: int, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._cap_microusd = cap_microusd
        self._clock = clock
        self._at_most: dict[str, int] = {}

    def add(self, owner_id: str, cost_microusd: int) -> None:
        """Count what was spent; call it once the cost is stored, or may be."""
        if owner_id in self._at_most:
            self._at_most[owner_id] += cost_microusd

    async def reached(self, owner_id: str) -> str | None:
        """Return why no request may be made now, in a sentence, if the cap is reached."""
        if self._at_most.get(owner_id, self._cap_microusd) < self._cap_microusd:
            return None
        since = to_rfc3339(self._clock() - DAY)
        spent = await self._database.read(usage.cost_since, owner_id, since)
        self._at_most[owner_id] = spent
        if spent < self._cap_microusd:
            return None
        return (
            f"Stopped: {spent / 1e6:.2f} US dollars were spent within 24 hours, and the limit is "
            f"{self._cap_microusd / 1e6:.2f}. Continue later, or raise DAY_MAX_COST_MICROUSD."
        )
