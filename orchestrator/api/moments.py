"""Points in time as requests write them."""

from datetime import date
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator


def _rfc3339(text: object) -> object:
    """Refuse the numbers that pydantic would take for seconds since 1970."""
    if isinstance(text, str) and text[4:5] != "-":
        raise ValueError("write a time such as 2026-11-20T10:30:00Z")
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]
Day = Annotated[date, BeforeValidator(_rfc3339)]
