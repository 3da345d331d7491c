"""A process that is in the middle of a write until somebody kills it."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from tests.orchestrator.attachments.test_local_blobs import other_store


async def endless() -> AsyncGenerator[bytes]:
    yield b"x" * 100_000
    print("writing", flush=True)
    await asyncio.Event().wait()


async def main(folder: Path) -> None:
    await other_store(folder).write("att_1", endless(), mime_type="text/plain")


asyncio.run(main(Path(sys.argv[1])))
