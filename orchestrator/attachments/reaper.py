"""The reaper: takes away what was deleted, what nobody used for long, and what never arrived whole.

It works from the rows alone: first the blob goes, then the row, so that a crash between the two
only means that the blob is deleted once more. A blob that cannot be deleted is tried again later.
"""

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Never

from orchestrator.attachments.blobs import BlobStore
from orchestrator.domain.times import now_rfc3339, to_rfc3339, utc_now
from orchestrator.errors import FlotillaError
from orchestrator.store import attachments
from orchestrator.store.attachments import Doomed
from orchestrator.store.database import Database

logger = logging.getLogger(__name__)

BATCH = 100
AT_ONCE = 8
FIRST_RETRY_S = 5
LONGEST_RETRY_S = 3_600
DATABASE_RETRY_S = 30
LONGEST_SLEEP_S = 600
"""A laptop that slept has a later clock, but its timers do not know."""


class Reaper:
    """Works while `reap` runs. One process at a time may have a reaper on a database."""

    def __init__(
        self, database: Database, blobs: BlobStore, *, retention_days: int, settle_s: float = 0
    ) -> None:
        """`settle_s` is how long a blob may still appear after the process that wrote it died."""
        self._database = database
        self._blobs = blobs
        self._retention = timedelta(days=retention_days) if retention_days else None
        self._settle = timedelta(seconds=settle_s)
        self._spared: set[str] = set()
        self._has_news = asyncio.Event()

    def wake(self) -> None:
        """Look now: something was left to the reaper."""
        self._has_news.set()

    @contextmanager
    def spared(self, attachment_id: str) -> Generator[None]:
        """Leave this file alone while it is being written. Begin before its row is stored."""
        self._spared.add(attachment_id)
        try:
            yield
        finally:
            self._spared.discard(attachment_id)

    def expires_at(self, last_used_at: str) -> str | None:
        """Return when a file that is used no more is taken away; None when never."""
        if self._retention is None:
            return None
        return to_rfc3339(datetime.fromisoformat(last_used_at) + self._retention)

    async def reap(self) -> Never:
        """Take away for ever what is due."""
        while True:
            self._has_news.clear()
            try:
                pause_s = await self._reap()
            except FlotillaError as error:
                logger.warning("reaper_waits code=%s detail=%s", error.code, error)
                pause_s = DATABASE_RETRY_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._has_news.wait()

    async def _reap(self) -> float:
        """Take away what is due; return the seconds until there is more, at most."""
        await self._condemn()
        while rows := await self._database.read(
            attachments.doomed, now=now_rfc3339(), spared=tuple(self._spared), limit=BATCH
        ):
            await self._delete(rows)
        return await self._pause_s()

    async def _condemn(self) -> None:
        # What was spared is read in the same step in which the write is queued: a row that comes
        # later is not seen by it, and a row that is there has been spared before.
        abandoned = await self._database.write(
            attachments.abandon_incoming,
            spared=tuple(self._spared),
            retry_at=to_rfc3339(utc_now() + self._settle),
        )
        if abandoned:
            logger.warning("attachments_abandoned count=%d", abandoned)
        if self._retention is None:
            return
        used_before = to_rfc3339(utc_now() - self._retention)
        condemned = BATCH
        while condemned == BATCH:
            condemned = await self._database.write(
                attachments.remove_unused, used_before=used_before, limit=BATCH
            )
            if condemned:
                logger.info("attachments_expired count=%d", condemned)

    async def _delete(self, rows: list[Doomed]) -> None:
        for start in range(0, len(rows), AT_ONCE):
            batch = rows[start : start + AT_ONCE]
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._is_gone(row)) for row in batch]
            gone = [row for row, task in zip(batch, tasks, strict=True) if task.result()]
            await self._database.write(attachments.forget, gone)
            for row in batch:
                if row not in gone:
                    await self._postpone(row)

    async def _is_gone(self, row: Doomed) -> bool:
        try:
            await self._blobs.delete(row.id)
        except (FlotillaError, OSError) as error:
            logger.warning("blob_not_deleted id=%s attempts=%d %s", row.id, row.attempts + 1, error)
            return False
        return True

    async def _postpone(self, row: Doomed) -> None:
        pause_s = min(FIRST_RETRY_S * 2 ** min(row.attempts, 16), LONGEST_RETRY_S)
        retry_at = to_rfc3339(utc_now() + timedelta(seconds=pause_s))
        await self._database.write(attachments.postpone, row, retry_at=retry_at)

    async def _pause_s(self) -> float:
        moments = [await self._database.read(attachments.next_retry)]
        unused_since = await self._database.read(attachments.longest_unused)
        if unused_since is not None:
            moments.append(self.expires_at(unused_since))
        now = utc_now()
        pauses = [
            (datetime.fromisoformat(moment) - now).total_seconds()
            for moment in moments
            if moment is not None
        ]
        return min(max(min(pauses, default=LONGEST_SLEEP_S), 0.01), LONGEST_SLEEP_S)
