"""Whether a draft is still the one that was read, described and approved."""

import hashlib
from collections.abc import Sequence

from pydantic_core import to_json

from servers.gmail.addresses import are_all_plain
from servers.gmail.client import Message
from servers.gmail.models import DraftState
from servers.gmail.parts import all_headers, parts_of
from servers.kit.errors import Conflict, InvalidInput

_VERSION_CHARS = 16
_RECIPIENTS = ("to", "cc", "bcc")
_AGAIN = ("resent-to", "resent-cc", "resent-bcc")
"""Where a mail goes that is sent on unchanged (RFC 5322, 3.6.6): nobody is shown these."""


def version_of(draft: Message) -> str:
    """A digest of all that would be sent; another one after each change.

    The bytes of files are not in it: they belong to the message, whose id is.
    """
    parts = [
        (part.part_id, part.mime, part.filename, part.size_bytes, part.data)
        for part in parts_of(draft["message"])
    ]
    headers = [
        (name, all_headers(draft["message"], name))
        for name in ("from", *_RECIPIENTS, "reply-to", "subject", "in-reply-to", *_AGAIN)
    ]
    content = to_json([draft["message"]["id"], headers, parts])
    return hashlib.sha256(content).hexdigest()[:_VERSION_CHARS]


def check_version(state: DraftState, version: str) -> None:
    """Raises Conflict for any version but the one the draft has."""
    if state.version != version:
        raise Conflict(
            "The draft was changed since that version; nothing was done. Read it with get_draft,"
            " and ask the owner if it is still what they want."
        )


def check_sendable(
    message: Message, state: DraftState, version: str, recipients: Sequence[str], subject: str
) -> None:
    """Raises Conflict for any other draft than the one described, InvalidInput for one to nobody.

    And for one of which it cannot be told for certain to whom Gmail would send it.
    """
    check_version(state, version)
    values = [value for name in _RECIPIENTS for value in all_headers(message, name)]
    if not are_all_plain(values) or any(all_headers(message, name) for name in _AGAIN):
        raise InvalidInput(
            "To whom this draft goes cannot be told for certain; nothing was sent. Give its to, cc"
            " and bcc anew with update_draft, or let the owner send it in Gmail."
        )
    # Not taken apart: what the owner reads has to be the address itself.
    is_same = {one.strip().lower() for one in recipients} == set(state.recipients)
    if not is_same or subject != state.untrusted_subject:
        raise Conflict(
            "recipients and subject are not those of the draft; nothing was sent. Read it with"
            " get_draft and give both exactly as they are there."
        )
    if not state.recipients:
        raise InvalidInput("The draft has no recipients: set them with update_draft.")
