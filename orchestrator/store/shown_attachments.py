"""The files that messages and tool calls name by their ids, as they show them."""

from collections.abc import Callable, Iterable, Mapping

from sqlalchemy import Connection

from orchestrator.domain.attachments import Attachment
from orchestrator.domain.chat import AttachmentShown
from orchestrator.store import attachments

ShownFiles = Mapping[str, AttachmentShown]
"""By id: those that are still there."""
NONE: ShownFiles = {}
Expiry = Callable[[Attachment], str | None]
"""When a file is deleted unless it is used again; None where it is kept."""


def find(
    conn: Connection, owner_id: str, ids: Iterable[str], expiry: Expiry | None = None
) -> ShownFiles:
    """Return those of `ids` that are there; without ids nothing is read.

    They say when they expire where `expiry` is given.
    """
    wanted = list(ids)
    if not wanted:
        return NONE
    found = attachments.named(conn, owner_id, wanted)
    return {attachment.id: shown(attachment, expiry) for attachment in found}


def pick(known: ShownFiles, ids: Iterable[str]) -> list[AttachmentShown]:
    """Return one entry for each of `ids`; of those that are gone it says only that."""
    return [known.get(attachment_id) or _gone(attachment_id) for attachment_id in ids]


def shown(attachment: Attachment, expiry: Expiry | None = None) -> AttachmentShown:
    """Return what messages show of a file."""
    return AttachmentShown(
        id=attachment.id,
        name=attachment.name,
        mime=attachment.mime,
        size_bytes=attachment.size_bytes,
        width=attachment.width,
        height=attachment.height,
        expires_at=expiry(attachment) if expiry else None,
    )


def _gone(attachment_id: str) -> AttachmentShown:
    return AttachmentShown(id=attachment_id, name="", mime="", size_bytes=0, deleted=True)
