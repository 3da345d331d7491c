"""The methods of Gmail that read: messages, threads, attachments, labels, history."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from tests.fakes.google import mail_search, mime
from tests.fakes.google.calls import ApiCall, handles
from tests.fakes.google.mailbox import SYSTEM_LABELS, Label, Mail, Mailbox
from tests.fakes.google.refusals import Refused, invalid, not_found

_MOST_RESULTS = 500
Item = TypeVar("Item")


def mailbox_of(call: ApiCall) -> Mailbox:
    """Return the mailbox that is asked for. Raises Refused."""
    if call["userId"] not in ("me", call.person.email):
        raise Refused(403, f"Delegation denied for {call.person.email}")
    return call.person.mail


def page(call: ApiCall, found: Sequence[Item]) -> tuple[Sequence[Item], dict[str, Any]]:
    """Return one page of what was found, and the fields that say what follows."""
    token = call["pageToken"] or "0"
    if not token.isdecimal() or int(token) > len(found):
        raise invalid("Invalid pageToken")
    start = int(token)
    end = start + max(1, min(call["maxResults"] or 100, _MOST_RESULTS))
    return found[start:end], {"nextPageToken": str(end)} if end < len(found) else {}


def reference(mail: Mail) -> dict[str, Any]:
    return {"id": mail.id, "threadId": mail.thread_id}


def brief(mail: Mail) -> dict[str, Any]:
    """Return what a changing method says of a message."""
    return {**reference(mail), "labelIds": sorted(mail.labels)}


def shown(box: Mailbox, mail: Mail, form: str, names: Iterable[str] = ()) -> dict[str, Any]:
    """Return a message in one of the API's formats."""
    resource = {
        **brief(mail),
        "snippet": mime.snippet(mail.message),
        "historyId": str(mail.history_id),
        "internalDate": str(int(mail.at.timestamp() * 1000)),
        "sizeEstimate": len(mail.raw),
    }
    if form == "raw":
        return {**resource, "raw": mime.encoded(mail.raw)}
    if form == "full":
        return {**resource, "payload": mime.payload(mail.message, box.attachment_id(mail))}
    if form == "metadata":
        wanted = {name.lower() for name in names}
        listed = mime.headers(mail.message)
        kept = [one for one in listed if not wanted or one["name"].lower() in wanted]
        kind = mail.message.get_content_type()
        return {**resource, "payload": {"mimeType": kind, "headers": kept}}
    return resource


def _found(call: ApiCall, box: Mailbox) -> list[Mail]:
    query = call["q"] or ""
    matches = mail_search.compiled(query, box)
    for label in call["labelIds"] or ():
        box.check_label(label)
    wanted = set(call["labelIds"] or ())
    hidden = {"TRASH", "SPAM"} - wanted
    if call["includeSpamTrash"] or mail_search.names_hidden_places(query):
        hidden = set()
    return [
        mail
        for mail in box.newest()
        if wanted <= mail.labels and not hidden & mail.labels and matches(mail)
    ]


