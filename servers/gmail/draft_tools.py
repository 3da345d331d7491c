"""Tools that write, change, send and discard drafts."""

from typing import Annotated

from pydantic import Field

from servers.gmail import drafts
from servers.gmail.approvals import draft_preview
from servers.gmail.arguments import (
    Addresses,
    Body,
    Cursor,
    DraftId,
    Files,
    Limit,
    MailId,
    Offset,
    Version,
)
from servers.gmail.models import Discarded, Draft, Drafts, DraftState, SentMail
from servers.gmail.opening import mcp, opened
from servers.gmail.sendable import check_version
from servers.kit.accounts import AccountArgument
from servers.kit.previews import Preview


@mcp.fleet_tool
async def list_drafts(
    limit: Limit = 20, cursor: Cursor = None, account: AccountArgument = None
) -> Drafts:
    """List drafts, newest first."""
    client, zone = await opened(account, "read")
    return await drafts.list_drafts(client, limit=limit, cursor=cursor, zone=zone)


@mcp.fleet_tool
async def get_draft(
    draft_id: DraftId, offset: Offset = 0, account: AccountArgument = None
) -> Draft:
    """Read a draft, and its version for update_draft, send_draft and discard_draft."""
    client, _ = await opened(account, "read")
    return await drafts.get_draft(client, draft_id, offset=offset)


@mcp.fleet_tool
async def create_draft(
    body_markdown: Body,
    to: Addresses = [],  # noqa: B006 - never changed, and half the schema of None
    cc: Addresses = [],  # noqa: B006
    bcc: Addresses = [],  # noqa: B006
    subject: Annotated[
        str | None, Field(max_length=500, description="Leave out in an answer to keep its thread.")
    ] = None,
    reply_to_message_id: Annotated[
        MailId | None, Field(description="The message_id it answers; then `to` can be left out.")
    ] = None,
    reply_all: Annotated[bool, Field(description="Copy all who got that mail.")] = False,
    attachment_ids: Files = [],  # noqa: B006
    account: AccountArgument = None,
) -> DraftState:
    """Write a draft, new or as an answer. Nothing is sent: show it, then use send_draft."""
    client, _ = await opened(account, "write")
    given = drafts.Given(
        to=to,
        cc=cc,
        bcc=bcc,
        subject=subject,
        body_markdown=body_markdown,
        attachment_ids=attachment_ids,
    )
    return await drafts.create_draft(
        client, mcp.files, given, reply_to_message_id=reply_to_message_id, reply_all=reply_all
    )


@mcp.fleet_tool
async def update_draft(
    draft_id: DraftId,
    version: Version,
    to: Annotated[Addresses | None, Field(description="New addresses.")] = None,
    cc: Annotated[Addresses | None, Field(description="The same.")] = None,
    bcc: Annotated[Addresses | None, Field(description="The same.")] = None,
    subject: Annotated[str | None, Field(max_length=500, description="New subject.")] = None,
    body_markdown: Annotated[Body | None, Field(description="New text.")] = None,
    attachment_ids: Annotated[Files | None, Field(description="New files instead of all.")] = None,
    account: AccountArgument = None,
) -> DraftState:
    """Change what is given of a draft; the rest stays. [] empties a list. Gives a new version."""
    client, _ = await opened(account, "write")
    given = drafts.Given(
        to=to,
        cc=cc,
        bcc=bcc,
        subject=subject,
        body_markdown=body_markdown,
        attachment_ids=attachment_ids,
    )
    return await drafts.update_draft(client, mcp.files, draft_id, version, given)


@mcp.fleet_tool
async def send_draft(
    draft_id: DraftId,
    version: Version,
    recipients: Annotated[
        list[Annotated[str, Field(max_length=350)]],
        Field(min_length=1, max_length=150, description="recipients of the draft, all of them."),
    ],
    subject: Annotated[str, Field(max_length=1000, description="subject of the draft.")],
    account: AccountArgument = None,
) -> SentMail:
    """Send a draft as it was read last. The owner is asked each time.

    Refused when the draft is not of this version, or recipients or subject differ from it.
    """
    client, zone = await opened(account, "write")
    return await drafts.send_draft(
        client, draft_id, version=version, recipients=recipients, subject=subject, zone=zone
    )


@mcp.fleet_tool
async def discard_draft(
    draft_id: DraftId, version: Version, account: AccountArgument = None
) -> Discarded:
    """Delete a draft for good: Gmail has no trash for drafts."""
    client, _ = await opened(account, "write")
    return await drafts.discard_draft(client, draft_id, version)


@mcp.preview_of("send_draft")
async def _before_sending(
    draft_id: DraftId,
    version: Version,
    recipients: list[str],
    subject: str,
    account: AccountArgument = None,
) -> Preview:
    client, _ = await opened(account, "write")
    draft = await drafts.draft_to_send(client, draft_id, version, recipients, subject)
    return draft_preview(draft)


@mcp.preview_of("discard_draft")
async def _before_discarding(
    draft_id: DraftId, version: Version, account: AccountArgument = None
) -> Preview:
    client, _ = await opened(account, "write")
    draft = await drafts.get_draft(client, draft_id)
    check_version(draft, version)
    return draft_preview(draft)
