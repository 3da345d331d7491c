"""What a reader would not see in a text, taken out of it."""

import re
import unicodedata

MAX_MARKS = 4
"""Combining marks in a row; Vietnamese needs two, pointed Hebrew three."""

_JOINERS = frozenset("\u200c\u200d")
_VARIATION = "\ufe0f"
# Letters and symbols by category, but drawn as nothing (Unicode's Default_Ignorable_Code_Point,
# and the empty Braille cell).
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_MANY_MARKS = re.compile(
    r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{4})"
    r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]++"
)
_JOINED = re.compile(r"[\u200c\u200d]++")
_TRAILING = re.compile(r"(?<! ) ++(?=\n)")
_EMPTY_LINES = re.compile(r"\n{3,}+")


def clean_text(text: str, max_chars: int) -> str:
    """The text without characters that are drawn as nothing or turn the direction of others.

    Lines end with a newline, at most one empty line stands between two others. Cut to `max_chars`.
    """
    # Most characters that go away are few in an honest text; ten times as many are not.
    text = _LINE_ENDS.sub("\n", text[: max_chars * 10])
    text = _JOINED.sub(_kept_joiner, text)
    text = text.translate({ord(char): _seen(char) for char in set(text)})
    text = _MANY_MARKS.sub(r"\1", text)
    text = _EMPTY_LINES.sub("\n\n", _TRAILING.sub("", text))
    return text.strip("\n")[:max_chars]


def _seen(char: str) -> str | None:
    if char in "\n\t" or char in _JOINERS or char == _VARIATION:
        return char
    category = unicodedata.category(char)
    if category in _UNSEEN or char in _BLANK or _is_selector(char):
        return None
    return " " if category == "Zs" else char


def _is_selector(char: str) -> bool:
    """Whether it only chooses a form of the one before: a row of them can spell a message."""
    return "\ufe00" <= char <= "\ufe0e" or "\U000e0100" <= char <= "\U000e01ef"


def _kept_joiner(match: re.Match[str]) -> str:
    """One joiner where it changes what is seen: in Persian or Indic words and between emoji."""
    text, start, end = match.string, match.start(), match.end()
    if start == 0 or end == len(text):
        return ""
    before, after = text[start - 1], text[end]
    joins = (_is_joining(before) and _is_joining(after)) or (
        match[0][0] == "\u200d" and _is_pictured(before) and _is_pictured(after)
    )
    return match[0][0] if joins else ""


def _is_joining(char: str) -> bool:
    return "\u0600" <= char <= "\u08ff" or "\u0900" <= char <= "\u0dff"


def _is_pictured(char: str) -> bool:
    return char == _VARIATION or unicodedata.category(char) in {"So", "Sk"}
