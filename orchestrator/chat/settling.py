"""Asks what requests cost whose answers broke or were stopped before the vendor said so."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Never

from sqlalchemy.exc import SQLAlchemyError

from orchestrator.chat.budget import Budget
from orchestrator.domain.times import utc_now
from orchestrator.errors import ModelError, StorageFull
from orchestrator.llm.deltas import Usage
from orchestrator.store import usage
from orchestrator.store.database import Database
from orchestrator.store.usage import PendingUsage, Settled, UsageRow

logger = logging.getLogger(__name__)

GenerationCost = Callable[[str, str], Awaitable[Usage | None]]
"""Returns what a generation of a model took, None when nobody knows it (yet); raises ModelError."""

TRIES_AT_S = (1, 3, 8, 20, 60, 180, 600, 1_800, 7_200, 21_600, 86_400)
"""Ages of a row at which the vendor is asked; after the last the estimate stays."""
_PAUSE_S = 0.25
_STORE_AGAIN_S = 5.0
_ASKED_AT_ONCE = 4


class Settler:
    """Settles what is pending, beginning with what an earlier process left.

    When to ask follows from the age of a row alone, so a restart forgets nothing.
    """

    def __init__(
        self,
        database: Database,
        budget: Budget,
        ask: GenerationCost,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._budget = budget
        self._ask = ask
        self._clock = clock
        self._asked_at: dict[str, datetime] = {}
        self._unstored: list[tuple[str, list[UsageRow]]] = []
        self._held: set[str] = set()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Note that there may be something new to settle."""
        self._woken.set()

    def hold(self, row_ids: Iterable[str]) -> None:
        """Do not ask for these: their answers are still coming."""
        self._held.update(row_ids)

    def release(self, row_ids: Iterable[str]) -> None:
        """Ask for them, too, from now on."""
        self._held.difference_update(row_ids)

    def store_later(self, owner_id: str, rows: list[UsageRow]) -> None:
        """Keep rows that the disk refused, and try to store them again."""
        self._unstored.append((owner_id, rows))
        self._woken.set()

    async def settle(self) -> Never:
        """Settle for as long as the process lives; asks nobody while nothing is pending."""
        while True:
            self._woken.clear()
            try:
                wait_s = await self.settle_due()
            except SQLAlchemyError:
                logger.exception("usage_not_settled")
                wait_s = _STORE_AGAIN_S
            try:
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def settle_due(self) -> float | None:
        """Settle what is due; return in how many seconds something will be, None for never."""
        await self._store_unstored()
        pending = await self._database.read(usage.pending)
        rows = [row for row in pending if row.id not in self._held]
        self._asked_at = {row.id: at for row in rows if (at := self._asked_at.get(row.id))}
        now = self._clock()
        due = [row for row in rows if self._due_at(row) <= now]
        slots = asyncio.Semaphore(_ASKED_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for row in due:
                group.create_task(self._settle(row, slots))
        waits = [(self._due_at(row) - now).total_seconds() for row in rows if row not in due]
        waits += [_STORE_AGAIN_S] if self._unstored else []
        waits += [_PAUSE_S] if due else []
        return min(waits, default=None)

    def _due_at(self, row: PendingUsage) -> datetime:
        """Return the first of the moments for asking that is later than the last time we did."""
        made_at, asked_at = datetime.fromisoformat(row.created_at), self._asked_at.get(row.id)
        moments = [made_at + timedelta(seconds=age_s) for age_s in TRIES_AT_S]
        if asked_at is None:
            return moments[0]
        return next((moment for moment in moments if moment > asked_at), moments[-1])

    async def _settle(self, row: PendingUsage, slots: asyncio.Semaphore) -> None:
        async with slots:
            asked_at = self._clock()
            try:
                told = await self._ask(row.model, row.generation_id)
            except ModelError as error:
                logger.info("usage_not_told code=%s", error.code)
                told = None
        self._asked_at[row.id] = asked_at
        age = asked_at - datetime.fromisoformat(row.created_at)
        if told is None and age < timedelta(seconds=TRIES_AT_S[-1]):
            return
        if told is None:
            logger.warning("usage_estimated model=%s", row.model)
        try:
            await self._database.write(usage.settle, row, _settled(told))
        except StorageFull:
            logger.warning("usage_not_settled reason=storage_full")
            return
        if told is not None:
            self._budget.add(row.owner_id, told.cost_microusd - row.cost_microusd)

    async def _store_unstored(self) -> None:
        unstored, self._unstored = self._unstored, []
        for owner_id, rows in unstored:
            try:
                await self._database.write(usage.record, owner_id, rows)
            except StorageFull:
                self._unstored.append((owner_id, rows))


def _settled(told: Usage | None) -> Settled | None:
    """Return what to store: counts that the vendor does not tell stay estimates."""
    if told is None:
        return None
    return Settled(
        cost_microusd=told.cost_microusd,
        prompt_tokens=told.prompt_tokens or None,
        completion_tokens=told.completion_tokens or None,
        reasoning_tokens=told.reasoning_tokens or None,
        cached_tokens=told.cached_tokens or None,
    )
