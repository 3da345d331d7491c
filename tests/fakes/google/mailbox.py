"""The mail of one person: messages, threads, labels and drafts, as Gmail keeps them."""

import itertools
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.fakes.google import mime
from tests.fakes.google.refusals import Refused, invalid, not_found

if TYPE_CHECKING:
    from tests.fakes.google.server import FakeGoogle

SYSTEM_LABELS = (
    *("CHAT", "SENT", "INBOX", "IMPORTANT", "TRASH", "DRAFT", "SPAM", "STARRED", "UNREAD"),
    *("CATEGORY_FORUMS", "CATEGORY_UPDATES", "CATEGORY_PERSONAL"),
    *("CATEGORY_PROMOTIONS", "CATEGORY_SOCIAL"),
)
_FIXED_LABELS = frozenset({"SENT", "DRAFT", "CHAT"})
_ids = itertools.count(0x19AB_0000_0000_0001, 0x1_0003)


@dataclass(eq=False)
class Mail:
    """One message. A changed draft is another message."""

    id: str
    thread_id: str
    raw: bytes
    labels: set[str]
    at: datetime
    history_id: int = 0

    @cached_property
    def message(self) -> Message:
        return mime.read(self.raw)

    @property
    def subject(self) -> str:
        return mime.header(self.message, "Subject")

    @property
    def text(self) -> str:
        """All that can be read in it."""
        return mime.texts(self.message)


@dataclass(frozen=True)
class Sent:
    """A mail that went out: `raw` is what the recipients got, without Bcc."""

    account: str
    recipients: list[str]
    raw: bytes
    id: str
    thread_id: str

    @property
    def subject(self) -> str:
        return mime.header(mime.read(self.raw), "Subject")

    @property
    def text(self) -> str:
        return mime.texts(mime.read(self.raw))

    @property
    def files(self) -> list[tuple[str, bytes]]:
        """The name and the content of each attachment."""
        parts = [part for part in mime.read(self.raw).walk() if part.get_filename()]
        return [(str(part.get_filename()), mime.part_content(part)) for part in parts]


@dataclass
class Label:
    """A label that a person made."""

    id: str
    name: str
    shown: dict[str, Any] = field(default_factory=dict)


