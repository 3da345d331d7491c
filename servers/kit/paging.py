"""Lists that come in pages: the page itself and the opaque cursor to the next one."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Generic, TypeVar

from pydantic import BaseModel, Field, ValidationError

from servers.kit.errors import InvalidInput

T = TypeVar("T")
State = TypeVar("State", bound=BaseModel)


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None = Field(
        default=None, description="Pass as cursor for the next page; null on the last page."
    )
    truncated: bool = Field(default=False, description="Items were left out of this page.")


def encode_cursor(state: BaseModel) -> str:
    """An opaque text from which `decode_cursor` restores `state`."""
    return urlsafe_b64encode(state.model_dump_json().encode()).decode().rstrip("=")


def decode_cursor(cursor: str, state: type[State]) -> State:
    """The state in a cursor of `encode_cursor`. Raises InvalidInput for any other text."""
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return state.model_validate_json(raw)
    except (ValueError, binascii.Error, ValidationError) as error:
        raise InvalidInput(
            "cursor is not one this tool gave: leave it out to start again, or pass next_cursor"
            " of the last page unchanged."
        ) from error
