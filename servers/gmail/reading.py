"""Gmail's answers as results of tools."""

import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from servers.gmail.addresses import addresses_in
from servers.gmail.budget import MAX_BODY_BYTES, cut, fitting
from servers.gmail.client import Message
from servers.gmail.content import Content
from servers.gmail.models import Address, FoundMail, Mail, MailBody, MailHead, ThreadMail
from servers.gmail.parts import Part, all_headers, files_in, headers_of, parts_of
from servers.gmail.texts import MAX_SUBJECT_CHARS, header_text, without_quotes
from servers.gmail.verdicts import authentication_in
from servers.kit.errors import InvalidInput
from servers.kit.foreign_text import Link, clean_text
from servers.kit.output import text_part

_FEW = 3
_MAX_PEOPLE_BYTES = 2_000
_MAX_FILES_BYTES = 4_500
_MAX_LINKS_BYTES = 4_500


def date_of(message: Message, zone: str) -> str:
    """When Gmail got it; the sender's own `Date` may say anything."""
    milliseconds = int(message.get("internalDate") or 0)
    at = datetime.fromtimestamp(milliseconds // 1000, UTC).astimezone(ZoneInfo(zone))
    return at.isoformat()


def subject_of(headers: Mapping[str, str]) -> str:
    return header_text(headers.get("subject", ""))[:MAX_SUBJECT_CHARS]


def label_names(labels: Sequence[Message]) -> dict[str, str]:
    """The names of labels, by their ids."""
    return {str(one["id"]): clean_text(str(one.get("name", "")), 225) for one in labels}


def labels_of(message: Message, names: Mapping[str, str]) -> list[str]:
    return sorted(names.get(one, one) for one in message.get("labelIds", ()))[:50]


def found_mail(message: Message, names: Mapping[str, str], zone: str) -> FoundMail:
    headers = headers_of(message)
    kind = parts_of(message)[0].mime
    return FoundMail(
        message_id=message["id"],
        thread_id=message["threadId"],
        date=date_of(message, zone),
        sender=next(iter(addresses_in(headers.get("from", ""))), None),
        to=addresses_in(headers.get("to", ""))[:_FEW],
        untrusted_subject=subject_of(headers),
        untrusted_snippet=snippet_of(message),
        labels=labels_of(message, names),
        is_unread="UNREAD" in message.get("labelIds", ()),
        has_attachments=kind == "multipart/mixed",
        size_bytes=int(message.get("sizeEstimate") or 0),
    )


def snippet_of(message: Message) -> str:
    return " ".join(clean_text(html.unescape(str(message.get("snippet", ""))), 250).split())


def mail_head(message: Message, names: Mapping[str, str], zone: str) -> MailHead:
    headers = headers_of(message)
    to = addresses_in(*all_headers(message, "to"))
    cc = addresses_in(*all_headers(message, "cc"))
    return MailHead(
        message_id=message["id"],
        thread_id=message["threadId"],
        date=date_of(message, zone),
        sender=next(iter(addresses_in(headers.get("from", ""))), None),
        reply_to=addresses_in(headers.get("reply-to", ""))[:_FEW],
        to=fitting(to, _MAX_PEOPLE_BYTES),
        cc=fitting(cc, _MAX_PEOPLE_BYTES),
        recipients_total=len(to) + len(cc),
        untrusted_subject=subject_of(headers),
        labels=labels_of(message, names),
    )


def mail_body(text: str, offset: int, max_chars: int) -> MailBody:
    """The piece of a text from `offset` on. Raises InvalidInput for one beyond its end."""
    piece = text_part(text, offset, max_chars).text
    shown = cut(piece, MAX_BODY_BYTES)
    end = offset + len(shown)
    return MailBody(
        untrusted_body=shown,
        body_offset=offset,
        body_total_chars=len(text),
        next_offset=end if end < len(text) else None,
    )


def whole_mail(
    head: MailHead,
    body: MailBody,
    content: Content,
    *,
    message: Message,
    parts: Sequence[Part],
    attachment_offset: int,
    account: str,
    zone: str,
) -> Mail:
    """Raises InvalidInput for an `attachment_offset` beyond the last one."""
    files = files_in(parts)
    if attachment_offset > len(files):
        raise InvalidInput(f"attachment_offset: this mail has {len(files)} attachments.")
    shown = fitting([one.file for one in files[attachment_offset:]][:50], _MAX_FILES_BYTES)
    after = attachment_offset + len(shown)
    return Mail(
        **head.model_dump(),
        **body.model_dump(),
        account=account,
        zone=zone,
        source=_source(head.sender),
        attachments=shown,
        attachments_total=len(files),
        next_attachment=after if after < len(files) else None,
        links=_foremost(content.links),
        links_total=len(content.links),
        auth_results=authentication_in(all_headers(message, "authentication-results")),
        notes=list(content.notes),
    )


def thread_mail(
    message: Message,
    content: Content,
    parts: Sequence[Part],
    *,
    max_chars: int,
    strip_quotes: bool,
    zone: str,
) -> ThreadMail:
    headers = headers_of(message)
    text = content.text[:200_000]
    shown = cut((without_quotes(text) if strip_quotes else text)[:max_chars], MAX_BODY_BYTES)
    files = files_in(parts)
    sender = next(iter(addresses_in(headers.get("from", ""))), None)
    return ThreadMail(
        message_id=message["id"],
        source=_source(sender),
        date=date_of(message, zone),
        sender=sender,
        to=addresses_in(headers.get("to", ""))[:_FEW],
        untrusted_body=shown,
        truncated=len(shown) < len(content.text),
        attachments=[one.file for one in files[:_FEW]],
        attachments_total=len(files),
    )


def _source(sender: Address | None) -> str:
    """Where foreign text came from, as an approval tells the owner what the chat has read."""
    # His address and not his name, which says whatever he likes.
    return f"mail from {sender.address}" if sender and sender.address else "mail from somebody"


def _foremost(links: Sequence[Link]) -> list[Link]:
    """Those that fit, with the misleading ones first: nobody must miss them."""
    ordered = sorted(links, key=lambda link: not link.is_misleading)
    return fitting(ordered[:20], _MAX_LINKS_BYTES)


def messages_in(answer: Message, name: str) -> list[dict[str, Any]]:
    return list(answer.get(name) or ())
