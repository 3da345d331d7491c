"""Tools that find and read mail."""

from typing import Annotated, Literal

from pydantic import Field

from servers.gmail import mail
from servers.gmail.arguments import Cursor, Limit, MailId, Offset, ThreadId
from servers.gmail.models import FoundMails, Mail, SavedAttachment, Thread
from servers.gmail.opening import mcp, opened
from servers.kit.accounts import AccountArgument


@mcp.fleet_tool
async def search(
    query: Annotated[
        str,
        Field(max_length=500, description="As in Gmail: from:anna subject:offer newer_than:7d."),
    ] = "in:inbox",
    limit: Limit = 20,
    cursor: Cursor = None,
    include_spam_trash: Annotated[bool, Field(description="Look there as well.")] = False,
    account: AccountArgument = None,
) -> FoundMails:
    """Find mails, newest first; is:unread, has:attachment, label:x, after:2026/05/01 work too.

    Use get_message or get_thread to read one. Repeat the query with a cursor.
    """
    client, zone = await opened(account, "read")
    return await mail.search(
        client, query, limit=limit, cursor=cursor, everywhere=include_spam_trash, zone=zone
    )


@mcp.fleet_tool
async def get_message(
    message_id: MailId,
    body: Annotated[Literal["text", "none"], Field(description="none: head and files only.")] = (
        "text"
    ),
    offset: Offset = 0,
    max_chars: Annotated[int, Field(ge=100, le=8000, description="Of the body.")] = 8000,
    attachment_offset: Annotated[int, Field(ge=0, description="next_attachment.")] = 0,
    account: AccountArgument = None,
) -> Mail:
    """Read a mail: its text, attachments, links with their real hosts, and who vouches for it.

    Long texts come in pieces. HTML is shown as text without what a reader would not see.
    """
    client, zone = await opened(account, "read")
    return await mail.get_message(
        client,
        message_id,
        with_body=body == "text",
        offset=offset,
        max_chars=max_chars,
        attachment_offset=attachment_offset,
        zone=zone,
    )


@mcp.fleet_tool
async def get_thread(
    thread_id: ThreadId,
    max_messages: Annotated[int, Field(ge=1, le=20, description="Most mails.")] = 10,
    chars_each: Annotated[int, Field(ge=100, le=8000, description="Of each body.")] = 3000,
    strip_quotes: Annotated[bool, Field(description="Leave out what they quote.")] = True,
    cursor: Annotated[str | None, Field(max_length=500, description="For older ones.")] = None,
    account: AccountArgument = None,
) -> Thread:
    """Read a conversation: its latest mails, oldest first."""
    client, zone = await opened(account, "read")
    return await mail.get_thread(
        client,
        thread_id,
        max_messages=max_messages,
        chars_each=chars_each,
        strip_quotes=strip_quotes,
        cursor=cursor,
        zone=zone,
    )


@mcp.fleet_tool
async def save_attachment(
    message_id: MailId,
    part_id: Annotated[str, Field(max_length=60, description="Of attachments.")],
    account: AccountArgument = None,
) -> SavedAttachment:
    """Save a file of a mail; the attachment_id is for other tools and for the owner."""
    client, _ = await opened(account, "read")
    return await mail.save_attachment(client, mcp.files, message_id, part_id)
