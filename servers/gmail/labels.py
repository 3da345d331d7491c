"""The labels of an account: which there are, and the owner's own made, renamed and deleted."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from servers.gmail import reading
from servers.gmail.client import GmailClient, Message
from servers.gmail.models import LabelRow, Labels
from servers.kit.errors import Conflict, InvalidInput, NotFound
from servers.kit.foreign_text import clean_text
from servers.kit.paging import decode_cursor, encode_cursor


class _Offset(BaseModel):
    offset: int


async def list_labels(
    client: GmailClient, *, prefix: str, limit: int, cursor: str | None
) -> Labels:
    start = decode_cursor(cursor, _Offset).offset if cursor else 0
    names = reading.label_names(await client.labels())
    wanted = sorted(
        (name.lower(), label_id)
        for label_id, name in names.items()
        if name.lower().startswith(prefix.lower())
    )
    page = [label_id for _, label_id in wanted[start : start + limit]]
    rows = [_row(one) for one in await client.label_counts(page) if one is not None]
    end = start + limit
    following = encode_cursor(_Offset(offset=end)) if end < len(wanted) else None
    return Labels(account=client.account, items=rows, next_cursor=following)


async def create_label(client: GmailClient, name: str) -> Message:
    """Raises Conflict when there is one of that name."""
    if any(str(one["name"]).lower() == name.lower() for one in await client.labels()):
        raise Conflict(f"There is a label {name!r} already.")
    return await client.create_label(name)


async def own_label(client: GmailClient, label: str) -> Message:
    """A label of the owner's own, by id or name. Raises NotFound and InvalidInput."""
    known = await client.labels()
    [label_id] = ids_of(known, [label])
    found = next(one for one in known if one["id"] == label_id)
    if found.get("type") != "user":
        raise InvalidInput(f"{label!r} is a label of Gmail itself: it stays as it is.")
    return found


async def counted_label(client: GmailClient, label: str) -> LabelRow:
    """The same with how many mails have it."""
    found = await own_label(client, label)
    [counted] = await client.label_counts([found["id"]])
    return _row(counted or found)


def ids_of(known: Sequence[Message], labels: Sequence[str]) -> frozenset[str]:
    """Ids of labels that are told by id or name. Raises NotFound."""
    by_name: Mapping[str, str] = {str(one["name"]).lower(): str(one["id"]) for one in known}
    ids = {str(one["id"]) for one in known}
    found: set[str] = set()
    for label in labels:
        label_id = label if label in ids else by_name.get(label.lower())
        if label_id is None:
            raise NotFound(f"There is no label {label!r}: see list_labels, or use create_label.")
        found.add(label_id)
    return frozenset(found)


def _row(label: Message) -> LabelRow:
    return LabelRow(
        label_id=str(label["id"]),
        name=clean_text(str(label.get("name", "")), 225),
        type="user" if label.get("type") == "user" else "system",
        unread=label.get("messagesUnread"),
        total=label.get("messagesTotal"),
    )
