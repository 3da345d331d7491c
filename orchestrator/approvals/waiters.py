"""Those who wait in this process for the end of a row."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar


class Pending(Protocol):
    """A row that is `pending` until it ends."""

    @property
    def id(self) -> str: ...

    @property
    def state(self) -> str: ...


Row = TypeVar("Row", bound=Pending)


class Waiters(Generic[Row]):
    """The rows are the truth: what is here only wakes who waits, so a restart loses nothing."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[Row]]] = {}

    async def wait(self, row_id: str, read: Callable[[], Awaitable[Row]]) -> Row:
        """Return the row once it is not pending any more; `read` returns it as it is stored.

        Any number may wait, and each may stop waiting. Raises what `read` raises.
        """
        ended: asyncio.Future[Row] = asyncio.get_running_loop().create_future()
        # Before the row is read: an end in between is not missed.
        self._waiting.setdefault(row_id, set()).add(ended)
        try:
            row = await read()
            return await ended if row.state == "pending" else row
        finally:
            self._forget(row_id, ended)

    def wake(self, row: Row) -> None:
        """Give the row, which has ended, to all who wait for it."""
        for ended in self._waiting.get(row.id, ()):
            if not ended.done():
                ended.set_result(row)

    def _forget(self, row_id: str, ended: asyncio.Future[Row]) -> None:
        others = self._waiting[row_id]
        others.discard(ended)
        if not others:
            del self._waiting[row_id]
