"""What calls of a round wait for: asked for once each, awaited in the background."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Generic, Self, TypeVar

from orchestrator.approvals.waiters import Pending
from orchestrator.chat.planned_call import PlannedCall

Row = TypeVar("Row", bound=Pending)
End = TypeVar("End")


class Watching(Generic[Row, End]):
    """Knows the newest row of each call; use it as a context manager around the round."""

    def __init__(self, asked: Mapping[str, Row]) -> None:
        """`asked` has, by call id, what was asked before a restart."""
        self._asked = dict(asked)
        self._group = asyncio.TaskGroup()
        self._ends: dict[str, asyncio.Task[End]] = {}

    async def __aenter__(self) -> Self:
        """Watch what was asked by now, all of which is stored."""
        await self._group.__aenter__()
        for call_id in self._asked:
            self.watch(call_id)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._group.__aexit__(kind, error, trace)

    def asks_about(self, call: PlannedCall) -> bool:
        """Return whether the call may only run once the owner has done something."""
        return call.id in self._asked

    def watch(self, call_id: str) -> None:
        """Wait from now on for the end of what was asked about a call, and is stored."""
        row = self._asked.get(call_id)
        if row is not None and row.id not in self._ends:
            self._ends[row.id] = self._group.create_task(self._ended(row))

    async def end_about(self, call: PlannedCall) -> End:
        """Return what became of what was asked about the call, once it is not pending any more."""
        return await self._ends[self._asked[call.id].id]

    async def _ended(self, row: Row) -> End:
        raise NotImplementedError
