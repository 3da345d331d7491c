"""Chunks from the loop for a library that reads a file in a thread."""

import asyncio
from contextlib import suppress
from queue import SimpleQueue
from typing import Literal

_ROOM = 2
"""Chunks on their way: one that is read and one that is ready."""


class Abandoned(Exception):
    """The source broke off, so what was read so far must not become a blob."""


class Pipe:
    """One source, one reader. What the reader has not taken yet is at most two chunks."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(_ROOM)
        self._queue: SimpleQueue[bytes | Literal["end", "abandoned"]] = SimpleQueue()
        self._held = bytearray()
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
        while len(self._held) < size and not self.is_read_out:
            self._take()
        taken = bytes(self._held[:size])
        del self._held[:size]
        self.size_bytes += len(taken)
        return taken

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self.size_bytes

    def _take(self) -> None:
        item = self._queue.get()
        if self._is_abandoned or item == "abandoned":
            raise Abandoned
        if isinstance(item, bytes):
            self._held += item
            with suppress(RuntimeError):  # the loop has ended, and its tasks with it
                self._loop.call_soon_threadsafe(self.make_room)
        else:
            self.is_read_out = True
