"""Finds every place that a value could lead to, and tells which of them the owner typed.

Searching is generous, since what is found too much costs one question; comparing is strict, since
what is taken for typed costs none: whole destinations only, never a part of a longer one, and no
two characters that merely look alike are the same.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, cast

from orchestrator.approvals.addresses import scan
from orchestrator.approvals.spelling import is_hidden, readings

MAX_CHARS = 32_000
MAX_TYPED_CHARS = 4_000
"""A longer message was pasted, most of it by somebody else: it vouches for nothing."""
MAX_DEPTH = 50
MAX_PLACES = 100
"""More in one call are not looked up: each takes a millisecond, and all other chats wait."""
UNREADABLE = "text that cannot be searched"
"""Stands for what a text may hide that is too long or too often encoded; nobody types it."""

_SEPARATORS = re.compile(r"[,;\n]")
_WITH_DISPLAY_NAME = re.compile(r"[^<>@,;:\n]*<[^<>\s]+>\s*")
_BRACKETS = " \t\r\n<>()\"',;"
# What may stand beside a name in a sentence. A dot, a hyphen or an @ inside it would make it a part
# of something longer.
_BEFORE = r"(?:^['@]?|(?<=[\s\"“”«»‘’(\[{<>,;:!?`*#–—])|(?<=[\s\"(\[,]['@]))"
_IN_A_SENTENCE = r"(?<=[^\s.!?…:][ ])"
_MARKED = r"(?:^['@]|(?<=[\"“”«»‘’`#])|(?<=[\s\"(\[,]['@]))"
_AFTER = r"(?=$|[\s\"“”«»‘’)\]}<>,;:!?`*–—]|'s?(?!\w)|\.(?:$|[\s\"'”’)]))"
_MIN_NAME_CHARS = 3


def destinations_in(value: Any) -> frozenset[str]:
    """Every URL, host, e-mail address, phone or account number in `value`, normalised.

    Looks into lists, objects and their keys, and behind percent signs, HTML, punycode, hidden and
    compatibility characters, `[at]` and `[dot]`. Holds UNREADABLE where it could not look.
    """
    texts = list(texts_in(value))
    if sum(map(len, texts)) > MAX_CHARS:
        return frozenset({UNREADABLE})
    return frozenset[str]().union(*map(_found_in, texts))


def typed_by_owner(destination: str, owner_texts: Sequence[str]) -> bool:
    """Whether the owner typed this address or name, as a whole, in one of his messages."""
    return OwnerTexts(owner_texts).hold(destination)


def texts_in(value: Any, depth: int = 0) -> Iterator[str]:
    """Every string and number in a JSON value, keys of objects among them."""
    # `cast`: of a JSON value no type is known but that it is one.
    if depth > MAX_DEPTH:
        yield "?" * (MAX_CHARS + 1)  # too long to be searched, as is what is nested too deep
    elif isinstance(value, str):
        yield value
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, dict):
        for key, item in cast("dict[object, object]", value).items():
            yield str(key)
            yield from texts_in(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in cast("list[object]", value):
            yield from texts_in(item, depth + 1)
    else:
        yield str(value)


class OwnerTexts:
    """What the owner typed, to look destinations up in."""

    def __init__(self, texts: Sequence[str]) -> None:
        typed = [text for text in texts if len(text) <= MAX_TYPED_CHARS]
        self._texts = [_on_one_line(text) for text in typed]
        self._typed = frozenset[str]().union(*map(_found_in, typed)) - {UNREADABLE}

    def hold(self, destination: str) -> bool:
        """Whether all of `destination` was typed: addresses, or else names, one or several."""
        return self._holds_one(destination) or (
            1 < len(parts := _SEPARATORS.split(destination)) <= MAX_PLACES
            and all(self._holds_one(part) for part in parts if part.strip())
            and any(part.strip() for part in parts)
        )

    def untyped(self, destinations: frozenset[str]) -> frozenset[str]:
        """Those of `destinations_in` that were not typed."""
        return destinations - self._typed

    def _holds_one(self, text: str) -> bool:
        found = _found_in(text)
        if not found:
            return self._holds_name(text)
        is_only_that = not scan(text).rest.strip(_BRACKETS) or _WITH_DISPLAY_NAME.fullmatch(text)
        return bool(is_only_that) and not self.untyped(found)

    def _holds_name(self, text: str) -> bool:
        name = _on_one_line(text).strip()
        if sum(map(str.isalnum, name)) < _MIN_NAME_CHARS or any(map(is_hidden, text)):
            return False
        words = name.split()
        # "all" or "general" stands in many a sentence without naming a list or a channel, and
        # the first word of each has a capital.
        is_common = all(map(str.isalpha, words)) and (len(words) == 1 or name == name.lower())
        if is_common and name != name.lower() and _contain(self._texts, _IN_A_SENTENCE, name):
            return True
        # Not IGNORECASE, which takes ſ for s.
        lowered = [text.lower() for text in self._texts]
        return _contain(lowered, _MARKED if is_common else _BEFORE, name.lower())


def _found_in(text: str) -> frozenset[str]:
    if len(text) > MAX_CHARS:
        return frozenset({UNREADABLE})
    forms, is_complete = readings(text)
    found = frozenset[str]().union(*(scan(form).found for form in forms))
    return found if is_complete else found | {UNREADABLE}


def _contain(texts: Sequence[str], before: str, name: str) -> bool:
    pattern = re.compile(before + re.escape(name) + _AFTER)
    return any(pattern.search(text) for text in texts)


def _on_one_line(text: str) -> str:
    # Not NFKC: a compatibility character is another one to the program that gets the name.
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text))
