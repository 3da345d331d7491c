"""What a call would do, in words for the owner who is asked to approve it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class PreviewLine(BaseModel):
    """One fact, such as To: bo@example.org."""

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, Field(max_length=80)]
    value: Annotated[str, Field(max_length=300)]


class Preview(BaseModel):
    """What would be done; others may have written every word of it."""

    model_config = ConfigDict(frozen=True)

    lines: Annotated[tuple[PreviewLine, ...], Field(max_length=20)] = ()
    text: Annotated[str, Field(max_length=2_000)] | None = None
    """The beginning of a text that is part of it."""
    problem: str | None = None
    """Why there is none, in one sentence; lines and text are empty then."""
