"""Threads for calls that block: the loop never waits for a disk or a bucket itself."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """A few threads of one store, so that a slow one does not starve the rest of the process."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="blobs")

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `call` returns.

        A thread cannot be stopped: when the task is cancelled, the end of the call is waited for,
        so that who cleans up afterwards never does so under a call that still runs.
        """
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._pool, partial(call, *args, **kwargs))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await end_of(running)
            raise

    async def aclose(self) -> None:
        """Wait for what runs and end the threads."""
        await asyncio.to_thread(self._pool.shutdown)


async def end_of(running: asyncio.Future[T]) -> None:
    """Wait until `running` is done, whoever cancels the wait; what it raised is not raised here."""
    while not running.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([running])
