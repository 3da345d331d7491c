"""Drafts: written, changed, sent as they were approved, and thrown away."""

from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from servers.gmail import addresses, compose, reading, replying
from servers.gmail.budget import MAX_PAGE_BYTES, fitting
from servers.gmail.client import MAX_MAIL_BYTES, GmailClient, Message
from servers.gmail.content import Content, content_of
from servers.gmail.models import Discarded, Draft, DraftRow, Drafts, DraftState, SentMail
from servers.gmail.parts import Part, all_headers, files_in, headers_of, parts_of
from servers.gmail.places import cursor_after, place_of
from servers.gmail.sendable import check_sendable, check_version, version_of
from servers.gmail.texts import header_text
from servers.kit.errors import TooLarge, UpstreamError
from servers.kit.files import FileStore
from servers.kit.google.errors import OutcomeUnknown

MAX_FILES_BYTES = 25 * 1024 * 1024
"""What Gmail takes for sending: base64 makes a third more of it."""
_SHOWN_FILES = 30
_PREVIEW_CHARS = 8_000


class Given(BaseModel):
    """What a tool was told to write; None for what it was not told."""

    to: list[str] | None = None
    cc: list[str] | None = None
    bcc: list[str] | None = None
    subject: str | None = None
    body_markdown: str | None = None
    attachment_ids: list[str] | None = None


async def list_drafts(client: GmailClient, *, limit: int, cursor: str | None, zone: str) -> Drafts:
    place = place_of(cursor, limit)
    listed = await client.list_drafts(limit=place.limit, page=place.page)
    drafts = reading.messages_in(listed, "drafts")[place.skip :]
    heads = await client.heads([str(one["message"]["id"]) for one in drafts])
    pairs = zip(drafts, heads, strict=True)
    rows = [_row(str(draft["id"]), head, zone) for draft, head in pairs if head is not None]
    fit = fitting(rows, MAX_PAGE_BYTES)
    left_out = rows[len(fit)].draft_id if len(fit) < len(rows) else None
    ids = [str(one["id"]) for one in drafts]
    return Drafts(
        account=client.account,
        zone=zone,
        items=fit,
        next_cursor=cursor_after(place, listed, ids, left_out),
        truncated=left_out is not None,
    )


async def get_draft(
    client: GmailClient, draft_id: str, *, offset: int = 0, max_chars: int = 8_000
) -> Draft:
    state, content = await _state(client, await client.draft(draft_id))
    body = reading.mail_body(content.text, offset, max_chars)
    return Draft(**state.model_dump(), **body.model_dump())


async def create_draft(
    client: GmailClient,
    files: FileStore,
    given: Given,
    *,
    reply_to_message_id: str | None,
    reply_all: bool,
) -> DraftState:
    answered, to, cc = None, given.to or [], given.cc or []
    if reply_to_message_id is not None:
        answered, to, cc = await replying.answering(
            client, reply_to_message_id, given.to, given.cc, reply_all=reply_all
        )
    letter = compose.Letter(
        to=addresses.recipients(to, "to"),
        cc=addresses.recipients(cc, "cc"),
        bcc=addresses.recipients(given.bcc or [], "bcc"),
        subject=replying.subject(given.subject, answered),
        markdown=given.body_markdown or "",
        files=await _files(files, given.attachment_ids or []),
    )
    message_id = compose.new_message_id(client.account)
    mail = _checked(compose.written(letter, message_id, answered))
    try:
        created = await client.create_draft(mail, answered.thread_id if answered else None)
    except OutcomeUnknown:
        # It has an id of our own: where it is found, it was made.
        found = await client.drafts_with(message_id)
        if not found:
            raise
        created = found[0]
    return await _after_writing(client, created)


async def update_draft(
    client: GmailClient, files: FileStore, draft_id: str, version: str, given: Given
) -> DraftState:
    state, _ = await _state(client, await client.draft(draft_id))
    check_version(state, version)
    change = compose.Change(
        to=None if given.to is None else addresses.recipients(given.to, "to"),
        cc=None if given.cc is None else addresses.recipients(given.cc, "cc"),
        bcc=None if given.bcc is None else addresses.recipients(given.bcc, "bcc"),
        subject=given.subject,
        markdown=given.body_markdown,
        files=None if given.attachment_ids is None else await _files(files, given.attachment_ids),
    )
    raw = await client.draft_raw(draft_id)
    mail = compose.changed(raw, change, compose.new_message_id(client.account))
    updated = await client.update_draft(draft_id, _checked(mail), state.thread_id)
    return await _after_writing(client, updated)