class Mailbox:
    """The mail of one account. The methods without underscore may be called by tests."""

    def __init__(self, email: str, google: "FakeGoogle") -> None:
        self.email = email
        self._google = google
        self.messages: dict[str, Mail] = {}
        self.drafts: dict[str, str] = {}
        """The id of a draft's message now, by the draft's id."""
        self.labels: dict[str, Label] = {}
        self.history: list[dict[str, Any]] = []
        self.history_id = 1_000
        self.keeps_message_ids = True
        """Whether a mail is sent under the Message-ID it was given."""
        self.is_inbox_lost_in_trash = True
        """Whether a mail that was in the trash is in the inbox no more when it comes back."""
        self._attachments: dict[str, tuple[str, str]] = {}

    def now(self) -> datetime:
        return self._google.now()

    # For tests

    def receive(
        self,
        sender: str = "Bo <bo@example.org>",
        subject: str = "Hello",
        text: str | None = None,
        html: str | None = None,
        files: Iterable[mime.File] = (),
        at: datetime | None = None,
        *,
        to: str | None = None,
        labels: Iterable[str] = ("INBOX", "UNREAD"),
        reply_to: Mail | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Mail:
        """Put a mail into the inbox; `reply_to` is a mail in this mailbox that it answers."""
        at = at or self.now()
        more = dict(headers or {})
        if reply_to is not None:
            answered = mime.header(reply_to.message, "Message-ID")
            more |= {"In-Reply-To": answered, "References": answered}
        message_id = more.pop("Message-ID", f"<{secrets.token_hex(8)}@mail.example.org>")
        raw = mime.written(
            sender=sender,
            to=to or self.email,
            subject=subject,
            text=text,
            html_text=html,
            files=files,
            at=at,
            message_id=message_id,
            headers=more,
        )
        return self.receive_raw(raw, at=at, labels=labels)

    def receive_raw(
        self, raw: bytes, at: datetime | None = None, labels: Iterable[str] = ("INBOX", "UNREAD")
    ) -> Mail:
        """Put a mail into the inbox just as it is, however broken."""
        with self._google.lock:
            return self.add(raw, labels, at=at)

    def label(self, name: str) -> str:
        """Return the id of a person's own label, which is made when there is none."""
        with self._google.lock:
            for label in self.labels.values():
                if label.name == name:
                    return label.id
            return self.add_label(name).id

    def in_label(self, label: str = "INBOX") -> list[Mail]:
        """Return the mails that have a label, newest first."""
        return [mail for mail in self.newest() if label in mail.labels]

    def thread(self, thread_id: str) -> list[Mail]:
        """Return the mails of a thread, oldest first."""
        return [mail for mail in reversed(self.newest()) if mail.thread_id == thread_id]

    def draft_mails(self) -> list[Mail]:
        """Return the messages of all drafts."""
        return [self.messages[message_id] for message_id in self.drafts.values()]

    def forget_attachment_ids(self) -> None:
        """Let no attachment id that was given out be good any more."""
        self._attachments.clear()

    # For the methods of the API

    def newest(self) -> list[Mail]:
        return sorted(self.messages.values(), key=lambda mail: (mail.at, mail.id), reverse=True)

    def get(self, message_id: str) -> Mail:
        """Return a message. Raises Refused."""
        if not re.fullmatch(r"[0-9a-f]{1,16}", message_id):
            raise invalid("Invalid id value")
        if message_id not in self.messages:
            raise not_found()
        return self.messages[message_id]

    def add(
        self,
        raw: bytes,
        labels: Iterable[str],
        *,
        thread_id: str | None = None,
        at: datetime | None = None,
        joins_any: bool = True,
    ) -> Mail:
        """Keep a message; it joins the thread that it answers, only `thread_id` if not any."""
        new_id = f"{next(_ids):016x}"
        mail = Mail(new_id, new_id, raw, set(labels), (at or self.now()).astimezone(UTC))
        mail.thread_id = self._joined(mail, thread_id, joins_any=joins_any) or new_id
        self.messages[new_id] = mail
        self._changed(mail, "messagesAdded")
        return mail

    def _joined(self, mail: Mail, thread_id: str | None, *, joins_any: bool) -> str | None:
        if thread_id is None and not joins_any:
            return None
        said = (
            f"{mime.header(mail.message, 'References')} {mime.header(mail.message, 'In-Reply-To')}"
        )
        for other in self.newest():
            known = mime.header(other.message, "Message-ID")
            is_asked = thread_id in (None, other.thread_id)
            if is_asked and known and known in said and _topic(other) == _topic(mail):
                return other.thread_id
        return None

    def remove(self, mail: Mail) -> None:
        del self.messages[mail.id]
        self._changed(mail, "messagesDeleted")

    def relabel(self, mail: Mail, add: Iterable[str], remove: Iterable[str]) -> None:
        """Change what labels a message has. Raises Refused."""
        add, remove = set(add), set(remove)
        for label in add | remove:
            self.check_label(label)
            if label in _FIXED_LABELS:
                raise invalid(f"Invalid label: {label}")
        if add & remove:
            raise invalid("Cannot both add and remove the same label")
        if self.is_inbox_lost_in_trash and add & {"TRASH", "SPAM"}:
            remove |= {"INBOX"}
        for kind, changed in (
            ("labelsAdded", add - mail.labels),
            ("labelsRemoved", remove & mail.labels),
        ):
            if changed:
                mail.labels = (
                    mail.labels | changed if kind == "labelsAdded" else mail.labels - changed
                )
                self._changed(mail, kind, sorted(changed))

    def check_label(self, label: str) -> None:
        if label not in SYSTEM_LABELS and label not in self.labels:
            raise invalid(f"Invalid label: {label}")

    def add_label(self, name: str, shown: dict[str, Any] | None = None) -> Label:
        """Make a label. Raises Refused."""
        self._check_name(name)
        number = 1 + max((int(one.removeprefix("Label_")) for one in self.labels), default=0)
        label = Label(f"Label_{number}", name, shown or {})
        self.labels[label.id] = label
        return label

    def rename_label(self, label: Label, name: str) -> None:
        """Give a label another name. Raises Refused."""
        if name != label.name:
            self._check_name(name, label)
        label.name = name

    def _check_name(self, name: str, label: Label | None = None) -> None:
        taken = {one.name.lower() for one in self.labels.values() if one is not label}
        if not name.strip() or len(name) > 225 or name.upper() in SYSTEM_LABELS:
            raise invalid("Invalid label name")
        if name.lower() in taken:
            raise Refused(409, "Label name exists or conflicts", "aborted")

    def searched_label(self, name: str) -> str:
        """Return the id of the label that a search names."""
        for label in self.labels.values():
            if re.sub(r"[ /]", "-", label.name.lower()) == re.sub(r"[ /]", "-", name.lower()):
                return label.id
        return name.upper() if name.upper() in SYSTEM_LABELS else name

    def attachment_id(self, mail: Mail) -> Callable[[str], str]:
        """Return what gives the ids for this reading of a message: always others."""

        def new(part_id: str) -> str:
            given = f"ANGjdJ{secrets.token_urlsafe(48)}"
            self._attachments[given] = (mail.id, part_id)
            return given

        return new

    def attachment(self, mail: Mail, attachment_id: str) -> bytes:
        """Return the bytes of an attachment. Raises Refused."""
        message_id, part_id = self._attachments.get(attachment_id, ("", ""))
        if message_id != mail.id:
            raise invalid("Invalid attachment token")
        return mime.part_content(mime.part_at(mail.message, part_id))

    def _changed(self, mail: Mail, kind: str, labels: list[str] | None = None) -> None:
        self.history_id += 17
        mail.history_id = self.history_id
        message: dict[str, Any] = {"id": mail.id, "threadId": mail.thread_id}
        entry: dict[str, Any] = {"message": {**message, "labelIds": sorted(mail.labels)}}
        if labels is not None:
            entry["labelIds"] = labels
        self.history.append({"id": str(self.history_id), "messages": [message], kind: [entry]})


def _topic(mail: Mail) -> str:
    return re.sub(
        r"^((re|fwd?|aw|wg)\s*:\s*)+", "", mail.subject.strip(), flags=re.IGNORECASE
    ).lower()
