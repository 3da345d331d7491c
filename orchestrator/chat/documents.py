"""The text of attached documents, read once and remembered while it is likely to be needed."""

import asyncio
from collections import OrderedDict
from contextlib import aclosing

from orchestrator.attachments.extraction import READABLE_TYPES, ExtractText
from orchestrator.attachments.uploads import Attachments
from orchestrator.domain.attachments import Attachment
from orchestrator.errors import TextNotReadable

MAX_KEPT = 32
"""Documents, of at most 200,000 characters each: a chat names the same few in every turn."""


class Documents:
    """Reads documents; those that many turns ask for at once are read once, too."""

    def __init__(self, files: Attachments, extract: ExtractText) -> None:
        self._files = files
        self._extract = extract
        self._texts: OrderedDict[str, asyncio.Task[str]] = OrderedDict()

    def can_read(self, mime: str) -> bool:
        """Return whether files of this type hold text."""
        return mime in READABLE_TYPES

    async def text_of(self, attachment: Attachment) -> str:
        """Return its text, or a sentence in brackets that says why it cannot be read.

        What is missing of it is said at its end. Raises FlotillaError for what may pass: the place
        of files is away, or too many documents are being read.
        """
        task = self._texts.get(attachment.id)
        if task is None:
            task = asyncio.create_task(self._read(attachment))
            self._texts[attachment.id] = task
            task.add_done_callback(lambda ended: self._forget_failed(attachment.id, ended))
        self._texts.move_to_end(attachment.id)
        while len(self._texts) > MAX_KEPT:
            self._texts.popitem(last=False)
        # Others may wait for it, too.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Stop reading."""
        reading = [task for task in self._texts.values() if not task.done()]
        for task in reading:
            task.cancel()
        if reading:
            await asyncio.wait(reading)

    async def _read(self, attachment: Attachment) -> str:
        try:
            async with aclosing(self._files.bytes_of(attachment)) as chunks:
                found = await self._extract(chunks, mime=attachment.mime, name=attachment.name)
        except TextNotReadable as error:
            return f"[It could not be read: {error}]"
        return "\n".join((found.text, *(f"[{note}]" for note in found.notes)))

    def _forget_failed(self, attachment_id: str, ended: asyncio.Task[str]) -> None:
        is_failed = ended.cancelled() or ended.exception() is not None
        if is_failed and self._texts.get(attachment_id) is ended:
            del self._texts[attachment_id]
