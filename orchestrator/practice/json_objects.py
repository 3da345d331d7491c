"""JSON objects in texts that may hold anything."""

import json
import re
from typing import Any, TypeGuard

_OBJECT_START = re.compile(r"^\{", re.MULTILINE)
_MAX_STARTS = 100


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Tell whether a decoded JSON value is an object."""
    return isinstance(value, dict)


def as_object(value: Any) -> dict[str, Any]:
    """Return the value when it is an object, else an empty one."""
    return value if is_object(value) else {}


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Tell whether a decoded JSON value is a list."""
    return isinstance(value, list)


def as_list(value: Any) -> list[Any]:
    """Return the value when it is a list, else an empty one."""
    return value if is_list(value) else []


def parse_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that the text is, None when it is something else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if is_object(value) else None


def object_in(text: str) -> dict[str, Any] | None:
    """Return the first JSON object that starts a line; there may be notes around it."""
    starts = [match.start() for match in _OBJECT_START.finditer(text)]
    for start in starts[:_MAX_STARTS]:
        try:
            value, _ = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        return as_object(value)
    return None
