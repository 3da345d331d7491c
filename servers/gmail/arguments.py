"""The arguments that several tools have, as a model reads them."""

from typing import Annotated

from pydantic import Field

MAX_FEW = 5

MailId = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{1,32}$", description="message_id.")]
Few = Annotated[list[MailId], Field(min_length=1, max_length=MAX_FEW, description="message_ids.")]
Fifty = Annotated[list[MailId], Field(min_length=1, max_length=50, description="message_ids.")]
Many = Annotated[list[MailId], Field(min_length=1, max_length=100, description="message_ids.")]
ThreadId = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{1,32}$", description="thread_id.")]
DraftId = Annotated[str, Field(min_length=1, max_length=100, description="From list_drafts.")]
Version = Annotated[str, Field(max_length=64, description="version, as last told.")]
Limit = Annotated[int, Field(ge=1, le=50, description="Most items.")]
Cursor = Annotated[str | None, Field(max_length=1000, description="next_cursor of the last page.")]
Offset = Annotated[int, Field(ge=0, description="next_offset of the last piece.")]
Body = Annotated[str, Field(max_length=100_000, description="Markdown; raw HTML stays text.")]
Line = Annotated[str, Field(max_length=500)]
Addresses = Annotated[
    list[Annotated[str, Field(max_length=350)]],
    Field(max_length=50, description="a@b.org or Ann <a@b.org>."),
]
Files = Annotated[
    list[Annotated[str, Field(max_length=100)]],
    Field(max_length=20, description="attachment_ids, 25 MB in all."),
]
Names = Annotated[
    list[Annotated[str, Field(max_length=225)]], Field(max_length=20, description="Ids or names.")
]
Archive = Annotated[bool, Field(description="Take out of the inbox.")]
Read = Annotated[bool | None, Field(description="true: mark read; false: unread.")]
Star = Annotated[bool | None, Field(description="true: star; false: unstar.")]
Label = Annotated[str, Field(min_length=1, max_length=225, description="Id or name.")]
NewName = Annotated[str, Field(min_length=1, max_length=225, description="A/B nests.")]
