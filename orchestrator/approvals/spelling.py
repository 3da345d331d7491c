"""The ways one text can be read: encodings and hidden characters that a program takes off."""

import html
import re
import unicodedata
from urllib.parse import unquote

_ROUNDS = 4
_TAG = re.compile(r"<[^<>]*>")
_MARKDOWN = re.compile(r"[*`~|\\]")
_DOT = re.compile(r"\s{0,3}[\[({]\s?(?:\.|dot|punkt|point)\s?[\])}]\s{0,3}", re.IGNORECASE)
_AT = re.compile(r"\s{0,3}[\[({]\s?(?:@|at)\s?[\])}]\s{0,3}", re.IGNORECASE)
_DEFANGED_SCHEME = re.compile(r"\bh(?:xx|\*\*)p(s?)(?=\W)", re.IGNORECASE)
# Dots that IDNA reads as full stops; compatibility forms of them are left to NFKC.
_DOTS = str.maketrans({"。": ".", "۔": ".", "\u2024": "."})
# Drawn as nothing, yet of other categories than Cf.
_BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u3164\uffa0")


def readings(text: str) -> tuple[list[str], bool]:
    """All readings of `text`, and whether it came to rest: an onion of encodings does not."""
    text = unicodedata.normalize("NFC", text)
    found = {text: None, _hidden_as_space(text): None}
    before = None
    for _ in range(_ROUNDS):
        before = text
        for decode in (_compatible, _without_hidden, unquote, html.unescape):
            text = decode(text)
            found[text] = None
    # What a tag says is read above; without it, what it holds apart comes together.
    for step in (_without_tags, _without_markdown, _refanged):
        found |= dict.fromkeys([step(form) for form in found])
    return list(found), text == before


def is_hidden(character: str) -> bool:
    """Whether `character` is drawn as nothing or only steers how others are drawn."""
    if character.isascii():
        return character < " " and character not in "\t\n\r"
    return (
        unicodedata.category(character) == "Cf"
        or character in _BLANK_LETTERS
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0100" <= character <= "\U000e01ef"
    )


def _without_hidden(text: str) -> str:
    return "".join(character for character in text if not is_hidden(character))


def _hidden_as_space(text: str) -> str:
    return "".join(" " if is_hidden(character) else character for character in text)


def _compatible(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_DOTS)


def _without_tags(text: str) -> str:
    return _TAG.sub("", text)


def _without_markdown(text: str) -> str:
    return _MARKDOWN.sub("", text)


def _refanged(text: str) -> str:
    return _DEFANGED_SCHEME.sub(r"http\1", _AT.sub("@", _DOT.sub(".", text)))
