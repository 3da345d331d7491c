"""Tools that organise mail: labels, the trash, and the owner's labels themselves."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from servers.gmail import labels, organising
from servers.gmail.approvals import change_preview, label_preview, mails_preview, restoring_preview
from servers.gmail.arguments import (
    Archive,
    Cursor,
    Few,
    Fifty,
    Label,
    Limit,
    Many,
    Names,
    NewName,
    Read,
    Star,
)
from servers.gmail.models import Changed, DeletedLabel, Labels, OneLabel
from servers.gmail.opening import mcp, opened
from servers.kit.accounts import AccountArgument
from servers.kit.errors import InvalidInput
from servers.kit.previews import Preview

_Wanted = tuple[list[str], list[str]]


@mcp.fleet_tool
async def modify(
    message_ids: Few,
    add_labels: Names = [],  # noqa: B006
    remove_labels: Names = [],  # noqa: B006
    archive: Archive = False,
    mark_read: Read = None,
    star: Star = None,
    account: AccountArgument = None,
) -> Changed:
    """Label, archive, star or mark up to 5 mails; modify_many takes more, and SPAM."""
    if "SPAM" in {label.upper() for label in add_labels}:
        raise InvalidInput(
            "Use modify_many to add SPAM: the owner is asked, for Gmail deletes such mail after 30"
            " days as it does what is in the trash."
        )
    wanted = _asked(add_labels, remove_labels, archive, mark_read, star)
    return await _modified(message_ids, wanted, account)


@mcp.fleet_tool
async def modify_many(
    message_ids: Many,
    add_labels: Names = [],  # noqa: B006
    remove_labels: Names = [],  # noqa: B006
    archive: Archive = False,
    mark_read: Read = None,
    star: Star = None,
    account: AccountArgument = None,
) -> Changed:
    """The same as modify for up to 100 mails; the owner is asked."""
    wanted = _asked(add_labels, remove_labels, archive, mark_read, star)
    return await _modified(message_ids, wanted, account)


@mcp.fleet_tool
async def restore_labels(
    changes: Annotated[
        list[Annotated[str, Field(max_length=2000)]],
        Field(min_length=1, max_length=100, description="As '18c2f0 +INBOX -STARRED'."),
    ],
    account: AccountArgument = None,
) -> Changed:
    """Put labels of mails back: what undoing modify and trash calls."""
    client, _ = await opened(account, "organise")
    return _undoable(await organising.restore(client, changes))


@mcp.fleet_tool
async def trash(message_ids: Fifty, account: AccountArgument = None) -> Changed:
    """Move mails to the trash, from where Gmail deletes them after 30 days."""
    client, _ = await opened(account, "organise")
    return _undoable(await organising.move(client, message_ids, "trash"))


@mcp.fleet_tool
async def untrash(message_ids: Fifty, account: AccountArgument = None) -> Changed:
    """Take mails out of the trash. Add INBOX with modify to see them there again."""
    client, _ = await opened(account, "organise")
    outcome = await organising.move(client, message_ids, "untrash")
    if outcome.result.changed:
        mcp.undo_with(message_ids=outcome.result.changed)
    return outcome.result


@mcp.fleet_tool
async def list_labels(
    prefix: Annotated[str, Field(max_length=225, description="How names begin.")] = "",
    limit: Limit = 50,
    cursor: Cursor = None,
    account: AccountArgument = None,
) -> Labels:
    """List labels with how many mails they have, and how many unread."""
    client, _ = await opened(account, "read")
    return await labels.list_labels(client, prefix=prefix, limit=limit, cursor=cursor)


@mcp.fleet_tool
async def create_label(name: NewName, account: AccountArgument = None) -> OneLabel:
    """Make a label."""
    client, _ = await opened(account, "organise")
    made = await labels.create_label(client, name)
    mcp.undo_with(label=made["id"])
    return OneLabel(account=client.account, label_id=made["id"], name=made["name"])


@mcp.fleet_tool
async def rename_label(label: Label, name: NewName, account: AccountArgument = None) -> OneLabel:
    """Give a label of the owner's another name."""
    client, _ = await opened(account, "organise")
    old = await labels.own_label(client, label)
    await client.rename_label(old["id"], name)
    mcp.undo_with(label=old["id"], name=old["name"])
    return OneLabel(account=client.account, label_id=old["id"], name=name)


@mcp.fleet_tool
async def delete_label(label: Label, account: AccountArgument = None) -> DeletedLabel:
    """Delete a label for good. Mails that had it stay."""
    client, _ = await opened(account, "organise")
    old = await labels.own_label(client, label)
    await client.delete_label(old["id"])
    return DeletedLabel(account=client.account, name=old["name"])


@mcp.preview_of("trash")
async def _before_trashing(message_ids: Fifty, account: AccountArgument = None) -> Preview:
    client, zone = await opened(account, "organise")
    return Preview(lines=await mails_preview(client, message_ids, zone))


@mcp.preview_of("delete_label")
async def _before_deleting(label: Label, account: AccountArgument = None) -> Preview:
    client, _ = await opened(account, "organise")
    return label_preview(await labels.counted_label(client, label), client.account)


@mcp.preview_of("restore_labels")
async def _before_restoring(changes: list[str], account: AccountArgument = None) -> Preview:
    client, zone = await opened(account, "organise")
    return await restoring_preview(client, changes, zone)


@mcp.preview_of("modify")
async def _before_modifying(
    message_ids: Few,
    add_labels: Names = [],  # noqa: B006
    remove_labels: Names = [],  # noqa: B006
    archive: bool = False,
    mark_read: bool | None = None,
    star: bool | None = None,
    account: AccountArgument = None,
) -> Preview:
    wanted = _asked(add_labels, remove_labels, archive, mark_read, star)
    return await _previewed(message_ids, wanted, account)


@mcp.preview_of("modify_many")
async def _before_modifying_many(
    message_ids: Many,
    add_labels: Names = [],  # noqa: B006
    remove_labels: Names = [],  # noqa: B006
    archive: bool = False,
    mark_read: bool | None = None,
    star: bool | None = None,
    account: AccountArgument = None,
) -> Preview:
    wanted = _asked(add_labels, remove_labels, archive, mark_read, star)
    return await _previewed(message_ids, wanted, account)


async def _modified(message_ids: Sequence[str], wanted: _Wanted, account: str | None) -> Changed:
    client, _ = await opened(account, "organise")
    return _undoable(await organising.modify(client, message_ids, *wanted))


async def _previewed(message_ids: Sequence[str], wanted: _Wanted, account: str | None) -> Preview:
    client, zone = await opened(account, "organise")
    return await change_preview(client, message_ids, *wanted, zone)


def _asked(
    add: list[str], remove: list[str], archive: bool, mark_read: bool | None, star: bool | None
) -> _Wanted:
    """Labels to add and to remove: Gmail knows nothing else."""
    add, remove = list(add), list(remove)
    if archive:
        remove.append("INBOX")
    if mark_read is not None:
        (remove if mark_read else add).append("UNREAD")
    if star is not None:
        (add if star else remove).append("STARRED")
    return add, remove


def _undoable(outcome: organising.Outcome) -> Changed:
    # What has come out of the trash is put back by `trash`, which the owner is asked about.
    if outcome.changes and not any("+TRASH" in change for change in outcome.changes):
        mcp.undo_with(changes=outcome.changes)
    return outcome.result
