"""Attachments: files of the owner, of tools and of models, as rows; their bytes are blobs."""

from typing import Literal

from orchestrator.domain.values import Value

AttachmentState = Literal["incoming", "ready", "deleting"]
"""`incoming`: its bytes are on their way. `deleting`: the reaper removes blob and row."""
AttachmentSource = Literal["upload", "tool", "model", "server"]
Disposition = Literal["inline", "attachment"]


class Attachment(Value):
    """One file and what is known of it."""

    id: str
    name: str
    """As its maker called it, cleaned; for people only."""
    mime: str
    """Found in its bytes, never as declared."""
    size_bytes: int
    width: int | None = None
    """Of a picture: pixels, as it is shown. Null for all else, and where nobody noted them."""
    height: int | None = None
    sha256: str
    session_id: str | None
    source: AttachmentSource
    tool_call_id: str | None = None
    created_at: str
    last_used_at: str
    pinned: bool = False
    """Its session is pinned, which keeps it."""


class SignedAttachment(Attachment):
    """An attachment with addresses that give its bytes to whoever has them, for a while."""

    expires_at: str | None
    """When it is deleted unless it is used again; null keeps it."""
    url: str
    """For our own page: a path."""
    delivery_url: str
    """For others, such as the model's provider: a whole address."""
    url_expires_at: str
    """When both addresses end; reading the attachment again gives new ones."""
