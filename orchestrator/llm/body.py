"""Reading answers that are not streams, with a cap."""

from typing import Any

import aiohttp
import msgspec

from orchestrator.llm.chunks import is_object


async def read_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Return the body, or its first `max_bytes`; the rest is not read."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) >= max_bytes:
            break
    return bytes(body[:max_bytes])


def error_in(body: bytes) -> Any:
    """Return the error value of an error body, None when there is none to be found.

    FastAPI-made endpoints answer `{"detail": ...}`, some others `{"message": ...}`.
    """
    try:
        fields: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if not is_object(fields):
        return None
    return fields.get("error") or fields.get("detail") or fields.get("message")
