"""Keeps the files that tools and models return; one that cannot be kept fails no call."""

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from orchestrator.attachments.uploads import Attachments
from orchestrator.chat.file_words import named
from orchestrator.domain.attachments import Attachment
from orchestrator.domain.tools import FileLink, ToolMedia, ToolResult
from orchestrator.errors import FlotillaError, InvalidRequest
from orchestrator.store import attachments
from orchestrator.store.database import Database
from orchestrator.tools.aggregator import MCPToolAggregator

PREVIEW_CHARS = 4_000
"""What the model reads of a text that is kept as a file."""
_CHUNK_CHARS = 256 * 1024  # Four characters of base64 are three bytes: divisible by four.


@dataclass(frozen=True, slots=True)
class Origin:
    """Where files come from, and whose they are."""

    owner_id: str
    session_id: str | None
    server: str
    tool: str
    """Qualified name."""
    call_id: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A result whose text names its files; their bytes are where attachments are."""

    result: ToolResult
    attachments: tuple[Attachment, ...] = ()

    @property
    def ids(self) -> list[str]:
        """The ids of the files, in their order."""
        return [attachment.id for attachment in self.attachments]


class FileKeeper:
    """Turns what comes back from tools and models into attachments."""

    def __init__(
        self, files: Attachments, database: Database, aggregator: MCPToolAggregator
    ) -> None:
        self._files = files
        self._database = database
        self._aggregator = aggregator

    async def of_tool(self, result: ToolResult, origin: Origin) -> Kept:
        """Keep the files of a result; its bytes are safe before its rows name them."""
        if not _has_files(result):
            return Kept(result)
        text, kept, notes = result.text, list[Attachment](), list[str]()
        if result.whole_text is not None:
            whole = await self._kept_or_why(self._save_text(result.whole_text, origin))
            if isinstance(whole, Attachment):
                text = _preview(result.whole_text, whole)
                kept.append(whole)
        for media in result.media:
            size = f"{media.mime_type}, {len(media.data):,} bytes"
            saved = await self._kept_or_why(self._save_media(media, origin))
            _note(kept, notes, saved, media.name or size)
        for link in result.links:
            saved = await self._kept_or_why(self._take_link(link, origin))
            _note(kept, notes, saved, f"{link.name}, {link.uri}")
        text = "\n".join(filter(None, (text, *notes)))
        bare = replace(result, text=text, media=(), links=(), whole_text=None)
        return Kept(bare, tuple(kept))

    async def of_model(
        self, owner_id: str, session_id: str, images: Sequence[str]
    ) -> tuple[list[Attachment], list[str]]:
        """Keep images of the model, given as URLs; return them, and why others were not kept."""
        kept, problems = list[Attachment](), list[str]()
        for url in images:
            saved = await self._kept_or_why(self._save_image(owner_id, session_id, url))
            if isinstance(saved, Attachment):
                kept.append(saved)
            else:
                problems.append(f"An image of the model was not kept: {saved}")
        return kept, problems

    async def _kept_or_why(self, saving: Awaitable[Attachment]) -> Attachment | str:
        try:
            return await saving
        except FlotillaError as error:
            return str(error)

    async def _save_text(self, text: str, origin: Origin) -> Attachment:
        start, end = text[:1], text.rstrip()[-1:]
        is_json = (start, end) in (("{", "}"), ("[", "]"))
        name = f"{origin.tool}.{'json' if is_json else 'txt'}"
        return await self._save(_encoded(text), origin, name)

    async def _save_media(self, media: ToolMedia, origin: Origin) -> Attachment:
        name = media.name or origin.tool
        return await self._save(_in_one(media.data), origin, name, media.mime_type)

    async def _take_link(self, link: FileLink, origin: Origin) -> Attachment:
        if link.attachment_id is not None:
            return await self._database.write(_adopt, origin, link.attachment_id)
        chunks = self._aggregator.file_chunks(origin.server, link.uri)
        async with aclosing(chunks):
            return await self._save(chunks, origin, link.name, link.mime_type)

    async def _save(
        self,
        chunks: AsyncIterable[bytes],
        origin: Origin,
        name: str,
        declared_mime: str | None = None,
    ) -> Attachment:
        return await self._files.save(
            origin.owner_id,
            chunks,
            name=name,
            source="tool",
            session_id=origin.session_id,
            tool_call_id=origin.call_id,
            declared_mime=declared_mime,
        )

    async def _save_image(self, owner_id: str, session_id: str, url: str) -> Attachment:
        head, comma, data = url.partition(",")
        mime, _, encoding = head.removeprefix("data:").partition(";")
        if not (head.startswith("data:") and comma and encoding == "base64"):
            raise InvalidRequest("it was sent as an address, and addresses are not fetched.")
        return await self._files.save(
            owner_id,
            _decoded(data),
            name="image",
            source="model",
            session_id=session_id,
            declared_mime=mime,
        )


def left_behind(result: ToolResult) -> Kept:
    """Return a result whose files there is no time to keep."""
    if not _has_files(result):
        return Kept(result)
    number = len(result.media) + len(result.links)
    note = f"[{number} files were not kept: the turn was stopped.]" if number else ""
    text = "\n".join(filter(None, (result.text, note)))
    return Kept(replace(result, text=text, media=(), links=(), whole_text=None))


def _has_files(result: ToolResult) -> bool:
    return bool(result.media or result.links or result.whole_text is not None)


def _adopt(conn: Connection, origin: Origin, attachment_id: str) -> Attachment:
    """Return what a server uploaded; it belongs to this chat unless it belongs to one already."""
    found = attachments.get(conn, origin.owner_id, attachment_id)
    if origin.session_id is None or found.session_id is not None:
        return found
    return attachments.claim(conn, origin.owner_id, [attachment_id], origin.session_id)[0]


def _note(kept: list[Attachment], notes: list[str], saved: Attachment | str, was: str) -> None:
    if isinstance(saved, Attachment):
        kept.append(saved)
        notes.append(f"[{named(saved)}]")
    else:
        notes.append(f"[not kept: {was}. {saved}]")


def _preview(text: str, whole: Attachment) -> str:
    shown = f"The first {PREVIEW_CHARS:,} of {len(text):,} characters"
    note = f"[{shown}; all of it is the {named(whole)}]"
    return f"{text[:PREVIEW_CHARS]}\n{note}"


async def _in_one(data: bytes) -> AsyncGenerator[bytes]:
    yield data


async def _encoded(text: str) -> AsyncGenerator[bytes]:
    """Yield the text in UTF-8; half a character, as JSON can carry it, becomes a question mark."""
    for start in range(0, len(text), _CHUNK_CHARS):
        yield text[start : start + _CHUNK_CHARS].encode(errors="replace")
        await asyncio.sleep(0)


async def _decoded(data: str) -> AsyncGenerator[bytes]:
    for start in range(0, len(data), _CHUNK_CHARS):
        piece = data[start : start + _CHUNK_CHARS]
        try:
            yield await asyncio.to_thread(base64.b64decode, piece, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidRequest("its data is not base64.") from error
