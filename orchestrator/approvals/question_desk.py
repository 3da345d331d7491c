"""The questions that wait for a sign-in: whoever signs in, wherever, answers all it satisfies."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Never

from orchestrator.approvals.inbox import RETRY_S
from orchestrator.approvals.waiters import Waiters
from orchestrator.domain.accounts import Account, ServerAccounts
from orchestrator.domain.questions import Question, QuestionState
from orchestrator.domain.times import now_rfc3339, utc_now
from orchestrator.errors import FlotillaError, NotFound, StorageFull
from orchestrator.store import questions
from orchestrator.store.database import Database

logger = logging.getLogger(__name__)

SHORTEST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 30.0
"""Between two looks at the accounts of the servers that questions wait for."""

Look = Callable[[str], Awaitable[ServerAccounts]]
"""Returns what a server tells of its accounts. Raises FlotillaError."""


class QuestionDesk:
    """Answers and waits. Run `keep` beside it."""

    def __init__(self, database: Database, look: Look) -> None:
        self._database = database
        self._look = look
        self._waiters = Waiters[Question]()
        self._others: list[QuestionDesk] = []
        self._is_wanted = asyncio.Event()
        self._has_pending = asyncio.Event()
        self._has_pending.set()  # What a restart left may have been answered meanwhile.

    def join(self, other: "QuestionDesk") -> None:
        """Speak for another desk, too: its questions are in another database."""
        self._others.append(other)

    async def find(self, owner_id: str, question_id: str) -> Question:
        """Return the question. Raises NotFound."""
        for other in self._others:
            with suppress(NotFound):
                return await other.find(owner_id, question_id)
        return await self._database.read(questions.get, owner_id, question_id)

    async def newest(
        self, owner_id: str, *, limit: int, state: QuestionState | None = None
    ) -> list[Question]:
        """Return the newest questions, the newest first, and look at the accounts soon."""
        self._is_wanted.set()
        found = await self._database.read(questions.newest, owner_id, limit=limit, state=state)
        for other in self._others:
            found += await other.newest(owner_id, limit=limit, state=state)
        return sorted(found, key=lambda question: question.created_at, reverse=True)[:limit]

    async def wait(self, owner_id: str, question_id: str) -> Question:
        """Return the question once it is not pending any more. Raises NotFound."""
        return await self._waiters.wait(
            question_id, lambda: self._database.read(questions.get, owner_id, question_id)
        )

    def note(self, changed: Iterable[Question]) -> None:
        """Take notice of rows that were inserted or ended."""
        for question in changed:
            if question.state == "pending":
                self._has_pending.set()
                self._is_wanted.set()
            else:
                self._waiters.wake(question)

    async def decline(self, owner_id: str, question_id: str, *, by: str) -> Question:
        """Note that the owner will not sign in. Raises as `store.questions.decline`."""
        for other in self._others:
            with suppress(NotFound):
                return await other.decline(owner_id, question_id, by=by)
        declined = await self._database.write(questions.decline, owner_id, question_id, by=by)
        self.note([declined])
        return declined

    async def signed_in(self, owner_id: str, server: str, accounts: Iterable[Account]) -> None:
        """Answer all questions that these accounts of the server satisfy."""
        accounts = tuple(accounts)
        pending = await self._database.read(questions.pending_at, owner_id, server)
        answered = [question.id for question in pending if _satisfies(accounts, question)]
        if answered:
            self.note(await self._database.write(questions.answer, owner_id, answered))
        for other in self._others:
            await other.signed_in(owner_id, server, accounts)

    async def seen(self, owner_id: str, server: str, accounts: Iterable[Account]) -> None:
        """Do as `signed_in`, except that a full disk leaves it for the next look."""
        try:
            await self.signed_in(owner_id, server, accounts)
        except StorageFull:
            logger.warning("questions_not_answered server=%s reason=disk_full", server)

    async def keep(self) -> Never:
        """Expire what is due, and see sign-ins that nobody told of, for ever.

        It looks often after a question was asked or shown, and less and less often after that.
        """
        pause_s = SHORTEST_PAUSE_S
        while True:
            await self._has_pending.wait()
            self._is_wanted.clear()
            try:
                left_s = await self._step()
            except StorageFull:
                logger.warning("questions_not_ended reason=disk_full")
                left_s = RETRY_S
            # Whoever wants it, a server is not asked more often than this.
            await asyncio.sleep(SHORTEST_PAUSE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pause_s, left_s) - SHORTEST_PAUSE_S):
                    await self._is_wanted.wait()
            is_wanted = self._is_wanted.is_set()
            pause_s = SHORTEST_PAUSE_S if is_wanted else min(2 * pause_s, LONGEST_PAUSE_S)

    async def _step(self) -> float:
        """Expire what is due and look at the accounts; return the seconds to the next deadline."""
        self._has_pending.clear()
        deadline = await self._database.read(questions.next_expiry)
        if deadline is not None and deadline <= now_rfc3339():
            self.note(await self._database.write(questions.expire_due, now_rfc3339()))
            deadline = await self._database.read(questions.next_expiry)
        if deadline is None:
            return LONGEST_PAUSE_S
        self._has_pending.set()
        waiting = await self._database.read(questions.waiting)
        async with asyncio.TaskGroup() as looks:
            for owner_id, server in waiting:
                looks.create_task(self._look_at(owner_id, server))
        return (datetime.fromisoformat(deadline) - utc_now()).total_seconds()

    async def _look_at(self, owner_id: str, server: str) -> None:
        try:
            found = await self._look(server)
        except FlotillaError as error:
            logger.info("accounts_not_seen server=%s error=%s", server, error)
            return
        await self.seen(owner_id, server, found.accounts)


def _satisfies(accounts: Iterable[Account], question: Question) -> bool:
    return any(
        account.state == "ok"
        and question.capability in account.capabilities
        and (question.account is None or question.account.casefold() == account.account.casefold())
        for account in accounts
    )
