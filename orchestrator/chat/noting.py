"""Writes down what a long answer costs while it is still coming, so that no crash loses it."""

import asyncio
import logging
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from orchestrator.chat.settling import Settler
from orchestrator.errors import FlotillaError
from orchestrator.store import usage
from orchestrator.store.database import Database
from orchestrator.store.usage import UsageRow

logger = logging.getLogger(__name__)

NOTED_AFTER_S = 1.0
"""Short answers are stored with their cost soon enough; most are."""


class Call(Protocol):
    """What is asked of a request that is being answered."""

    is_noted: bool

    @property
    def is_told(self) -> bool: ...

    def rows(self) -> list[UsageRow]: ...


class Noting:
    """Watches one request; `end` it before what it cost is settled."""

    def __init__(self, database: Database, settler: Settler, owner_id: str, call: Call) -> None:
        self._database = database
        self._settler = settler
        self._owner_id = owner_id
        self._call = call
        self._held: list[str] = []
        self._writing: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(NOTED_AFTER_S, self._look)

    async def end(self) -> None:
        """Look no more; from now on the vendor may be asked for the cost."""
        self._timer.cancel()
        if self._writing is not None:
            await asyncio.wait([self._writing])
        self._settler.release(self._held)

    def _look(self) -> None:
        if self._call.is_told:
            return
        rows = self._call.rows()
        if not rows:
            self._timer = self._loop.call_later(NOTED_AFTER_S, self._look)
            return
        self._call.is_noted = True
        self._held = [row.id for row in rows]
        self._settler.hold(self._held)
        self._writing = self._loop.create_task(self._write(rows))

    async def _write(self, rows: list[UsageRow]) -> None:
        try:
            await self._database.write(usage.record, self._owner_id, rows)
        except (FlotillaError, SQLAlchemyError) as error:
            logger.warning("usage_not_noted error=%s", type(error).__name__)