async def send_draft(
    client: GmailClient,
    draft_id: str,
    *,
    version: str,
    recipients: Sequence[str],
    subject: str,
    zone: str,
) -> SentMail:
    """Sends what was approved, and nothing else. Raises Conflict when the draft is another."""
    draft = await client.draft(draft_id)
    state = _described(client, draft, parts_of(draft["message"]), Content(""))
    check_sendable(draft["message"], state, version, recipients, subject)
    notes: list[str] = []
    try:
        sent = await client.send_draft(draft_id)
    except OutcomeUnknown:
        found = await _found_sent(client, draft["message"])
        if found is None:
            raise
        sent = found
        notes.append("Google's answer was lost; the mail was found among those sent.")
    return SentMail(
        account=client.account,
        message_id=str(sent["id"]),
        thread_id=str(sent["threadId"]),
        sent_at=datetime.now(ZoneInfo(zone)).isoformat(timespec="seconds"),
        recipients=state.recipients,
        notes=notes,
    )


async def draft_to_send(
    client: GmailClient, draft_id: str, version: str, recipients: Sequence[str], subject: str
) -> Draft:
    """The draft that `send_draft` would send with these arguments. Raises as that does."""
    draft = await client.draft(draft_id)
    state, content = await _state(client, draft)
    check_sendable(draft["message"], state, version, recipients, subject)
    body = reading.mail_body(content.text, 0, _PREVIEW_CHARS)
    return Draft(**state.model_dump(), **body.model_dump())


async def discard_draft(client: GmailClient, draft_id: str, version: str) -> Discarded:
    state, _ = await _state(client, await client.draft(draft_id))
    check_version(state, version)
    await client.delete_draft(draft_id)
    return Discarded(account=client.account, draft_id=draft_id)


async def _files(files: FileStore, attachment_ids: Sequence[str]) -> list[compose.File]:
    """Raises TooLarge before more is read than a mail may have."""
    stored = [await files.info(one) for one in attachment_ids]
    total = sum(one.size_bytes for one in stored)
    if total > MAX_FILES_BYTES:
        raise TooLarge(
            f"The attachments have {total:,} bytes together: Gmail sends {MAX_FILES_BYTES:,} at"
            " most. Leave some out, or share a link."
        )
    read: list[compose.File] = []
    for one in stored:
        async with aclosing(files.open(one.attachment_id)) as pieces:
            content = b"".join([piece async for piece in pieces])
        read.append(compose.File(one.name, one.mime, content))
    return read


def _checked(mail: bytes) -> bytes:
    if len(mail) > MAX_MAIL_BYTES:
        raise TooLarge(f"The mail has {len(mail):,} bytes: Gmail takes {MAX_MAIL_BYTES:,} at most.")
    return mail


async def _after_writing(client: GmailClient, written: Message) -> DraftState:
    """The draft as Gmail holds it now; it is written whether or not it can be read again."""
    draft_id = str(written["id"])
    try:
        state, _ = await _state(client, await client.draft(draft_id))
    except UpstreamError as error:
        return DraftState(
            account=client.account,
            draft_id=draft_id,
            message_id=str(written["message"]["id"]),
            thread_id=str(written["message"].get("threadId", "")),
            version=None,
            recipients=[],
            to=[],
            cc=[],
            bcc=[],
            untrusted_subject="",
            body_chars=0,
            attachments=[],
            notes=[f"The draft is written, but could not be read again ({error}): use get_draft."],
        )
    return state


async def _state(client: GmailClient, draft: Message) -> tuple[DraftState, Content]:
    parts = parts_of(draft["message"])
    content = await content_of(client, draft["message"], parts)
    return _described(client, draft, parts, content), content


def _described(
    client: GmailClient, draft: Message, parts: Sequence[Part], content: Content
) -> DraftState:
    message = draft["message"]
    to, cc, bcc = (addresses.bare(all_headers(message, name)) for name in ("to", "cc", "bcc"))
    return DraftState(
        account=client.account,
        draft_id=str(draft["id"]),
        message_id=str(message["id"]),
        thread_id=str(message["threadId"]),
        version=version_of(draft),
        recipients=list(dict.fromkeys([*to, *cc, *bcc])),
        to=to,
        cc=cc,
        bcc=bcc,
        untrusted_subject=header_text(headers_of(message).get("subject", "")),
        body_chars=len(content.text),
        attachments=[part.file for part in files_in(parts)][:_SHOWN_FILES],
        notes=list(content.notes),
    )


async def _found_sent(client: GmailClient, message: Message) -> Message | None:
    """The mail among those sent, after Google's answer was lost."""
    message_id = headers_of(message).get("message-id")
    return await client.sent_with(message_id) if message_id else None


def _row(draft_id: str, head: Message, zone: str) -> DraftRow:
    headers = headers_of(head)
    return DraftRow(
        draft_id=draft_id,
        thread_id=str(head["threadId"]),
        date=reading.date_of(head, zone),
        to=addresses.addresses_in(headers.get("to", ""))[:3],
        untrusted_subject=reading.subject_of(headers),
        untrusted_snippet=reading.snippet_of(head),
    )
