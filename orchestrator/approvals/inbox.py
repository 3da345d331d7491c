"""The inbox: decisions, those who wait for one, and the deadline of each.

The rows are the truth. What is kept here only wakes who waits, so a restart loses nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Never

from sqlalchemy import Connection

from orchestrator.approvals.waiters import Waiters
from orchestrator.domain.approvals import Approval, Decision
from orchestrator.domain.times import now_rfc3339, utc_now
from orchestrator.errors import StorageFull
from orchestrator.store import approvals
from orchestrator.store.database import Database

logger = logging.getLogger(__name__)

LONGEST_SLEEP_S = 600
"""A laptop that slept has a later clock, but its timers do not know."""

RETRY_S = 30

OnApproved = Callable[[str, Approval], None]
"""Called with (owner id, approval) once what no turn waits for was approved."""


class Inbox:
    """Decides and waits. Run `keep_deadlines` beside it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiters = Waiters[Approval]()
        self._callbacks: list[OnApproved] = []
        self._has_news = asyncio.Event()

    def on_approved(self, callback: OnApproved) -> None:
        """Call `callback` when a call of origin `client` or `api` is approved.

        What was approved before a crash is in `store.approvals.approved_without_outcome`.
        """
        self._callbacks.append(callback)

    async def decide(self, owner_id: str, approval_id: str, decision: Decision) -> Approval:
        """Store the decision and wake who waits for it. Raises as `store.approvals.decide`."""
        decided, is_new = await self._database.write(_decide, owner_id, approval_id, decision)
        self.note([decided])
        if is_new and decided.state == "approved" and decided.origin != "turn":
            for callback in self._callbacks:
                callback(owner_id, decided)
        return decided

    async def wait(self, owner_id: str, approval_id: str) -> Approval:
        """Return the approval once it is not pending any more. Raises NotFound.

        Any number may wait, and each may stop waiting.
        """
        return await self._waiters.wait(
            approval_id, lambda: self._database.read(approvals.get, owner_id, approval_id)
        )

    def note(self, changed: Iterable[Approval]) -> None:
        """Take notice of rows that another transaction inserted or ended."""
        for approval in changed:
            if approval.state == "pending":
                self._has_news.set()
            else:
                self._waiters.wake(approval)

    async def keep_deadlines(self) -> Never:
        """Expire for ever what is due."""
        while True:
            self._has_news.clear()
            try:
                pause_s = await self._expire()
            except StorageFull:
                logger.warning("approvals_not_expired reason=disk_full")
                pause_s = RETRY_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._has_news.wait()

    async def _expire(self) -> float | None:
        """Expire what is due; return the seconds until the next deadline, None without one."""
        deadline = await self._database.read(approvals.next_expiry)
        if deadline is not None and deadline <= now_rfc3339():
            ended = await self._database.write(approvals.expire_due, now_rfc3339())
            self.note(approval for _, approval in ended)
            deadline = await self._database.read(approvals.next_expiry)
        if deadline is None:
            return None
        left = datetime.fromisoformat(deadline) - utc_now()
        return min(max(left.total_seconds(), 0), LONGEST_SLEEP_S)


def _decide(
    conn: Connection, owner_id: str, approval_id: str, decision: Decision
) -> tuple[Approval, bool]:
    was_pending = approvals.get(conn, owner_id, approval_id).state == "pending"
    return approvals.decide(conn, owner_id, approval_id, decision), was_pending
