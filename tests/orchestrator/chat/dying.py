"""A chat that is killed once the bytes of a file are stored and before its row says so.

`python -m tests.orchestrator.chat.dying FOLDER MODEL_URL TOY_URL` prints the id of its turn.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterable
from pathlib import Path

from orchestrator.attachments.local_blobs import LocalBlobStore
from tests.orchestrator.chat.conftest import running_chat


class DyingStore(LocalBlobStore):
    async def write(self, name: str, chunks: AsyncIterable[bytes], *, mime_type: str) -> int:
        await super().write(name, chunks, mime_type=mime_type)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody survives that")


async def main(folder: str, model_url: str, toy_url: str) -> None:
    async with running_chat(Path(folder), model_url, toy_url, store=DyingStore) as chat:
        turn = await chat.send("Draw.")
        print(turn.id, flush=True)
        await chat.events(turn.id)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
