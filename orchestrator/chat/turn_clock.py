"""The time that a turn may run; waiting for the owner does not count."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager


class TurnClock:
    """Ends a turn with TimeoutError after `limit_s` of running."""

    def __init__(self, limit_s: float, *, is_paused: bool = False) -> None:
        self.is_paused = is_paused
        """Whether the turn waits for the owner; also after it was cancelled while it did."""
        self._limit_s = limit_s
        self._left_s = limit_s
        self._timeout = asyncio.Timeout(None)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Count the time in the block, from the end of the pause when it begins paused."""
        now_s = asyncio.get_running_loop().time()
        self._timeout = asyncio.Timeout(None if self.is_paused else now_s + self._left_s)
        async with self._timeout:
            yield

    @contextmanager
    def paused(self) -> Generator[None]:
        """Do not count the time in the block; what is cancelled there stays paused."""
        self._left_s = self._remaining_s()
        self.is_paused = True
        self._set_deadline(None)
        yield
        self.is_paused = False
        self._set_deadline(asyncio.get_running_loop().time() + self._left_s)

    @property
    def elapsed_s(self) -> float:
        """For how long the turn has run."""
        return self._limit_s - self._remaining_s()

    def _remaining_s(self) -> float:
        deadline_s = self._timeout.when()
        if deadline_s is None:
            return self._left_s
        return deadline_s - asyncio.get_running_loop().time()

    def _set_deadline(self, deadline_s: float | None) -> None:
        if not self._timeout.expired():
            self._timeout.reschedule(deadline_s)
