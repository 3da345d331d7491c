"""Cursors: the sort key of the last row, opaque to the client."""

import base64
import binascii
import json

from orchestrator.errors import NotFound


def encode_cursor(*key: str | int) -> str:
    """Return an opaque text for the sort key of the last row of a page."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *kinds: type[str] | type[int]) -> list[str | int]:
    """Return the key that `encode_cursor` was given.

    Raises NotFound when `cursor` is not one of ours or its parts are not of `kinds`.
    """
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if [type(part) for part in key] == list(kinds):
            json.dumps(key, ensure_ascii=False).encode()  # SQLite takes no half surrogate pair.
            return key
    except (binascii.Error, ValueError, TypeError):
        pass
    raise NotFound("There is no such page: the cursor is not one of ours. Start without one.")
