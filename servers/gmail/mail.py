"""Finding and reading mails, conversations and the files in them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from pydantic import BaseModel

from servers.gmail import reading
from servers.gmail.budget import MAX_PAGE_BYTES, fitting, size_bytes
from servers.gmail.client import GmailClient, Message
from servers.gmail.content import content_of
from servers.gmail.models import FoundMails, Mail, SavedAttachment, Thread, ThreadMail
from servers.gmail.parts import Part, files_in, headers_of, parts_of
from servers.gmail.places import cursor_after, place_of
from servers.kit.errors import InvalidInput, NotFound, TooLarge
from servers.kit.files import FileStore
from servers.kit.paging import decode_cursor, encode_cursor

MAX_FILE_BYTES = 50 * 1024 * 1024
"""The largest file that Gmail lets a mail bring."""


class _Before(BaseModel):
    """Where a conversation goes on, backwards."""

    message_id: str


async def search(
    client: GmailClient, query: str, *, limit: int, cursor: str | None, everywhere: bool, zone: str
) -> FoundMails:
    place = place_of(cursor, limit)
    listed = await client.list_messages(
        query, limit=place.limit, page=place.page, everywhere=everywhere
    )
    ids = [str(one["id"]) for one in reading.messages_in(listed, "messages")][place.skip :]
    labels, heads = [], list[Message | None]()
    if ids:
        labels, heads = await _both(client, ids)
    names = reading.label_names(labels)
    found = [reading.found_mail(one, names, zone) for one in heads if one is not None]
    fit = fitting(found, MAX_PAGE_BYTES)
    left_out = found[len(fit)].message_id if len(fit) < len(found) else None
    return FoundMails(
        account=client.account,
        zone=zone,
        items=fit,
        next_cursor=cursor_after(place, listed, ids, left_out),
        truncated=left_out is not None,
    )


async def _both(
    client: GmailClient, ids: Sequence[str]
) -> tuple[list[Message], list[Message | None]]:
    async with asyncio.TaskGroup() as group:
        labels = group.create_task(client.labels())
        heads = group.create_task(client.heads(ids))
    return labels.result(), heads.result()


async def get_message(
    client: GmailClient,
    message_id: str,
    *,
    with_body: bool,
    offset: int,
    max_chars: int,
    attachment_offset: int,
    zone: str,
) -> Mail:
    message = await _message(client, message_id)
    names = reading.label_names(await client.labels())
    parts = parts_of(message)
    content = await content_of(client, message, parts)
    return reading.whole_mail(
        reading.mail_head(message, names, zone),
        reading.mail_body(content.text, offset, max_chars if with_body else 0),
        content,
        message=message,
        parts=parts,
        attachment_offset=attachment_offset,
        account=client.account,
        zone=zone,
    )


async def get_thread(
    client: GmailClient,
    thread_id: str,
    *,
    max_messages: int,
    chars_each: int,
    strip_quotes: bool,
    cursor: str | None,
    zone: str,
) -> Thread:
    try:
        rows = await client.thread_rows(thread_id)
    except NotFound as error:
        raise NotFound(f"There is no thread {thread_id!r}: search tells thread_ids.") from error
    ids = [str(one["id"]) for one in rows]
    end = _position(ids, cursor) if cursor else len(ids)
    asked = ids[max(0, end - max_messages) : end]
    messages = [one for one in await client.messages(asked) if one is not None]
    told: list[ThreadMail] = []
    left = MAX_PAGE_BYTES
    for message in reversed(messages):
        parts = parts_of(message)
        content = await content_of(client, message, parts)
        mail = reading.thread_mail(
            message, content, parts, max_chars=chars_each, strip_quotes=strip_quotes, zone=zone
        )
        left -= size_bytes(mail)
        if told and left < 0:
            break
        told.insert(0, mail)
    older = ids.index(told[0].message_id) if told else 0
    return Thread(
        account=client.account,
        zone=zone,
        thread_id=thread_id,
        untrusted_subject=reading.subject_of(headers_of(messages[0])) if messages else "",
        messages=told,
        total=len(ids),
        older=older,
        next_cursor=encode_cursor(_Before(message_id=ids[older])) if older else None,
    )


async def save_attachment(
    client: GmailClient, files: FileStore, message_id: str, part_id: str
) -> SavedAttachment:
    message = await _message(client, message_id)
    part = _file(parts_of(message), part_id)
    if part.size_bytes > MAX_FILE_BYTES:
        raise TooLarge(
            f"The attachment is {part.size_bytes:,} bytes: the limit is {MAX_FILE_BYTES:,}."
        )
    stored = await files.save(
        part.file.untrusted_name, _bytes_of(client, message_id, part), mime=part.file.mime
    )
    return SavedAttachment(
        account=client.account,
        attachment_id=stored.attachment_id,
        untrusted_name=stored.name,
        mime=stored.mime,
        size_bytes=stored.size_bytes,
    )


def _bytes_of(client: GmailClient, message_id: str, part: Part) -> AsyncGenerator[bytes] | bytes:
    if part.attachment_id is None:
        return part.content()
    return client.file(message_id, part.attachment_id)


def _file(parts: Sequence[Part], part_id: str) -> Part:
    files = files_in(parts)
    for part in files:
        if part.part_id == part_id:
            return part
    known = ", ".join(part.part_id for part in files[:20]) or "none"
    raise NotFound(f"This mail has no attachment with part_id {part_id!r} (there are: {known}).")


def _position(ids: Sequence[str], cursor: str) -> int:
    before = decode_cursor(cursor, _Before).message_id
    if before not in ids:
        raise InvalidInput("cursor is for a mail that is not in this thread: leave it out.")
    return ids.index(before)


async def _message(client: GmailClient, message_id: str) -> Message:
    try:
        return await client.message(message_id)
    except NotFound as error:
        raise NotFound(
            f"There is no message {message_id!r} (any more): search tells message_ids."
        ) from error
