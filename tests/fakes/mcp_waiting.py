"""Waits for what another process does."""

import asyncio
from collections.abc import Callable


async def eventually(is_so: Callable[[], bool], timeout_s: float = 20) -> None:
    """Return when `is_so()` first holds; fail when it does not hold in time."""
    async with asyncio.timeout(timeout_s):
        while not is_so():  # noqa: ASYNC110  (another process gives no event to wait for)
            await asyncio.sleep(0.02)
