"""A mail as Gmail's API shows it: a tree of parts, read without recursion."""

import base64
import binascii
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any, Literal, cast

from servers.gmail.models import MailFile
from servers.gmail.texts import header_text
from servers.kit.files.stored import clean_mime, clean_name

MAX_PARTS = 5_000
_TEXTS: Mapping[str, Literal["plain", "html"]] = {"text/plain": "plain", "text/html": "html"}


@dataclass(frozen=True, slots=True)
class Part:
    """One part, without what is in it."""

    part_id: str
    mime: str
    filename: str
    charset: str | None
    is_attached: bool
    size_bytes: int
    attachment_id: str | None
    """Good for this reading only: Gmail gives another one each time."""
    data: str | None
    """Its bytes in base64url, where Gmail sends them along."""
    is_enclosed: bool
    """Whether it belongs to a mail that is attached as a whole."""

    @property
    def is_file(self) -> bool:
        """Whether a reader sees it as an attachment; pictures within the text are some too."""
        if self.mime.startswith("multipart/"):
            return False
        return bool(self.filename) or self.is_attached or not self.mime.startswith("text/")

    @property
    def file(self) -> MailFile:
        name = clean_name(self.filename) if self.filename else _unnamed(self.mime)
        return MailFile(
            part_id=self.part_id,
            untrusted_name=name[:120],
            mime=clean_mime(self.mime, name),
            size_bytes=self.size_bytes,
        )

    def content(self) -> bytes:
        """What Gmail sent along; nothing where it did not."""
        return decoded_base64(self.data or "")


def headers_of(message: Mapping[str, Any]) -> dict[str, str]:
    """The first header of each name, by the name in lower case."""
    found: dict[str, str] = {}
    for header in _headers(message.get("payload") or {}):
        found.setdefault(header[0], header[1])
    return found


def all_headers(message: Mapping[str, Any], name: str) -> list[str]:
    return [value for key, value in _headers(message.get("payload") or {}) if key == name]


def parts_of(message: Mapping[str, Any]) -> list[Part]:
    """All parts in their order, the whole mail first."""
    return list(_walked(message.get("payload") or {}))


def files_in(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if part.is_file]


def body_in(parts: Sequence[Part]) -> tuple[Part | None, Literal["plain", "html"]]:
    """The part to read: plain text if there is any, else HTML; not that of an enclosed mail."""
    best: dict[str, Part] = {}
    for part in parts:
        kind = _TEXTS.get(part.mime)
        if kind is None or part.is_file or part.is_enclosed:
            continue
        # Of several texts, as mailing lists append theirs, the first that says something.
        known = best.get(kind)
        if known is None or not known.size_bytes:
            best[kind] = part
    if "plain" in best and (best["plain"].size_bytes or "html" not in best):
        return best["plain"], "plain"
    return best.get("html"), "html"


def html_in(parts: Sequence[Part]) -> Part | None:
    """The first HTML text, also beside a plain one."""
    texts = (part for part in parts if part.mime == "text/html")
    return next((part for part in texts if not part.is_file and not part.is_enclosed), None)


def decoded_base64(data: str) -> bytes:
    """Never fails: what is broken at the end is left out."""
    text = data.encode("ascii", "ignore")
    try:
        return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return base64.urlsafe_b64decode(text[: len(text) // 4 * 4])


def _walked(payload: Mapping[str, Any]) -> Generator[Part]:
    waiting: list[tuple[Mapping[str, Any], bool]] = [(payload, False)]
    for _ in range(MAX_PARTS):
        if not waiting:
            return
        raw, is_enclosed = waiting.pop()
        part = _part(raw, is_enclosed)
        yield part
        inner = cast("list[Mapping[str, Any]]", raw.get("parts") or [])
        within_mail = is_enclosed or part.mime.startswith("message/")
        waiting.extend((child, within_mail) for child in reversed(inner))


def _part(raw: Mapping[str, Any], is_enclosed: bool) -> Part:
    body = cast("Mapping[str, Any]", raw.get("body") or {})
    head = Message()
    for name, value in _headers(raw):
        if name in ("content-type", "content-disposition") and name not in head:
            # Gmail shows headers as they came, with their folds, but for encoded words.
            head[name] = " ".join(value.splitlines()).encode("ascii", "replace").decode("ascii")
    filename = str(raw.get("filename") or "") or (head.get_filename() or "")
    return Part(
        part_id=str(raw.get("partId") or ""),
        mime=str(raw.get("mimeType") or "text/plain").lower(),
        filename=header_text(filename),
        charset=str(head.get_param("charset") or "") or None,
        is_attached=head.get_content_disposition() == "attachment",
        size_bytes=int(body.get("size") or 0),
        attachment_id=body.get("attachmentId"),
        data=body.get("data"),
        is_enclosed=is_enclosed,
    )


def _headers(part: Mapping[str, Any]) -> list[tuple[str, str]]:
    headers = cast("list[Mapping[str, Any]]", part.get("headers") or [])
    return [(str(one.get("name", "")).lower(), str(one.get("value", ""))) for one in headers]


def _unnamed(mime: str) -> str:
    return "mail.eml" if mime == "message/rfc822" else "attachment"
