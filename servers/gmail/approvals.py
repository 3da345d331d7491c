"""What the owner reads before they approve: the mail that is sent, the mails that are changed."""

from collections.abc import Iterator, Sequence

from servers.gmail import organising
from servers.gmail.addresses import addresses_in
from servers.gmail.client import GmailClient
from servers.gmail.models import Draft, LabelRow
from servers.gmail.parts import headers_of
from servers.gmail.reading import date_of, label_names, subject_of
from servers.kit.previews import MAX_TEXT_CHARS, MAX_VALUE_CHARS, Preview, PreviewLine

_MOST_MAILS = 15


def draft_preview(draft: Draft) -> Preview:
    told = [
        ("Account", draft.account),
        ("Subject", draft.untrusted_subject),
        *_people("To", draft.to),
        *_people("Cc", draft.cc),
        *_people("Bcc", draft.bcc),
        *(
            ("Attachment", f"{one.untrusted_name} ({one.size_bytes:,} bytes)")
            for one in draft.attachments
        ),
    ]
    if draft.body_chars > MAX_TEXT_CHARS:
        told.insert(2, ("Text", f"{draft.body_chars:,} characters, of which this is the beginning"))
    lines = [PreviewLine(name=name, value=value) for name, value in told if value]
    return Preview(lines=lines, text=draft.untrusted_body)


def _people(name: str, addresses: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Lines in which nobody is cut off."""
    line = ""
    for address in addresses:
        if line and len(line) + len(address) + 2 > MAX_VALUE_CHARS:
            yield name, line
            line = ""
        line = f"{line}, {address}" if line else address
    yield name, line


def label_preview(label: LabelRow, account: str) -> Preview:
    told = ("Account", account), ("Label", label.name), ("Mails that have it", str(label.total))
    return Preview(lines=[PreviewLine(name=name, value=value) for name, value in told])


async def restoring_preview(client: GmailClient, changes: Sequence[str], zone: str) -> Preview:
    """Raises as `organising.restore`."""
    parsed = organising.parsed_changes(changes)
    names = label_names(await client.labels())
    adding = {names.get(one, one) for add, _ in parsed.values() for one in add}
    removing = {names.get(one, one) for _, remove in parsed.values() for one in remove}
    told = ("Add labels", ", ".join(sorted(adding))), ("Remove labels", ", ".join(sorted(removing)))
    lines = [PreviewLine(name=name, value=value) for name, value in told if value]
    return Preview(lines=[*lines, *await mails_preview(client, list(parsed), zone)])


async def change_preview(
    client: GmailClient,
    message_ids: Sequence[str],
    add: Sequence[str],
    remove: Sequence[str],
    zone: str,
) -> Preview:
    """Raises as `organising.modify` for labels that there are not."""
    adding, removing = await organising.checked_labels(client, add, remove)
    names = label_names(await client.labels())
    told = [
        ("Add labels", ", ".join(sorted(names.get(one, one) for one in adding))),
        ("Remove labels", ", ".join(sorted(names.get(one, one) for one in removing))),
    ]
    lines = [PreviewLine(name=name, value=value) for name, value in told if value]
    return Preview(lines=[*lines, *await mails_preview(client, message_ids, zone)])


async def mails_preview(
    client: GmailClient, message_ids: Sequence[str], zone: str
) -> list[PreviewLine]:
    """The account, how many mails there are, and who the first are from."""
    lines = [
        PreviewLine(name="Account", value=client.account),
        PreviewLine(name="Mails", value=str(len(set(message_ids)))),
    ]
    for head in await client.heads(message_ids[:_MOST_MAILS]):
        if head is None:
            lines.append(PreviewLine(name="Gone", value="a mail that is not there any more"))
            continue
        headers = headers_of(head)
        sender = next(iter(addresses_in(headers.get("from", ""))), None)
        value = f"{subject_of(headers)} ({date_of(head, zone)[:10]})"
        lines.append(PreviewLine(name=(sender and sender.address) or "Unknown", value=value))
    return lines
