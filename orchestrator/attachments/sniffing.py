"""Finds the type of a file in its first bytes; what is on no list is refused.

Neither the declared type nor the name decides. The name only chooses between kinds of text that are
harmless alike (plain, Markdown, CSV, JSON). Text in which a browser could find HTML, SVG or XML is
`text/plain` whatever its name, and text is never shown inline. A file that is two things at once is
served as what its first bytes say, with `nosniff`. Names keep an ending only if it fits the type:
`holiday.png.exe` and `page.html` stay harmless on the disk of whoever downloads them.
"""

import codecs
import re
from pathlib import PurePath

from orchestrator.attachments.pictures import picture_in
from orchestrator.attachments.sounds import sound_type
from orchestrator.errors import InvalidRequest, UnsupportedType

HEAD_BYTES = 256 * 1024
"""As much of a file as `sniff` wants to see, if there is as much."""
INLINE_TYPES = frozenset(
    {
        *("image/png", "image/jpeg", "image/webp", "image/gif"),
        *("audio/mpeg", "audio/wav", "audio/ogg", "audio/webm", "audio/mp4"),
    }
)
"""Types that a browser may show on a page of ours; all others are for download."""
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_ACCEPTED = (
    "Accepted are pictures (PNG, JPEG, WebP, GIF), PDF, text (TXT, MD, CSV, JSON), Office files "
    "(DOCX, XLSX, PPTX) and sound (MP3, WAV, OGG, WebM, M4A)."
)
_ENDINGS = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/webp": (".webp",),
    "image/gif": (".gif",),
    "application/pdf": (".pdf",),
    "text/plain": (".txt", ".text", ".log"),
    "text/markdown": (".md", ".markdown"),
    "text/csv": (".csv", ".tsv"),
    "application/json": (".json",),
    DOCX: (".docx",),
    XLSX: (".xlsx",),
    PPTX: (".pptx",),
    "audio/mpeg": (".mp3",),
    "audio/wav": (".wav",),
    "audio/ogg": (".ogg", ".oga", ".opus"),
    "audio/webm": (".webm",),
    "audio/mp4": (".m4a", ".mp4"),
}
_TEXT_TYPES = ("text/markdown", "text/csv", "application/json")
_OFFICE_FOLDERS = {b"word/": DOCX, b"xl/": XLSX, b"ppt/": PPTX}
_ZIP_ENTRY = b"PK\x03\x04"
# What the MIME sniffing standard calls binary data; the escape of terminal logs is not among it.
_BINARY = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_MARKUP = re.compile(r"<(?:!|\?|/?[a-zA-Z])")
_SNIFFED_CHARACTERS = 1445
"""How far browsers look for markup in text."""


def sniff(head: bytes, *, name: str, total_size: int | None = None) -> str:
    """Return the MIME type of the file that starts with `head`.

    Pass HEAD_BYTES or, if the file is shorter, all of it; `total_size` in bytes tells whether it
    goes on. Of Office files, whose directory is at the end, only the start is judged: extracting
    their text verifies the rest. Raises InvalidRequest for an empty file, UnsupportedType for what
    is on no list and TooLarge for a picture of more than 50 megapixels.
    """
    if not head:
        message = f"The file {name!r} is empty."
        raise InvalidRequest(message)
    if (picture := picture_in(head)) is not None:
        return picture.mime
    mime = _document_type(head) or sound_type(head)
    mime = mime or _text_type(head, name, is_whole=total_size is None or total_size <= len(head))
    if mime is None:
        raise UnsupportedType(f"{_refusal(head, name)} {_ACCEPTED}")
    return mime


def name_for(name: str, mime: str) -> str:
    """Return `name` with an ending that fits `mime`: as it is, or with one more."""
    endings = _ENDINGS[mime]
    return name if PurePath(name).suffix.lower() in endings else name + endings[0]


def _document_type(head: bytes) -> str | None:
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    if not head.startswith(_ZIP_ENTRY):
        return None
    names = [_entry_name(part) for part in head.split(_ZIP_ENTRY)[1:]]
    types = {
        mime
        for folder, mime in _OFFICE_FOLDERS.items()
        if any(name.startswith(folder) for name in names)
    }
    foreign = any(_is_foreign(name) for name in names)
    return types.pop() if len(types) == 1 and not foreign else None


def _entry_name(entry: bytes) -> bytes:
    """Return the name in a local header of a zip whose signature is cut off."""
    length = int.from_bytes(entry[22:24], "little")
    return entry[26 : 26 + length]


def _is_foreign(name: bytes) -> bool:
    """Tell whether an entry belongs to a Java or Android program, or to no Office file."""
    return name.startswith(b"META-INF/") or name.endswith((b".class", b".dex", b".exe", b".dll"))


def _text_type(head: bytes, name: str, *, is_whole: bool) -> str | None:
    text = _decoded(head, is_whole=is_whole)
    if text is None or _BINARY.search(text):
        return None
    start = text.lstrip()
    if _MARKUP.search(start, 0, _SNIFFED_CHARACTERS):
        return "text/plain"
    ending = PurePath(name).suffix.lower()
    for mime in _TEXT_TYPES:
        if ending in _ENDINGS[mime]:
            is_it = mime != "application/json" or start.startswith(("{", "["))
            return mime if is_it else "text/plain"
    return "text/plain"


def _decoded(head: bytes, *, is_whole: bool) -> str | None:
    has_mark = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    decoder = codecs.getincrementaldecoder("utf-16" if has_mark else "utf-8-sig")()
    try:
        return decoder.decode(head, final=is_whole)
    except UnicodeDecodeError:
        return None


def _refusal(head: bytes, name: str) -> str:
    if head.startswith(_ZIP_ENTRY):
        return f"The file {name!r} is an archive; unpack it and attach what is in it."
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return (
            f"The file {name!r} is an Office file of the old kind, or one with a password; "
            "save it as DOCX, XLSX or PPTX without one."
        )
    if head.startswith(b"\xff\xd8\xff"):
        return f"The size of the picture {name!r} does not stand near its beginning."
    if not _BINARY.search(head.decode("latin-1")):
        return f"The file {name!r} may be text, but not in UTF-8; save it as UTF-8."
    return f"The file {name!r} is of a type that cannot be attached."
