"""A flag that any thread may raise and any thread or event loop may wait for."""

import asyncio
import threading


class Signal:
    """Raised once. Waiting is bounded: a test that waits in vain fails with TimeoutError."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flag = threading.Event()
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def is_set(self) -> bool:
        return self._flag.is_set()

    def set(self) -> None:
        with self._lock:
            self._flag.set()
            waiters, self._waiters = self._waiters, []
        for loop, event in waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    async def wait(self, timeout_s: float = 10.0) -> None:
        event = asyncio.Event()
        with self._lock:
            if self._flag.is_set():
                return
            self._waiters.append((asyncio.get_running_loop(), event))
        async with asyncio.timeout(timeout_s):
            await event.wait()

    def wait_blocking(self, timeout_s: float = 10.0) -> None:
        if not self._flag.wait(timeout_s):
            raise TimeoutError


class Gate:
    """A place in a scripted answer where the fake stops until the test opens it."""

    def __init__(self) -> None:
        self.reached = Signal()
        self._opened = Signal()

    def open(self) -> None:
        self._opened.set()

    async def pass_through(self) -> None:
        self.reached.set()
        await self._opened.wait(timeout_s=60.0)
