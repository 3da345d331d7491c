"""Raw mail into the parts that the Gmail API shows, and raw mail out of plain values."""

import base64
import html
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.utils import format_datetime, getaddresses, parseaddr
from typing import Any

File = tuple[str, str, bytes]
"""Of an attachment: its name, its media type, its content."""
_ADDRESS = re.compile(r"[^@\s<>,;:\"()]+@[^@\s<>,;:\"()]+\.[^@\s<>,;:\"()]+")
_SNIPPET_CHARS = 200


def written(
    *,
    sender: str,
    to: str,
    subject: str,
    text: str | None,
    html_text: str | None,
    files: Iterable[File],
    at: datetime,
    message_id: str,
    headers: Mapping[str, str],
) -> bytes:
    """Return a mail as it comes over the wire."""
    message = EmailMessage(policy=policy.SMTP)
    fields = {"From": sender, "To": to, "Subject": subject, "Date": format_datetime(at)}
    for name, value in {**fields, "Message-ID": message_id, **headers}.items():
        message[name] = value
    if text is not None or html_text is None:
        message.set_content(text or "")
    if html_text is not None:
        (message.add_alternative if text is not None else message.set_content)(
            html_text, subtype="html"
        )
    for name, kind, content in files:
        main, _, sub = kind.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return message.as_bytes()


def read(raw: bytes) -> Message:
    """Return a mail leniently: whatever arrives is shown."""
    return message_from_bytes(raw, policy=policy.compat32)


def header(message: Message, name: str) -> str:
    """Return one header as Gmail shows it, decoded; empty when there is none."""
    return _decoded(message.get(name, ""))


def addresses(message: Message, *names: str) -> list[str]:
    """Return the bare addresses in some headers."""
    values = [str(value) for name in names for value in message.get_all(name, [])]
    return [address for _, address in getaddresses(values) if address]


def is_address(text: str) -> bool:
    return _ADDRESS.fullmatch(parseaddr(text)[1] or text) is not None


def payload(message: Message, attachment_id: Callable[[str], str]) -> dict[str, Any]:
    """Return the parts of a mail; `attachment_id` gives the id for a part's id."""
    return _part(message, "", attachment_id)


def _part(message: Message, part_id: str, attachment_id: Callable[[str], str]) -> dict[str, Any]:
    filename = _decoded(message.get_filename() or "")
    part: dict[str, Any] = {
        "partId": part_id,
        "mimeType": message.get_content_type(),
        "filename": filename,
        "headers": headers(message),
        "body": {"size": 0},
    }
    inner = _inner(message)
    if inner:
        prefix = f"{part_id}." if part_id else ""
        part["parts"] = [
            _part(child, f"{prefix}{number}", attachment_id) for number, child in enumerate(inner)
        ]
    if not message.is_multipart() or message.get_content_type() == "message/rfc822":
        content = part_content(message)
        part["body"] = {"size": len(content)}
        if filename or message.get_content_maintype() != "text":
            part["body"]["attachmentId"] = attachment_id(part_id)
        elif content:
            part["body"]["data"] = encoded(content)
    return part


def _inner(message: Message) -> list[Message]:
    found = message.get_payload() if message.is_multipart() else []
    return [child for child in found if isinstance(child, Message)]


def part_at(message: Message, part_id: str) -> Message:
    """Return the part with this id."""
    for number in part_id.split(".") if part_id else ():
        message = _inner(message)[int(number)]
    return message


def part_content(message: Message) -> bytes:
    """Return a part's bytes without their transfer encoding; text in UTF-8, as Gmail gives it."""
    if message.is_multipart():
        return b"".join(child.as_bytes() for child in _inner(message))
    content = message.get_payload(decode=True)
    assert isinstance(content, bytes)
    if message.get_content_maintype() != "text" or message.get_filename():
        return content
    try:
        return content.decode(message.get_content_charset("utf-8")).encode()
    except (LookupError, UnicodeDecodeError):
        return content


def headers(message: Message) -> list[dict[str, str]]:
    return [{"name": name, "value": _decoded(value)} for name, value in message.items()]


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode()


def texts(message: Message) -> str:
    """Return what can be searched: the words of all its texts."""
    return " ".join(_texts(message))


def _texts(message: Message) -> list[str]:
    found: list[str] = []
    for part in message.walk():
        if part.get_content_maintype() == "text" and not part.get_filename():
            text = part_content(part).decode("utf-8", "replace")
            if part.get_content_subtype() == "html":
                text = html.unescape(re.sub(r"<[^>]*>", " ", text))
            found.append(text)
    return found


def snippet(message: Message) -> str:
    """Return the beginning of a mail, escaped for HTML as the API gives it."""
    flat = " ".join(next(iter(_texts(message)), "").split())
    return html.escape(flat[:_SNIPPET_CHARS], quote=True)


def filenames(message: Message) -> list[str]:
    return [_decoded(name) for part in message.walk() if (name := part.get_filename())]


def _decoded(value: object) -> str:
    try:
        return re.sub(r"\r?\n[ \t]*", " ", str(make_header(decode_header(str(value)))))
    except (LookupError, UnicodeError, ValueError):
        return str(value)
