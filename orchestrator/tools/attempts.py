"""Paces the attempts to reach one server, and lets others wait for the next."""

import asyncio
import random

RELIST_INTERVAL_S = 300.0
SHORTEST_RELIST_S = 60.0
LONGEST_RELIST_S = 86_400.0
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
_SPACING_S = 0.2


class Attempts:
    """Attempts run one after another; between them lies a pause that anybody may cut short."""

    def __init__(self) -> None:
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Condition()
        self._count = 0
        self._is_running = False

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()

    def nudge(self) -> None:
        """End the pause, if there is one."""
        if not self._is_running:
            self._wake.set()

    def begin(self) -> None:
        self._wake.clear()
        self._is_running = True

    async def end(self) -> None:
        self._is_running = False
        async with self._ended:
            self._count += 1
            self._ended.notify_all()

    async def next(self, *, fresh: bool = False) -> None:
        """Return when an attempt has ended; with `fresh`, one that began after this call."""
        target = self._count + (2 if fresh and self._is_running else 1)
        self._wake.set() if fresh else self.nudge()
        async with self._ended:
            await self._ended.wait_for(lambda: self._count >= target)

    async def pause(self, failures: int, list_lifetime_s: float | None) -> bool:
        """Wait for the next attempt to be due, after so many failed ones in a row.

        Returns True when somebody cut the wait short. A server that is started by its first
        request and leaves when idle should give its list a long life, or it is woken in vain.
        """
        delay = min(max(list_lifetime_s or RELIST_INTERVAL_S, SHORTEST_RELIST_S), LONGEST_RELIST_S)
        if failures:
            delay = min(FIRST_BACKOFF_S * 2 ** min(failures - 1, 10), LONGEST_BACKOFF_S)
        was_cut = await _wait(self._wake, delay * random.uniform(0.8, 1.2))  # noqa: S311
        if failures:
            # Whoever wakes us, a server that is away is not asked more often than this.
            await _wait(self._stopping, _SPACING_S)
        return was_cut


async def _wait(event: asyncio.Event, limit_s: float) -> bool:
    try:
        async with asyncio.timeout(limit_s):
            return await event.wait()
    except TimeoutError:
        return False
