"""What is known of a stored file, and what may be said of it."""

import mimetypes
import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from mcp.types import ResourceLink

ATTACHMENT_META: Final = "flotilla/attachment_id"
MAX_NAME_CHARS = 200
UNKNOWN_MIME: Final = "application/octet-stream"
_MAX_SUFFIX_CHARS = 16
_MIME = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")
# Control, format (bidi marks among them), surrogate and private characters, line separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that tools, the chat and other servers name by its `attachment_id`."""

    attachment_id: str
    name: str
    mime: str
    size_bytes: int
    url: str
    """Where its bytes can be fetched for a while; over stdio, the file on this machine."""

    @property
    def link(self) -> ResourceLink:
        """What a tool's result shows of it."""
        return ResourceLink(
            uri=self.url,
            name=self.name,
            mime_type=self.mime,
            size=self.size_bytes,
            _meta={ATTACHMENT_META: self.attachment_id},
        )


def clean_name(name: str) -> str:
    """The last part of `name` without what a reader would not see, at most 200 characters long."""
    last = re.split(r"[/\\]", name)[-1]
    seen = "".join(" " if char.isspace() else char for char in last)
    seen = "".join(char for char in seen if unicodedata.category(char) not in _UNSEEN)
    # A quotation mark cannot be told from the end of the name in a multipart head.
    text = " ".join(unicodedata.normalize("NFC", seen).replace('"', "'").split()).strip(". ")
    if len(text) > MAX_NAME_CHARS:
        suffix = PurePosixPath(text).suffix
        kept = suffix if len(suffix) <= _MAX_SUFFIX_CHARS else ""
        text = text[: MAX_NAME_CHARS - len(kept)].rstrip(". ") + kept
    return text or "file"


def clean_mime(mime: str | None, name: str) -> str:
    """The media type without parameters; the one of the name's suffix when none is given."""
    given = mime if mime is not None else mimetypes.guess_type(name, strict=False)[0]
    base = (given or "").partition(";")[0].strip().lower()
    return base if _MIME.fullmatch(base) else UNKNOWN_MIME
