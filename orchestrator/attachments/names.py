"""Names of files: cleaned when they come in, quoted when they go out."""

import unicodedata
from urllib.parse import quote

from orchestrator.domain.attachments import Disposition

MAX_CHARS = 200
NAMELESS = "file"
_SUFFIX_CHARS = 20
# Control characters, direction marks, halves of surrogate pairs, line separators: none is a name's.
_UNWANTED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_IN_QUOTES = frozenset('"\\%')


def clean_name(name: str) -> str:
    """Return `name` as one line of at most 200 characters without a path; never empty."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    visible = "".join(
        " " if char.isspace() else char
        for char in unicodedata.normalize("NFC", last)
        if unicodedata.category(char) not in _UNWANTED or char in "\t\r\n"
    )
    plain = " ".join(visible.split()).strip(". ")
    return _shortened(plain) or NAMELESS


def content_disposition(disposition: Disposition, name: str) -> str:
    """Return the header of RFC 6266: a plain name for old clients, the true one for all others."""
    plain = "".join(
        char if char.isascii() and char.isprintable() and char not in _IN_QUOTES else "_"
        for char in name
    )
    return f"{disposition}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _shortened(name: str) -> str:
    """Cut a long name before its ending, which tells people what it is."""
    if len(name) <= MAX_CHARS:
        return name
    stem, dot, suffix = name.rpartition(".")
    ending = dot + suffix if stem and len(suffix) < _SUFFIX_CHARS else ""
    return name[: MAX_CHARS - len(ending)] + ending
