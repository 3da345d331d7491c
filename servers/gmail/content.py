"""The text of a mail: the part to read, fetched as far as needed, and cleaned."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from email import message_from_bytes, policy

from servers.gmail.client import BEGINNING_BYTES, GmailClient, Message
from servers.gmail.parts import Part, body_in, html_in
from servers.gmail.texts import decoded
from servers.kit.errors import NotFound
from servers.kit.foreign_text import Link, clean_text, text_of_html

MAX_TEXT_CHARS = 1_000_000


@dataclass(frozen=True, slots=True)
class Content:
    """What a reader sees of a mail."""

    text: str = field(repr=False)
    links: Sequence[Link] = ()
    notes: Sequence[str] = ()


async def content_of(client: GmailClient, message: Message, parts: Sequence[Part]) -> Content:
    """The text of a mail that was read with `GmailClient.message`."""
    part, kind = body_in(parts)
    if part is None:
        return Content("", notes=("This mail has no text.",))
    notes: list[str] = []
    raw = part.content()
    if part.data is None and part.size_bytes:
        raw = await _fetched(client, str(message["id"]), part, kind)
        if part.size_bytes > len(raw):
            notes.append(
                f"The text is {part.size_bytes:,} bytes long: only its beginning can be read here."
            )
    links: Sequence[Link] = ()
    if kind == "html":
        text, links = await asyncio.to_thread(text_of_html, decoded(raw, part.charset))
        notes.append("The text was made from HTML; hidden parts were left out.")
    else:
        text = await asyncio.to_thread(clean_text, decoded(raw, part.charset), MAX_TEXT_CHARS)
        # Where its links lead is only said in the HTML beside it.
        beside = html_in(parts)
        if beside is not None and beside.data is not None:
            page = decoded(beside.content(), beside.charset)
            _, links = await asyncio.to_thread(text_of_html, page)
    return Content(text, links, tuple(notes))


async def _fetched(client: GmailClient, message_id: str, part: Part, kind: str) -> bytes:
    """The beginning of a text that Gmail did not send along."""
    if part.attachment_id is not None:
        return await client.beginning_of_part(message_id, part.attachment_id)
    raw = await client.beginning(message_id)
    mail = await asyncio.to_thread(message_from_bytes, raw, policy=policy.compat32)
    for found in mail.walk():
        if found.get_content_type() == f"text/{kind}" and not found.get_filename():
            content = found.get_payload(decode=True)
            return content[:BEGINNING_BYTES] if isinstance(content, bytes) else b""
    raise NotFound("The text of this mail is further down than can be read here.")
