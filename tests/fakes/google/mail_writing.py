"""The methods of Gmail that change something: labels, drafts, sending."""

from collections.abc import Iterable
from email.message import Message
from email.utils import format_datetime
from typing import Any
from uuid import uuid4

from tests.fakes.google import mail_search, mime
from tests.fakes.google.calls import ApiCall, handles
from tests.fakes.google.discovery import read_bytes
from tests.fakes.google.mail_reading import (
    brief,
    label_shown,
    mailbox_of,
    own_label,
    page,
    reference,
    shown,
    thread_of,
)
from tests.fakes.google.mailbox import Mail, Mailbox, Sent
from tests.fakes.google.refusals import Refused, invalid, not_found

MAX_BATCH_IDS = 1_000
MAX_LABELS_AT_ONCE = 100
MAX_MAIL_BYTES = 36_700_160
_RECIPIENTS = ("To", "Cc", "Bcc")
_NO_MAIL = "'raw' RFC822 payload message string or uploading message via /upload/* URL required"


def _relabelled(call: ApiCall, box: Mailbox, mails: Iterable[Mail]) -> None:
    add, remove = call.body.get("addLabelIds") or [], call.body.get("removeLabelIds") or []
    if not add and not remove:
        raise invalid("No label add or removes specified")
    if max(len(add), len(remove)) > MAX_LABELS_AT_ONCE:
        raise invalid(f"No more than {MAX_LABELS_AT_ONCE} labels may be changed at once")
    for mail in mails:
        box.relabel(mail, add, remove)


