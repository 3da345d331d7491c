"""Chats that no disk sees: the same floor over a database in memory.

What they cost is in the real ledger, as numbers. What servers write of the calls that they run is
theirs. Files are neither taken nor kept. A tool that was allowed for good elsewhere asks here.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Never, Self

from orchestrator.approvals.inbox import Inbox
from orchestrator.approvals.question_desk import QuestionDesk
from orchestrator.attachments.extraction import ExtractText
from orchestrator.attachments.uploads import Attachments
from orchestrator.background import running
from orchestrator.chat.accepting import NewTurn
from orchestrator.chat.attached import AttachedFiles
from orchestrator.chat.documents import Documents
from orchestrator.chat.keeping import FileKeeper
from orchestrator.chat.model_calls import Charge, ModelCall, ModelCalls
from orchestrator.chat.orchestrator import ChatOrchestrator
from orchestrator.chat.resources import Resources
from orchestrator.chat.settling import Settler
from orchestrator.domain.approvals import Approval, ApprovalState
from orchestrator.domain.attachments import Attachment
from orchestrator.domain.chat import Turn
from orchestrator.domain.times import to_rfc3339, utc_now
from orchestrator.errors import Conflict
from orchestrator.llm.deltas import CompletionRequest
from orchestrator.store import approvals, principals, temporary
from orchestrator.store.database import Database

IDLE = timedelta(hours=1)
"""A chat that nobody used for so long is forgotten."""
_LOOK_EVERY_S = 60.0
_NO_FILES = "A temporary chat takes and keeps no files: they would be on the disk."


class TemporaryChats:
    """The chats, their database and their inbox; use it as an async context manager."""

    def __init__(self, stored: Resources, data_dir: Path) -> None:
        """`stored` are the resources of the chats that are stored."""
        self.database = Database(None)
        self._stored = stored.database
        self.inbox = Inbox(self.database)
        questions = QuestionDesk(self.database, stored.aggregator.accounts.read)
        stored.questions.join(questions)
        self.chat = ChatOrchestrator(self._resources(stored, questions, data_dir), None)
        self._has_any = False
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self.database.close)
        await self._stack.enter_async_context(running(self.inbox.keep_deadlines()))
        await self._stack.enter_async_context(self.chat)
        await self._stack.enter_async_context(running(self._forget_idle()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Forget all of them."""
        await self._stack.aclose()

    async def start(self, owner_id: str, new: NewTurn) -> Turn:
        """Do as `ChatOrchestrator.start`, in memory. Raises Conflict when files come along."""
        if new.attachment_ids:
            raise Conflict(_NO_FILES)
        # Servers let nothing run on a grant for a person of another name.
        name = await self._stored.read(principals.owner_name, owner_id)
        await self.database.write(temporary.mirror_owner, owner_id, name)
        self._has_any = True
        return await self.chat.start(owner_id, new)

    async def holds(self, ids: Iterable[str]) -> bool:
        """Return whether one of `ids` is a session, turn, call or approval of such a chat."""
        return self._has_any and await self.database.read(temporary.holds, list(ids))

    async def approvals(self, owner_id: str, state: ApprovalState | None) -> list[Approval]:
        """Return what such chats ask or asked the owner, the newest first, at most 200."""
        if not self._has_any:
            return []
        found, _ = await self.database.read(approvals.page, owner_id, limit=200, state=state)
        return found

    def _resources(self, stored: Resources, questions: QuestionDesk, data_dir: Path) -> Resources:
        database, files = self.database, _NoFiles()
        settler = Settler(database, stored.budget, stored.llm.generation_cost)
        return replace(
            stored,
            database=database,
            inbox=self.inbox,
            questions=questions,
            calls=_LedgerCalls(stored),
            settler=settler,
            attached=AttachedFiles(
                files, Documents(files, ExtractText(data_dir)), stored.llm, database
            ),
            keeper=FileKeeper(files, database, stored.aggregator),
        )

    async def _forget_idle(self) -> Never:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if self._has_any:
                before = to_rfc3339(utc_now() - IDLE)
                left = await self.database.write(temporary.forget_idle, before)
                self._has_any = left > 0


class _LedgerCalls(ModelCalls):
    """Records what requests cost where it stays, whatever else was stored in memory."""

    def __init__(self, stored: Resources) -> None:
        super().__init__(stored.llm, stored.budget, stored.database, stored.settler)

    @asynccontextmanager
    async def reserved(
        self, request: CompletionRequest, charge: Charge
    ) -> AsyncGenerator[ModelCall]:
        """Give the request; its cost is always still to be recorded when the block ends."""
        async with super().reserved(request, charge) as call:
            try:
                yield call
            finally:
                call.is_stored = False


class _NoFiles(Attachments):
    """Keeps no file."""

    def __init__(self) -> None:
        """There is nothing to keep them in."""

    async def save(self, owner_id: str, chunks: AsyncIterable[bytes], **about: Any) -> Attachment:
        """Raise Conflict."""
        raise Conflict(_NO_FILES)
