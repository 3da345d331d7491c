"""Mails that go out: MIME from plain values, and drafts changed without losing their files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import make_msgid
from functools import cache
from typing import TYPE_CHECKING

from servers.kit.errors import InvalidInput

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

MAX_REFERENCES = 20
_SMTP = policy.SMTP.clone(max_line_length=998, refold_source="none")


@dataclass(frozen=True, slots=True)
class File:
    name: str
    mime: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a mail has to say to stand in the thread of the one it answers (RFC 5322, 3.6.4)."""

    thread_id: str
    message_id: str
    references: str
    subject: str


@dataclass(frozen=True, slots=True)
class Letter:
    """The content of a mail; addresses in the form of a header."""

    to: Sequence[str]
    cc: Sequence[str]
    bcc: Sequence[str]
    subject: str
    markdown: str
    files: Sequence[File]


def new_message_id(account: str) -> str:
    """An id of our own, by which a mail can be found again when its answer was lost."""
    return make_msgid(domain=account.rpartition("@")[2])


def written(letter: Letter, message_id: str, answered: Answered | None) -> bytes:
    """The mail as it is uploaded. Raises InvalidInput for a subject with line ends."""
    message = EmailMessage(policy=policy.SMTP)
    _address(message, letter.to, letter.cc, letter.bcc)
    _set(message, "Subject", letter.subject)
    _set(message, "Message-ID", message_id)
    if answered is not None and answered.message_id:
        _set(message, "In-Reply-To", answered.message_id)
        _set(message, "References", references(answered))
    _write_body(message, letter.markdown)
    _attach(message, letter.files)
    return message.as_bytes()


def references(answered: Answered) -> str:
    """The ids of the thread; of a long one the first, for the thread, and the last."""
    ids = [*answered.references.split(), answered.message_id]
    kept = ids if len(ids) <= MAX_REFERENCES else [ids[0], *ids[1 - MAX_REFERENCES :]]
    return " ".join(dict.fromkeys(kept))


def reply_subject(subject: str) -> str:
    """The subject under which Gmail keeps an answer in its thread."""
    return subject if subject[:3].lower() == "re:" else f"Re: {subject}".strip()


@dataclass(frozen=True, slots=True)
class Change:
    """What of a draft becomes different; None for what stays."""

    to: Sequence[str] | None
    cc: Sequence[str] | None
    bcc: Sequence[str] | None
    subject: str | None
    markdown: str | None
    files: Sequence[File] | None


def changed(raw: bytes, change: Change, message_id: str) -> bytes:
    """The draft with the change; its other headers, its text and its files stay as they are.

    Raises InvalidInput.
    """
    message = message_from_bytes(raw, _class=EmailMessage, policy=_SMTP)
    if change.markdown is not None or change.files is not None:
        _rebuild(message, change)
    given = ("To", change.to), ("Cc", change.cc), ("Bcc", change.bcc)
    for name, addresses in given:
        if addresses is not None:
            _set(message, name, ", ".join(addresses))
    if change.subject is not None:
        _set(message, "Subject", change.subject)
    _set(message, "Message-ID", message_id)
    return message.as_bytes(policy=_SMTP)


def _rebuild(message: EmailMessage, change: Change) -> None:
    files = change.files if change.files is not None else list(_files_of(message))
    if change.markdown is not None:
        message.clear_content()
        _write_body(message, change.markdown)
    else:
        plain, html = _text_of(message, "plain"), _text_of(message, "html")
        message.clear_content()
        message.set_content(plain if plain is not None or html is None else html)
        if html is not None and plain is not None:
            message.add_alternative(html, subtype="html")
    _attach(message, files)


def _write_body(message: EmailMessage, markdown: str) -> None:
    text = markdown.strip() + "\n"
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(_markdown().render(text), subtype="html", cte="quoted-printable")


@cache
def _markdown() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # noqa: PLC0415

    # Raw HTML stays text, and pictures links: in either a model could hide something from whoever
    # approves, or make the reader's program call an address.
    options = {"html": False, "breaks": True}
    return MarkdownIt("commonmark", options).enable(["table"]).disable(["image"])


def _attach(message: EmailMessage, files: Iterable[File]) -> None:
    for file in files:
        main, _, sub = file.mime.partition("/")
        if main in ("message", "multipart"):
            # Python would parse it, and write what it understood.
            main, sub = "application", "octet-stream"
        message.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name)


def _files_of(message: EmailMessage) -> Iterable[File]:
    for part in message.iter_attachments():
        content = part.get_payload(decode=True)
        data = content if isinstance(content, bytes) else part.as_bytes()
        yield File(part.get_filename() or "attachment", part.get_content_type(), data)


def _text_of(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    return str(part.get_content()) if part is not None else None


def _address(
    message: EmailMessage, to: Sequence[str], cc: Sequence[str], bcc: Sequence[str]
) -> None:
    for name, addresses in (("To", to), ("Cc", cc), ("Bcc", bcc)):
        _set(message, name, ", ".join(addresses))


def _set(message: EmailMessage, name: str, value: str) -> None:
    """One header of that name, none when the value is empty. Raises InvalidInput."""
    del message[name]
    if len(value.splitlines()) > 1:
        raise InvalidInput(f"{name.lower()} has a line end in it: write it on one line.")
    if value:
        message[name] = value
