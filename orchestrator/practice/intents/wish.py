"""One thing that a message asks for, and the tool that can do it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class OneOf:
    """A word that a schema may spell in several ways; the first that its enum has is used."""

    spellings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wish:
    """`values` are named by what they mean; `toolbox` finds the tool's own argument names."""

    start: int
    end: int
    """Where in the message it was found."""
    tool: str
    label: str
    """The wish in the words of the person."""
    values: Mapping[str, Any]
