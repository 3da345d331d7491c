"""Snippets of Markdown as plain text: what a search shows needs no renderer."""

import re
from collections.abc import Iterable

START, END = "\x02", "\x03"
"""Enclose each hit."""
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*(?:\)|$)")
_BLOCK_MARK = re.compile(r"(?m)^\s*(?:#{1,6}\s+|>\s?|[-*+]\s+|```\w*|[|:\-\s]{4,}$)|```\w*")
_INLINE_MARK = re.compile(r"`+|~~|\*{2,3}|(?<!\w)[*_]+(?=\S)|(?<=\S)[*_]+(?!\w)")
_CELL_BORDER = re.compile(r"\s*\|\s*")


def plain(snippet: str) -> str:
    """Return `snippet` on one line without the marks of Markdown, its hits still enclosed."""
    bare = _BLOCK_MARK.sub(" ", _LINK.sub(r"\1", snippet))
    shown = " ".join(_CELL_BORDER.sub(" ", _INLINE_MARK.sub("", bare)).split())
    # A hit inside an address went with it.
    return shown if START in shown or START not in snippet else " ".join(snippet.split())


def marked(text: str, words: Iterable[str]) -> str:
    """Return `text` with every occurrence of one of `words` enclosed, whatever its case."""
    wanted = sorted(map(re.escape, words), key=len, reverse=True)
    return re.sub("|".join(wanted), rf"{START}\g<0>{END}", text, flags=re.IGNORECASE)
