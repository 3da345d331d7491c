"""Work that goes on beside the rest for as long as a block runs."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Never

logger = logging.getLogger(__name__)


@asynccontextmanager
async def running(endless: Coroutine[Any, Any, Never]) -> AsyncGenerator[None]:
    """Run `endless` beside the block, and cancel it at the end.

    Should it break, the log says so at once; the block goes on without it.
    """
    task = asyncio.create_task(endless, name=endless.__qualname__)
    task.add_done_callback(_ended)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _ended(task: asyncio.Task[Never]) -> None:
    if not task.cancelled():
        logger.critical("background_work_ended work=%s", task.get_name(), exc_info=task.exception())
