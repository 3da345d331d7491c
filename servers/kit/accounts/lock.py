"""One process at a time, without a transaction that would be open meanwhile."""

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

_RETRY_S = 0.02


@asynccontextmanager
async def locked(path: Path, patience_s: float) -> AsyncGenerator[None]:
    """Holds the lock of the file at `path`, which is made when it is missing and stays.

    The system gives it back when the process dies. Raises TimeoutError and OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        async with asyncio.timeout(patience_s):
            while not _is_taken(descriptor):  # noqa: ASYNC110, another process gives it back
                await asyncio.sleep(_RETRY_S)
        yield
    finally:
        os.close(descriptor)


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
