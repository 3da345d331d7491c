"""The files that messages and tool calls name by their ids, as they show them."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from orchestrator.domain.attachments import Attachment
from orchestrator.domain.chat import AttachmentShown
from orchestrator.store import attachments

ShownFiles = Mapping[str, AttachmentShown]
"""By id: those that are still there."""
NONE: ShownFiles = {}


def find(conn: Connection, owner_id: str, ids: Iterable[str]) -> ShownFiles:
    """Return those of `ids` that are there; without ids nothing is read."""
    wanted = list(ids)
    if not wanted:
        return NONE
    found = attachments.named(conn, owner_id, wanted)
    return {attachment.id: shown(attachment) for attachment in found}


def pick(known: ShownFiles, ids: Iterable[str]) -> list[AttachmentShown]:
    """Return one entry for each of `ids`; of those that are gone it says only that."""
    return [known.get(attachment_id) or _gone(attachment_id) for attachment_id in ids]


def shown(attachment: Attachment) -> AttachmentShown:
    """Return what messages show of a file."""
    return AttachmentShown(
        id=attachment.id,
        name=attachment.name,
        mime=attachment.mime,
        size_bytes=attachment.size_bytes,
    )


def _gone(attachment_id: str) -> AttachmentShown:
    return AttachmentShown(id=attachment_id, name="", mime="", size_bytes=0, deleted=True)