@handles("gmail.users.getProfile")
def _profile(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    return {
        "emailAddress": box.email,
        "messagesTotal": len(box.messages),
        "threadsTotal": len({mail.thread_id for mail in box.messages.values()}),
        "historyId": str(box.history_id),
    }


@handles("gmail.users.messages.list")
def _list_messages(call: ApiCall) -> dict[str, Any]:
    found = _found(call, mailbox_of(call))
    mails, more = page(call, found)
    answer: dict[str, Any] = {**more, "resultSizeEstimate": len(found)}
    # Without a result there is no list either.
    return {"messages": [reference(mail) for mail in mails], **answer} if mails else answer


@handles("gmail.users.messages.get")
def _get_message(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    return shown(box, box.get(call["id"]), call["format"], call["metadataHeaders"])


@handles("gmail.users.messages.attachments.get")
def _get_attachment(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    content = box.attachment(box.get(call["messageId"]), call["id"])
    return {"size": len(content), "data": mime.encoded(content)}


@handles("gmail.users.threads.list")
def _list_threads(call: ApiCall) -> dict[str, Any]:
    first: dict[str, Mail] = {}
    for mail in _found(call, mailbox_of(call)):
        first.setdefault(mail.thread_id, mail)
    mails, more = page(call, list(first.values()))
    answer: dict[str, Any] = {**more, "resultSizeEstimate": len(first)}
    threads = [
        {
            "id": mail.thread_id,
            "snippet": mime.snippet(mail.message),
            "historyId": str(mail.history_id),
        }
        for mail in mails
    ]
    return {"threads": threads, **answer} if threads else answer


@handles("gmail.users.threads.get")
def _get_thread(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    mails = thread_of(box, call["id"])
    names = call["metadataHeaders"]
    return {
        "id": call["id"],
        "historyId": str(max(mail.history_id for mail in mails)),
        "messages": [shown(box, mail, call["format"], names) for mail in mails],
    }


def thread_of(box: Mailbox, thread_id: str) -> list[Mail]:
    """Return the mails of a thread, oldest first. Raises Refused."""
    mails = box.thread(thread_id)
    if not mails:
        box.get(thread_id)  # which says what is wrong with the id
        raise not_found()
    return mails


@handles("gmail.users.labels.list")
def _list_labels(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    system = [{"id": name, "name": name, "type": "system"} for name in SYSTEM_LABELS]
    return {"labels": [*system, *(label_shown(label) for label in box.labels.values())]}


@handles("gmail.users.labels.get")
def _get_label(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    name = call["id"]
    if name in SYSTEM_LABELS:
        resource: dict[str, Any] = {"id": name, "name": name, "type": "system"}
    else:
        resource = label_shown(own_label(box, name))
    mails = [mail for mail in box.messages.values() if name in mail.labels]
    unread = [mail for mail in mails if "UNREAD" in mail.labels]
    return {
        **resource,
        "messagesTotal": len(mails),
        "messagesUnread": len(unread),
        "threadsTotal": len({mail.thread_id for mail in mails}),
        "threadsUnread": len({mail.thread_id for mail in unread}),
    }


def own_label(box: Mailbox, label_id: str) -> Label:
    """Return a label that the person made. Raises Refused."""
    if label_id in SYSTEM_LABELS:
        raise invalid(f"Invalid label: {label_id}", "invalidArgument")
    if label_id not in box.labels:
        raise not_found()
    return box.labels[label_id]


def label_shown(label: Label) -> dict[str, Any]:
    return {**label.shown, "id": label.id, "name": label.name, "type": "user"}


@handles("gmail.users.history.list")
def _history(call: ApiCall) -> dict[str, Any]:
    box = mailbox_of(call)
    if call["startHistoryId"] is None:
        raise invalid("Missing/Invalid startHistoryId")
    start = int(call["startHistoryId"])
    if start < 1_000:
        raise not_found()
    found = [one for one in box.history if int(one["id"]) > start and _is_asked(call, one)]
    records, more = page(call, found)
    answer: dict[str, Any] = {**more, "historyId": str(box.history_id)}
    return {"history": list(records), **answer} if records else answer


def _is_asked(call: ApiCall, record: dict[str, Any]) -> bool:
    names = {"messageAdded": "messagesAdded", "messageDeleted": "messagesDeleted"}
    names |= {"labelAdded": "labelsAdded", "labelRemoved": "labelsRemoved"}
    wanted = [names[kind] for kind in call["historyTypes"]]
    return not wanted or any(kind in record for kind in wanted)


@handles("gmail.users.settings.sendAs.list")
def _send_as(call: ApiCall) -> dict[str, Any]:
    email = mailbox_of(call).email
    own = {"sendAsEmail": email, "displayName": "", "signature": ""}
    return {"sendAs": [{**own, "isPrimary": True, "isDefault": True, "treatAsAlias": False}]}
