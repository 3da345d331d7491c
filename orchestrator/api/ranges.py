"""Which bytes a request asks for, and whether it has them already (RFC 9110)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SINGLE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from `start` up to, not including, `end`."""

    start: int
    end: int


class NotSatisfiable(Exception):
    """No byte of what there is lies in the range."""


def requested_range(headers: Mapping[str, str], size: int, etag: str) -> ByteRange | None:
    """Return the one range that is asked for, cut to `size`, or None for the whole.

    Several ranges, and what is no range, ask for the whole, and so does a range of something that
    has changed since. Raises NotSatisfiable.
    """
    match = _SINGLE.fullmatch(headers.get("range", ""))
    if match is None or headers.get("if-range", etag) != etag:
        return None
    first, last = match.groups()
    if not first:
        return _last_bytes(last, size)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise NotSatisfiable
    return ByteRange(int(first), min(int(last) + 1, size) if last else size)


def _last_bytes(count: str, size: int) -> ByteRange | None:
    if not count:
        return None
    if int(count) == 0 or size == 0:
        raise NotSatisfiable
    return ByteRange(max(size - int(count), 0), size)


def has_it_already(headers: Mapping[str, str], etag: str) -> bool:
    """Tell whether `If-None-Match` names `etag`."""
    tags = headers.get("if-none-match", "").split(",")
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in tags)
