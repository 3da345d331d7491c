"""Chunks from the loop for a library that reads a file in a thread."""

import asyncio
from contextlib import suppress
from io import BytesIO
from queue import SimpleQueue
from typing import Literal

_ROOM = 1
"""Chunks on their way."""


class Abandoned(Exception):
    """The source broke off, so what was read so far must not become a blob."""


class Pipe:
    """One source, one reader. What the reader has not taken yet is at most one chunk."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(_ROOM)
        self._queue: SimpleQueue[bytes | Literal["end", "abandoned"]] = SimpleQueue()
        self._left = b""
        self._is_abandoned = False
        self.is_read_out = False
        """The reader has all of it, and knows."""
        self.size_bytes = 0
        """So many were read."""

    async def put(self, chunk: bytes) -> None:
        """Hand a chunk over, when there is room for it."""
        await self._room.acquire()
        self._queue.put(chunk)

    def end(self) -> None:
        """Say that there is no more."""
        self._queue.put("end")

    def abandon(self) -> None:
        """Make the reader raise Abandoned, also when it waits."""
        self._is_abandoned = True
        self._queue.put("abandoned")

    def make_room(self) -> None:
        """Let `put` go on: a chunk was taken, or nobody will take any."""
        self._room.release()

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer only at the end. Blocks; raises Abandoned."""
        # Gives out what it gathered without another copy, which with many uploads adds up.
        part = BytesIO()
        while (room := size - part.tell()) and (chunk := self._left or self._taken()):
            part.write(chunk[:room])
            self._left = chunk[room:]
        self.size_bytes += part.tell()
        return part.getvalue()

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self.size_bytes

    def _taken(self) -> bytes:
        """Return the next chunk; nothing after the last."""
        while not self.is_read_out:
            item = self._queue.get()
            if self._is_abandoned or item == "abandoned":
                raise Abandoned
            if item == "end":
                self.is_read_out = True
                break
            with suppress(RuntimeError):  # the loop has ended, and its tasks with it
                self._loop.call_soon_threadsafe(self.make_room)
            if item:
                return item
        return b""
