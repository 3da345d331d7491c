"""HTML as plain text: what a reader sees, in lines, and the links beside it."""

import re
from collections.abc import Mapping
from itertools import islice

from servers.kit.foreign_text.characters import clean_text
from servers.kit.foreign_text.links import Link, link_of
from servers.kit.foreign_text.styles import Look, Sheet, is_dot, look_within
from servers.kit.foreign_text.tokens import Open, Text, tokens_of

MAX_PAGE_CHARS = 2_000_000
MAX_TEXT_CHARS = 1_000_000
MAX_TOKENS = 100_000
"""A newsletter has some 5,000; so many take a second."""
MAX_LINKS = 200
UNREAD = "[The page goes on; only this much of it was read.]"

_SPACE = re.compile(r"[ \t\n\r\f]++")
_VOID = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param",
    "source", "track", "wbr",
})  # fmt: skip
_LINES = frozenset({
    "address", "article", "aside", "blockquote", "center", "dd", "details", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6",
    "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "summary", "table",
    "tr", "ul",
})  # fmt: skip
_PARAGRAPHS = frozenset({
    "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul",
})  # fmt: skip
# Elements that end one of the same group by beginning, as `<p>` ends the `<p>` before it.
_ENDS: Mapping[str, frozenset[str]] = {
    "li": frozenset({"li"}),
    "tr": frozenset({"tr", "td", "th"}),
    "td": frozenset({"td", "th"}),
    "th": frozenset({"td", "th"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "option": frozenset({"option"}),
}
_UNSEEN = frozenset({
    "script", "style", "head", "title", "template", "noframes", "noembed", "iframe", "object",
    "svg", "math", "select", "datalist", "audio", "video", "canvas", "textarea", "dialog",
    "progress", "meter",
})  # fmt: skip
_CLOSED_BY_LINES = frozenset({"p"})


def text_of_html(page: str) -> tuple[str, list[Link]]:
    """The text of a page as it is seen, quotations marked with "> ", and its links.

    Reads 2,000,000 characters and 100,000 tags and texts, gives 1,000,000 characters and 200 links
    at most. Linear, and without recursion, whatever the page holds.
    """
    read = page[:MAX_PAGE_CHARS]
    reader = _Reader(_sheet_of(read))
    tokens = tokens_of(read)
    for token in islice(tokens, MAX_TOKENS):
        if isinstance(token, Text):
            reader.add_text(token.text)
        elif isinstance(token, Open):
            reader.open(token)
        else:
            reader.close(token.name)
        if reader.size_chars > MAX_TEXT_CHARS:
            break
    reader.end_link()
    text = clean_text("".join(reader.pieces), MAX_TEXT_CHARS)
    is_cut = len(read) < len(page) or next(tokens, None) is not None
    return (f"{text}\n\n{UNREAD}" if is_cut else text), reader.links


def _sheet_of(page: str) -> Sheet:
    """All rules first: a style at the end of a page holds for what stands before it."""
    sheet = Sheet()
    if "<style" in page.lower():
        for token in islice(tokens_of(page), MAX_TOKENS):
            if not isinstance(token, Open) or token.name != "style":
                continue
            # What holds on paper only hides nothing from a reader.
            if token.attributes.get("media", "").strip().lower() != "print":
                sheet.read(token.raw)
    return sheet


class _Reader:
    """Writes lines while elements begin and end."""

    def __init__(self, sheet: Sheet) -> None:
        self.pieces: list[str] = []
        self.links: list[Link] = []
        self.size_chars = 0
        self._sheet = sheet
        self._open: list[tuple[str, Look]] = []
        self._counts: dict[str, int] = {}
        self._look = Look()
        self._newlines = 2
        self._space = False
        self._href: str | None = None
        self._link_text: list[str] = []
        self._known: set[tuple[str, str]] = set()

    def open(self, tag: Open) -> None:
        name = tag.name
        self._end_implied(name)
        look = self._look
        if name in _UNSEEN:
            look = Look(is_hidden=True)
        elif tag.attributes or self._sheet.rules:
            declared = self._sheet.declarations(name, tag.attributes)
            look = look_within(look, declared, tag.attributes)
        if name in _VOID:
            self._void(tag, look)
            return
        if name in _LINES:
            self._break(2 if name in _PARAGRAPHS else 1)
        if name in ("td", "th") and self._newlines == 0:
            self._write(" | ")
        self._open.append((name, self._look))
        self._counts[name] = self._counts.get(name, 0) + 1
        self._look = look
        if name == "li":
            self._write("- ")
        if name == "a":
            self.end_link()
            self._href = tag.attributes.get("href")

    def close(self, name: str) -> None:
        if name == "br":
            self._break_line()
        if not self._counts.get(name):
            return
        if name == "a":
            self.end_link()
        if name in _LINES:
            self._break(2 if name in _PARAGRAPHS else 1)
        while self._pop() != name:
            pass

    def add_text(self, text: str) -> None:
        if not text or not self._look.shows_text:
            return
        if self._counts.get("pre"):
            self._write_lines(text)
            return
        words = _SPACE.sub(" ", text)
        if words[0] == " ":
            self._space = True
            words = words[1:]
        if words:
            trailing = words[-1] == " "
            self._write(words.rstrip(" "))
            self._space = trailing

    def end_link(self) -> None:
        href, text = self._href, "".join(self._link_text)
        self._href = None
        self._link_text.clear()
        if href is None or len(self.links) >= MAX_LINKS or not self._look.shows_text:
            return
        if (href, text) in self._known:
            return
        self._known.add((href, text))
        if (link := link_of(href, text)) is not None:
            self.links.append(link)

    def _void(self, tag: Open, look: Look) -> None:
        if tag.name == "br":
            self._break_line()
        elif tag.name == "hr":
            self._break(2)
        elif (
            tag.name == "img"
            and look.shows_text
            and not is_dot(tag.attributes)
            and (alt := tag.attributes.get("alt", "")).strip()
        ):
            self.add_text(f" {alt} ")

    def _end_implied(self, name: str) -> None:
        ended = _ENDS.get(name, frozenset[str]())
        if name in _LINES:
            ended = ended | _CLOSED_BY_LINES
        while self._open and self._open[-1][0] in ended:
            self._pop()

    def _pop(self) -> str:
        name, self._look = self._open.pop()
        self._counts[name] -= 1
        return name

    def _break_line(self) -> None:
        if self._look.shows_text:
            self.pieces.append("\n")
            self._newlines += 1
            self._space = False

    def _break(self, newlines: int) -> None:
        """Ends the line; with 2, leaves an empty one too."""
        self._space = False
        if self._look.shows_text and self._newlines < newlines:
            self.pieces.append("\n" * (newlines - self._newlines))
            self._newlines = newlines

    def _write(self, text: str) -> None:
        if not self._look.shows_text or not text:
            return
        if self._newlines:
            quotes = min(self._counts.get("blockquote", 0), 9)
            self.pieces.append("> " * quotes)
        elif self._space:
            self.pieces.append(" ")
            self.size_chars += 1
        self._space, self._newlines = False, 0
        self.pieces.append(text)
        self.size_chars += len(text)
        if self._href is not None and len(self._link_text) < 50:
            self._link_text.append(f" {text}" if self._link_text else text)

    def _write_lines(self, text: str) -> None:
        first, *others = text.splitlines() or [""]
        self._write(first)
        for line in others[:MAX_TOKENS]:
            self._break_line()
            self._write(line)
        if text.endswith("\n"):
            self._break_line()
