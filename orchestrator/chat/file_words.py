"""How the model is told of files: always with the id that tools take."""

from orchestrator.domain.attachments import Attachment
from orchestrator.domain.chat import AttachmentShown


def named(file: Attachment | AttachmentShown) -> str:
    """Return e.g. `file a.png (image/png, 1,234 bytes), attachment_id att_...`."""
    return f"file {file.name} ({file.mime}, {file.size_bytes:,} bytes), attachment_id {file.id}"
