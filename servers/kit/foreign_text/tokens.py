"""HTML as a row of tokens, by the rules of browsers, in one pass whatever it holds.

A tree is what makes hostile HTML dear: lexbor needs 268 s for 200,000 nested `<div>`, and the
standard library's parser reads again and again what never ends (measured 2026-11-20).
"""

import html
import re
from collections.abc import Generator
from typing import NamedTuple, TypeAlias

_START = re.compile(r"<(?=[a-zA-Z/!?])")
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*+)")
# After "=" a quotation mark begins a value; one that never ends takes all the rest.
_ATTRIBUTE = re.compile(
    r"[\s/]*+(?P<name>[^\s/>][^\s/>=]*+)"
    r"(?:\s*+=\s*+(?:\"(?P<double>[^\"]*+)(?:\"|\Z)|'(?P<single>[^']*+)(?:'|\Z)|(?P<bare>[^\s>]*+)))?+"
)
_TAG_END = re.compile(r"[\s/]*+>")
_COMMENT_END = re.compile(r"--!?>")
# int() refuses a number of more than 4,300 digits.
_LONG_REFERENCE = re.compile(r"&#(?:[0-9]{8,}+|[xX][0-9a-fA-F]{8,}+);?")
_RAW = frozenset({"script", "style", "xmp", "iframe", "noembed", "noframes", "textarea", "title"})
_KEPT_ATTRIBUTES = frozenset(
    {
        *("style", "class", "id", "hidden", "href", "alt", "background", "bgcolor", "color"),
        *("width", "height", "media"),
    }
)


class Text(NamedTuple):
    text: str


class Open(NamedTuple):
    name: str
    attributes: dict[str, str]
    raw: str = ""
    """What stands in an element that holds no others, like `<style>`."""


class Close(NamedTuple):
    name: str


Token: TypeAlias = Text | Open | Close


def tokens_of(page: str) -> Generator[Token]:
    """What stands in a page, without comments; an element like `<style>` is one `Open`."""
    at = 0
    while at < len(page):
        start = _START.search(page, at)
        end = start.start() if start else len(page)
        if end > at:
            yield Text(unescaped(page[at:end]))
        if start is None:
            return
        tag = _TAG.match(page, end)
        if tag is None:
            at = _after_comment(page, end)
            continue
        attributes, at = _attributes(page, tag.end())
        if at > len(page):
            return
        name = tag[2].lower()
        if tag[1]:
            yield Close(name)
        elif name in _RAW:
            raw, at = _raw_text(page, name, at)
            yield Open(name, attributes, raw)
        elif name == "plaintext":
            yield Text(page[at:])
            return
        else:
            yield Open(name, attributes)


def unescaped(text: str) -> str:
    """The text with its character references resolved."""
    return html.unescape(_LONG_REFERENCE.sub("\ufffd", text)) if "&" in text else text


def _attributes(page: str, at: int) -> tuple[dict[str, str], int]:
    """Those that say how it looks or where it leads, and where the tag ends.

    A tag that never ends is none: then the end is beyond the page.
    """
    found: dict[str, str] = {}
    while True:
        if end := _TAG_END.match(page, at):
            return found, end.end()
        attribute = _ATTRIBUTE.match(page, at)
        if attribute is None:
            return {}, len(page) + 1
        at = attribute.end()
        name = attribute["name"].lower()
        if name in _KEPT_ATTRIBUTES and name not in found:
            value = attribute["double"] or attribute["single"] or attribute["bare"] or ""
            found[name] = unescaped(value)


def _after_comment(page: str, at: int) -> int:
    if not page.startswith("<!--", at):
        end = page.find(">", at)
        return len(page) if end < 0 else end + 1
    for empty in (">", "->"):
        if page.startswith(empty, at + 4):
            return at + 4 + len(empty)
    end = _COMMENT_END.search(page, at + 4)
    return end.end() if end else len(page)


def _raw_text(page: str, name: str, at: int) -> tuple[str, int]:
    """What stands before the end tag of the element, and where that begins."""
    end = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(page, at)
    stop = end.start() if end else len(page)
    return page[at:stop], stop
