"""Where a list of Gmail goes on: its own page, and how many of that were told already."""

from collections.abc import Sequence

from pydantic import BaseModel

from servers.gmail.client import Message
from servers.kit.paging import decode_cursor, encode_cursor


class Place(BaseModel):
    page: str | None
    limit: int
    skip: int = 0


def place_of(cursor: str | None, limit: int) -> Place:
    """Where to begin; the cursor knows the limit of its list. Raises InvalidInput."""
    return decode_cursor(cursor, Place) if cursor else Place(page=None, limit=limit)


def cursor_after(
    place: Place, listed: Message, ids: Sequence[str], left_out: str | None
) -> str | None:
    """The cursor of what follows; `left_out` is the first of `ids` that did not fit."""
    if left_out is not None:
        skip = place.skip + list(ids).index(left_out)
        return encode_cursor(place.model_copy(update={"skip": skip}))
    if listed.get("nextPageToken"):
        return encode_cursor(Place(page=str(listed["nextPageToken"]), limit=place.limit))
    return None
