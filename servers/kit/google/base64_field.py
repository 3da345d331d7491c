"""One long base64url text out of a JSON answer, without holding all of it."""

import base64
import binascii
from collections.abc import AsyncGenerator

import httpx2

from servers.kit.errors import Unavailable
from servers.kit.google.sending import limited

MAX_HEAD_BYTES = 64 * 1024


async def decoded_field(
    response: httpx2.Response, field: str, max_bytes: int
) -> AsyncGenerator[bytes]:
    """The bytes in `"field": "BASE64URL"` of an answer.

    Raises TooLarge, Unavailable for an answer without it, and httpx2.HTTPError.
    """
    decoder = _Decoder(field)
    async for chunk in limited(response, max_bytes):
        if piece := decoder.feed(chunk):
            yield piece
    yield decoder.end()


class _Decoder:
    """Finds the text in pieces of the answer and decodes it four characters at a time.

    Google writes the field on one line and escapes nothing in base64url, so that the first quote
    after it ends it; what stands before is looked at as text, which a name in quotes survives.
    """

    def __init__(self, field: str) -> None:
        self._opening = f'"{field}"'.encode()
        self._rest = b""
        self._has_begun = False
        self._has_ended = False

    def feed(self, chunk: bytes) -> bytes:
        """What can be decoded now."""
        if self._has_ended:
            return b""
        text = self._rest + chunk
        if not self._has_begun:
            text = self._begin(text)
            if not self._has_begun:
                return b""
        text, quote, _ = text.partition(b'"')
        self._has_ended = bool(quote)
        whole = len(text) if self._has_ended else len(text) - len(text) % 4
        self._rest = text[whole:]
        return _decoded(text[:whole])

    def end(self) -> bytes:
        """Raises Unavailable when the text was not there, or not whole."""
        if not self._has_ended:
            raise Unavailable("Google's answer does not hold the file, or not all of it.")
        return b""

    def _begin(self, text: bytes) -> bytes:
        """What follows the opening quote of the value, once it is there."""
        _, found, after = text.partition(self._opening)
        _, quote, value = after.partition(b'"')
        if found and quote:
            self._has_begun = True
            return value
        if len(text) > MAX_HEAD_BYTES:
            raise Unavailable("Google's answer does not hold the file.")
        self._rest = text
        return b""


def _decoded(text: bytes) -> bytes:
    padded = text + b"=" * (-len(text) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise Unavailable("Google's answer holds a file that cannot be decoded.") from error
