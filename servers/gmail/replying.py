"""Whom an answer goes to, and what puts it into the thread of the mail it answers."""

from collections.abc import Sequence

from servers.gmail import addresses, compose
from servers.gmail.client import GmailClient
from servers.gmail.parts import all_headers, headers_of
from servers.gmail.texts import header_text
from servers.kit.errors import InvalidInput, NotFound


async def answering(
    client: GmailClient,
    message_id: str,
    to: Sequence[str] | None,
    cc: Sequence[str] | None,
    *,
    reply_all: bool,
) -> tuple[compose.Answered, list[str], list[str]]:
    """The mail to answer, and to whom the answer goes: who is named, else who is to get one.

    Raises NotFound.
    """
    try:
        [found] = await client.heads(
            [message_id],
            ("From", "Reply-To", "To", "Cc", "Subject", "Message-ID", "References", "Date"),
        )
    except InvalidInput:
        found = None
    if found is None:
        raise NotFound(f"There is no message {message_id!r} to answer: search tells message_ids.")
    headers = headers_of(found)
    own = await client.own_addresses()
    senders = addresses.addresses_in(headers.get("reply-to") or headers.get("from", ""))
    others = addresses.addresses_in(*all_headers(found, "to"))
    copied = addresses.addresses_in(*all_headers(found, "cc"))
    # An answer to one's own mail goes to those who got it.
    asking = addresses.without(senders, own) or addresses.without(others, own)
    to = list(to or asking or addresses.without(senders, ()))
    if not cc and reply_all:
        cc = addresses.without([*others, *copied], [*own, *addresses.bare(to)])
    answered = compose.Answered(
        thread_id=str(found["threadId"]),
        message_id=_ids_only(headers.get("message-id", "")),
        references=_ids_only(headers.get("references") or headers.get("in-reply-to", "")),
        subject=header_text(headers.get("subject", "")),
    )
    return answered, to, list(cc or ())


def _ids_only(header: str) -> str:
    """The ids in a header of a stranger, which goes into a header of ours."""
    return " ".join(one for one in header.split() if one.isascii() and one.startswith("<"))


def subject(given: str | None, answered: compose.Answered | None) -> str:
    """The one that was given, else the one under which an answer stays in its thread."""
    if given is not None or answered is None:
        return given or ""
    return compose.reply_subject(answered.subject)
