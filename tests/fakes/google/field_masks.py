"""Partial answers: `fields=items(id,start/dateTime),nextPageToken`."""

import re
from typing import Any

from tests.fakes.google.refusals import Refused

Mask = dict[str, Any]


def masked(answer: Any, fields: str | None) -> Any:
    """Return the part of an answer that was asked for; everything for None. Raises Refused."""
    if fields is None:
        return answer
    tokens = re.findall(r"[^,/()]+|[,/()]", fields)
    mask, rest = _selection(tokens)
    if rest or not mask:
        raise Refused(400, f"Invalid field selection {fields}", "invalidParameter")
    return _part(answer, mask)


def _selection(tokens: list[str]) -> tuple[Mask, list[str]]:
    mask: Mask = {}
    while tokens and tokens[0] not in "/()":
        name, tokens = tokens[0].strip(), tokens[1:]
        inner = mask.setdefault(name, {})
        while tokens and tokens[0] == "/":
            name, tokens = tokens[1].strip(), tokens[2:]
            inner = inner.setdefault(name, {})
        if tokens and tokens[0] == "(":
            found, tokens = _selection(tokens[1:])
            if not tokens or tokens[0] != ")":
                return {}, []
            tokens = tokens[1:]
            inner.update(found)
        if tokens and tokens[0] == ",":
            tokens = tokens[1:]
    return mask, tokens


def _part(value: Any, mask: Mask) -> Any:
    if not mask:
        return value
    if isinstance(value, list):
        return [_part(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    if "*" in mask:
        return {name: _part(content, mask["*"]) for name, content in value.items()}
    return {name: _part(value[name], inner) for name, inner in mask.items() if name in value}
