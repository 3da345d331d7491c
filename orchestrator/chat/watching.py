"""Waits, beside the calls of a round, for what others decide about them."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

Row = TypeVar("Row")


class Watching(Generic[Row]):
    """One task for each row that is awaited; use it as a context manager around the round."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._ends: dict[str, asyncio.Task[Row]] = {}

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self.watch()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._group.__aexit__(kind, error, trace)

    def watch(self) -> None:
        """Wait from now on for the ends of all that was asked."""
        raise NotImplementedError

    def _is_watched(self, row_id: str) -> bool:
        return row_id in self._ends

    def _begin(self, row_id: str, end: Coroutine[Any, Any, Row]) -> None:
        self._ends[row_id] = self._group.create_task(end)

    async def _end_of(self, row_id: str) -> Row:
        return await self._ends[row_id]