@handles("gmail.users.messages.modify")
def _modify(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    mail = box.get(call["id"])
    _relabelled(call, box, [mail])
    return brief(mail)


@handles("gmail.users.threads.modify")
def _modify_thread(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    _relabelled(call, box, thread_of(box, call["id"]))
    return _thread(box, call["id"])


def _thread(box: Mailbox, thread_id: str) -> dict[str, Any]:
    return {"id": thread_id, "messages": [brief(mail) for mail in box.thread(thread_id)]}


@handles("gmail.users.messages.batchModify")
def _batch_modify(call: ApiCall) -> None:
    box = mailbox_of(call)
    _relabelled(call, box, [box.messages[one] for one in _ids(call) if one in box.messages])


def _ids(call: ApiCall) -> list[str]:
    ids = call.body.get("ids") or []
    if not 0 < len(ids) <= MAX_BATCH_IDS:
        raise invalid(f"Between 1 and {MAX_BATCH_IDS} message ids must be given")
    return ids


@handles("gmail.users.messages.batchDelete")
def _batch_delete(call: ApiCall) -> None:
    box = mailbox_of(call)
    for message_id in _ids(call):
        if message_id in box.messages:
            box.remove(box.messages[message_id])


@handles("gmail.users.messages.delete")
def _delete(call: ApiCall) -> None:
    box = mailbox_of(call)
    box.remove(box.get(call["id"]))


@handles("gmail.users.messages.trash", "gmail.users.messages.untrash")
def _trash(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    mail = box.get(call["id"])
    _move(call, box, mail)
    return brief(mail)


@handles("gmail.users.threads.trash", "gmail.users.threads.untrash")
def _trash_thread(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    for mail in thread_of(box, call["id"]):
        _move(call, box, mail)
    return _thread(box, call["id"])


def _move(call: ApiCall, box: Mailbox, mail: Mail) -> None:
    is_back = call.method.endswith(".untrash")
    box.relabel(mail, [] if is_back else ["TRASH"], ["TRASH"] if is_back else [])


@handles("gmail.users.labels.create")
def _create_label(call: ApiCall) -> dict[str, Any]:
    return label_shown(mailbox_of(call).add_label(call.body.get("name", ""), _look(call)))


@handles("gmail.users.labels.patch", "gmail.users.labels.update")
def _update_label(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    label = own_label(box, call["id"])
    if "name" in call.body or call.method.endswith(".update"):
        box.rename_label(label, call.body.get("name", ""))
    label.shown |= _look(call)
    return label_shown(label)


def _look(call: ApiCall) -> dict[str, Any]:
    looks = ("messageListVisibility", "labelListVisibility", "color")
    return {name: call.body[name] for name in looks if name in call.body}


@handles("gmail.users.labels.delete")
def _delete_label(call: ApiCall) -> None:
    box = mailbox_of(call)
    label = own_label(box, call["id"])
    del box.labels[label.id]
    for mail in box.messages.values():
        mail.labels -= {label.id}


def _given(call: ApiCall, message: dict[str, Any]) -> bytes:
    """Return the mail that a request brings. Raises Refused."""
    raw = call.media
    if raw is None:
        raw = read_bytes("raw", message.get("raw") or "")
    if not raw:
        raise invalid(_NO_MAIL)
    if len(raw) > MAX_MAIL_BYTES:
        raise Refused(413, "Message exceeded the maximum size.", "uploadTooLarge")
    return raw


@handles("gmail.users.drafts.create")
def _create_draft(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    draft_id = f"r{uuid4().int % 10**18}"
    return _kept(call, box, draft_id, call.body.get("message") or {}, None)


@handles("gmail.users.drafts.update")
def _update_draft(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    old = _draft(box, call["id"])
    return _kept(call, box, call["id"], call.body.get("message") or {}, old)


def _kept(
    call: ApiCall, box: Mailbox, draft_id: str, message: dict[str, Any], old: Mail | None
) -> dict[str, Any]:
    raw = _given(call, message)
    mail = _added(box, raw, "DRAFT", message.get("threadId"), old)
    if old is not None:
        box.remove(old)
    box.drafts[draft_id] = mail.id
    return {"id": draft_id, "message": brief(mail)}


def _added(
    box: Mailbox, raw: bytes, label: str, thread_id: str | None, old: Mail | None = None
) -> Mail:
    """Keep a mail of one's own; it joins only the thread that it names and answers."""
    if thread_id is not None:
        thread_of(box, thread_id)
    mail = box.add(raw, [label], thread_id=thread_id, joins_any=False)
    if old is not None and thread_id in (None, old.thread_id):
        mail.thread_id = old.thread_id
    return mail


def _draft(box: Mailbox, draft_id: str) -> Mail:
    if draft_id not in box.drafts:
        raise not_found()
    return box.messages[box.drafts[draft_id]]


@handles("gmail.users.drafts.get")
def _get_draft(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    return {"id": call["id"], "message": shown(box, _draft(box, call["id"]), call["format"])}


@handles("gmail.users.drafts.list")
def _list_drafts(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    by_mail = {message_id: draft_id for draft_id, message_id in box.drafts.items()}
    matches = mail_search.compiled(call["q"] or "", box)
    found = [mail for mail in box.newest() if mail.id in by_mail and matches(mail)]
    mails, more = page(call, found)
    answer: dict[str, Any] = {**more, "resultSizeEstimate": len(found)}
    drafts = [{"id": by_mail[mail.id], "message": reference(mail)} for mail in mails]
    return {"drafts": drafts, **answer} if drafts else answer


@handles("gmail.users.drafts.delete")
def _delete_draft(call: ApiCall) -> None:
    box = mailbox_of(call)
    box.remove(_draft(box, call["id"]))
    del box.drafts[call["id"]]


@handles("gmail.users.drafts.send")
def _send_draft(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    draft_id = call.body.get("id") or ""
    old = _draft(box, draft_id)
    message = call.body.get("message") or {}
    is_changed = call.media is not None or bool(message.get("raw"))
    raw = _given(call, message) if is_changed else old.raw
    sent = _sent(call, box, raw, message.get("threadId"), old)
    box.remove(old)
    del box.drafts[draft_id]
    return brief(sent)


@handles("gmail.users.messages.send")
def _send(call: ApiCall) -> dict[str, Any]:
    return brief(_sent(call, mailbox_of(call), _given(call, call.body), call.body.get("threadId")))


def _sent(
    call: ApiCall, box: Mailbox, raw: bytes, thread_id: str | None, old: Mail | None = None
) -> Mail:
    message = mime.read(raw)
    recipients = _recipients(message)
    _complete(box, message)
    own = message.as_bytes()
    mail = _added(box, own, "SENT", thread_id, old)
    del message["Bcc"]
    out = message.as_bytes()
    call.google.sent.append(Sent(box.email, recipients, out, mail.id, mail.thread_id))
    for recipient in dict.fromkeys(recipients):
        if recipient == box.email:
            box.relabel(mail, ["INBOX", "UNREAD"], [])
        elif recipient in call.google.people:
            call.google.people[recipient].mail.receive_raw(out)
    return mail


def _recipients(message: Message) -> list[str]:
    for name in _RECIPIENTS:
        wrong = [one for one in mime.addresses(message, name) if not mime.is_address(one)]
        if wrong or (message.get(name, "").strip() and not mime.addresses(message, name)):
            raise invalid(f"Invalid {name} header")
    found = mime.addresses(message, *_RECIPIENTS)
    if not found:
        raise invalid("Recipient address required")
    return [address.lower() for address in found]


def _complete(box: Mailbox, message: Message) -> None:
    """Write what Gmail writes into the header of a mail that it sends."""
    if mime.addresses(message, "From") != [box.email]:
        del message["From"]
        message["From"] = box.email
    if "Date" not in message:
        message["Date"] = format_datetime(box.now())
    if "Message-ID" not in message or not box.keeps_message_ids:
        del message["Message-ID"]
        message["Message-ID"] = f"<CA{uuid4().hex}@mail.gmail.com>"


@handles("gmail.users.messages.insert", "gmail.users.messages.import")
def _insert(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    mail = box.add(_given(call, call.body), call.body.get("labelIds") or [])
    return brief(mail)
