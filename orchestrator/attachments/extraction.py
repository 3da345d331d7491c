"""The text of documents, read by a fresh process for each: a hostile one can only end its own.

A process costs some tenths of a second of start-up, most of it a library that a kept process would
hold in memory all day; nothing of one document is left when the next is read.
"""

import asyncio
import logging
import os
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter, ValidationError

from orchestrator.attachments.sniffing import DOCX, PPTX, XLSX
from orchestrator.domain.values import Value
from orchestrator.errors import TextNotReadable, TooManyRequests

READABLE_TYPES = frozenset(
    {
        *("text/plain", "text/markdown", "text/csv", "application/json"),
        *("application/pdf", DOCX, XLSX, PPTX),
    }
)
MAX_WORKERS = 2
MAX_WAITING = 16
WALL_LIMIT_S = 25.0
"""The worker answers with what it has before this; one that does not is killed."""
MAX_REPLY_BYTES = 2 * 1024 * 1024
_READ_BYTES = 64 * 1024
_COMMAND = (
    *(sys.executable, "-P", "-B", "-W", "ignore"),
    *("-m", "orchestrator.attachments.extract_worker"),
)

logger = logging.getLogger(__name__)


class Extracted(Value):
    """Text of a document, without characters that no reader can see."""

    text: str
    notes: tuple[str, ...] = ()
    """Sentences about what is missing."""
    is_truncated: bool = False
    """The document goes on where the text ends."""


class _Refused(Value):
    error: str
    cause: str = ""


_ANSWER: TypeAdapter[Extracted | _Refused] = TypeAdapter(Extracted | _Refused)


class ExtractText:
    """Reads at most MAX_WORKERS documents at once; MAX_WAITING more may wait.

    `folder` takes each document while it is read, in a file without a name: nothing is left of it
    whatever happens.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._slots = asyncio.Semaphore(MAX_WORKERS)
        self._callers = 0

    async def __call__(self, chunks: AsyncIterator[bytes], *, mime: str, name: str) -> Extracted:
        """Return the text of the document whose bytes are `chunks`, of at most 200,000 characters.

        PDF has page numbers, sheets have their names and tabs between cells, slides their titles
        and notes. Cancelling kills the worker. Raises TextNotReadable (no reader for `mime`, a
        password, only scanned pages, damage, a bomb, too much time or memory), and TooManyRequests
        when too many wait already.
        """
        if mime not in READABLE_TYPES:
            raise TextNotReadable(f"{name}: files of type {mime} hold no text to read.")
        if self._callers >= MAX_WORKERS + MAX_WAITING:
            message = "Too many documents are being read."
            raise TooManyRequests(message, retry_after_s=WALL_LIMIT_S)
        self._callers += 1
        try:
            async with self._slots:
                return await self._extract(chunks, mime, name)
        finally:
            self._callers -= 1

    async def _extract(self, chunks: AsyncIterator[bytes], mime: str, name: str) -> Extracted:
        with await asyncio.to_thread(tempfile.TemporaryFile, dir=self._folder) as file:
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
            file.seek(0)
            try:
                async with asyncio.timeout(WALL_LIMIT_S), _worker(file, mime) as process:
                    reply = await _reply_of(process)
            except TimeoutError:
                raise TextNotReadable(f"{name}: it takes too long to read.") from None
        return _judged(reply, name)


@asynccontextmanager
async def _worker(file: IO[bytes], mime: str) -> AsyncGenerator[Process]:
    """Start a worker with no secret in its environment; it never outlives the block."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        mime,
        stdin=file,
        stdout=PIPE,
        stderr=DEVNULL,
        env={"PYTHONPATH": path, "OPENPYXL_LXML": "False"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        # What a dead process left in its pipe is little, and must be taken for the pipe to end.
        while await _read(process):
            pass
        await process.wait()


async def _reply_of(process: Process) -> bytes:
    """Return all that the worker says until it ends, or more than it may say."""
    reply = bytearray()
    while piece := await _read(process):
        reply += piece
        if len(reply) > MAX_REPLY_BYTES:
            return b""
    await process.wait()
    return bytes(reply)


async def _read(process: Process) -> bytes:
    return await process.stdout.read(_READ_BYTES) if process.stdout else b""


def _judged(reply: bytes, name: str) -> Extracted:
    """Return what a worker found, trusting neither its form nor its length."""
    try:
        answer = _ANSWER.validate_json(reply)
    except ValidationError:
        # It was killed by a limit of the kernel, or fell over something in a C library.
        raise TextNotReadable(f"{name}: it needs too much memory or time to be read.") from None
    if isinstance(answer, Extracted):
        return answer
    if answer.cause:
        logger.info("document_not_read cause=%s", answer.cause)
    raise TextNotReadable(f"{name}: {answer.error}")
