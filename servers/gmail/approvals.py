"""What the owner reads before they approve: the mail that is sent, the mails that are changed."""

from collections.abc import Sequence

from servers.gmail import organising
from servers.gmail.addresses import addresses_in
from servers.gmail.client import GmailClient
from servers.gmail.models import Draft
from servers.gmail.parts import headers_of
from servers.gmail.reading import date_of, label_names, subject_of
from servers.kit.previews import Preview, PreviewLine

_MOST_MAILS = 15


def draft_preview(draft: Draft) -> Preview:
    told = [
        ("Account", draft.account),
        ("To", ", ".join(draft.to)),
        ("Cc", ", ".join(draft.cc)),
        ("Bcc", ", ".join(draft.bcc)),
        ("Subject", draft.untrusted_subject),
        *(
            ("Attachment", f"{one.untrusted_name} ({one.size_bytes:,} bytes)")
            for one in draft.attachments
        ),
    ]
    lines = [PreviewLine(name=name, value=value) for name, value in told if value]
    return Preview(lines=lines, text=draft.untrusted_body)


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
