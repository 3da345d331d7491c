"""What fits into a result: counted in bytes of JSON, for a character can take six."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel
from pydantic_core import to_json

MAX_PAGE_BYTES = 27_000
"""Of items; the rest of a result is small."""
MAX_BODY_BYTES = 14_000

Item = TypeVar("Item", bound=BaseModel)


def size_bytes(value: object) -> int:
    return len(to_json(value)) + 1


def fitting(items: Sequence[Item], max_bytes: int) -> list[Item]:
    """The first items that fit together."""
    fit: list[Item] = []
    for item in items:
        max_bytes -= size_bytes(item)
        if max_bytes < 0:
            break
        fit.append(item)
    return fit


def cut(text: str, max_bytes: int) -> str:
    """The beginning of a text that fits."""
    while (size := size_bytes(text)) > max_bytes:
        text = text[: len(text) * max_bytes // (size + 1)]
    return text
