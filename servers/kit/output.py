"""How much a tool may say: a ceiling for results, and a way to cut long texts honestly."""

import re
from collections.abc import Mapping
from typing import Any

from fastmcp.tools import ToolResult
from mcp.types import (
    AudioContent,
    BlobResourceContents,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
)
from pydantic import BaseModel, Field
from pydantic_core import to_json

from servers.kit.errors import InvalidInput, TooLarge

MAX_RESULT_BYTES = 32_000
MAX_TEXT_CHARS = 8_000
MAX_FILE_BYTES = 4_096
_MAX_BASE64_CHARS = -(-MAX_FILE_BYTES // 3) * 4
_SHORTEST_LINE = 60
_WORDS = bytes(
    char if re.match(rb"[A-Za-z0-9+/_-]", bytes([char])) else ord(" ") for char in range(256)
)
# In one piece, or in lines as MIME and PEM have them. It looks at the beginnings of runs only and
# gives nothing back, so that it takes no longer for texts made to make it slow.
_ENCODED = re.compile(
    rb"(?<![A-Za-z0-9+/_-])(?:[A-Za-z0-9+/_-]{%d,}+|(?:[A-Za-z0-9+/]{%d,76}+\n)++)"
    % (_MAX_BASE64_CHARS + 1, _SHORTEST_LINE)
)


class TextPart(BaseModel):
    """A piece of a longer text."""

    text: str
    offset: int = Field(description="Where this piece starts, in characters.")
    total_chars: int
    truncated: bool = Field(description="More follows: ask again with offset=next_offset.")
    next_offset: int | None


def text_part(text: str, offset: int = 0, max_chars: int = MAX_TEXT_CHARS) -> TextPart:
    """The piece of `text` that starts at `offset`, at most `max_chars` (and 8,000) long.

    Raises InvalidInput for an offset outside the text.
    """
    if not 0 <= offset <= len(text):
        raise InvalidInput(f"offset is {offset}: use 0 to {len(text)}, the length of the text.")
    piece = text[offset : offset + min(max_chars, MAX_TEXT_CHARS)]
    end = offset + len(piece)
    truncated = end < len(text)
    return TextPart(
        text=piece,
        offset=offset,
        total_chars=len(text),
        truncated=truncated,
        next_offset=end if truncated else None,
    )


def within_bytes(text: str, max_bytes: int) -> str:
    """The longest begin of a text that takes at most so many bytes in a result (in its JSON)."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if len(to_json(text[:middle])) - len('""') <= max_bytes:
            low = middle
        else:
            high = middle - 1
    return text[:low]


def check_result(result: ToolResult) -> None:
    """Raises TooLarge for a result over the ceiling: half a JSON document is worse than none.

    So it does for one with more than 4 kB of a file.
    """
    # First, so that whoever returns a picture reads what to do, not just that it is large.
    if sum(_file_bytes(block) for block in result.content) > MAX_FILE_BYTES:
        raise TooLarge(_NOT_IN_RESULTS)
    # Structured content travels twice (FastMCP adds it as text): the larger copy counts once.
    structured = result.structured_content
    written = b"" if structured is None else to_json(structured)
    size = max(len(written), sum(_size_bytes(block) for block in result.content))
    if size <= _MAX_BASE64_CHARS:
        return
    texts = (to_json(block.text) for block in result.content if isinstance(block, TextContent))
    if any(_has_base64(text) for text in (written, *texts)):
        raise TooLarge(_NOT_IN_RESULTS)
    if size > MAX_RESULT_BYTES:
        raise TooLarge(
            f"The result is {size:,} bytes, over the limit of {MAX_RESULT_BYTES:,}. Narrow the"
            " request: a smaller limit, a shorter range, fewer items or a later offset."
        )


_NOT_IN_RESULTS = (
    f"The result has more than {MAX_FILE_BYTES:,} bytes of a file in it. The tool has to save them"
    " in the file store of its server and return the attachment_id."
)


def check_arguments(arguments: Mapping[str, Any] | None) -> None:
    """Raises InvalidInput for arguments with more than 4 kB of a file in them."""
    if arguments and _has_base64(to_json(arguments)):
        raise InvalidInput(
            f"The arguments have more than {MAX_FILE_BYTES:,} bytes of a file in them. Tools take"
            " the attachment_id of a stored file instead."
        )


def _has_base64(written: bytes) -> bool:
    """Whether JSON has so much that looks like the bytes of a file, and not like a long number."""
    if len(written) <= _MAX_BASE64_CHARS:
        return False
    lines = written.replace(rb"\r\n", b"\n").replace(rb"\n", b"\n")
    # Prose has no such words, and reading it so is ten times as fast.
    if max(map(len, lines.translate(_WORDS).split()), default=0) < _SHORTEST_LINE:
        return False
    return any(
        len(match[0]) > _MAX_BASE64_CHARS
        and re.search(rb"[A-Z]", match[0])
        and re.search(rb"[a-z]", match[0])
        for match in _ENCODED.finditer(lines)
    )


def _file_bytes(block: ContentBlock) -> int:
    match block:
        case ImageContent(data=data) | AudioContent(data=data):
            return len(data) * 3 // 4
        case EmbeddedResource(resource=BlobResourceContents(blob=blob)):
            return len(blob) * 3 // 4
        case _:
            return 0


def _size_bytes(block: ContentBlock) -> int:
    if isinstance(block, TextContent):
        return len(block.text.encode())
    return len(block.model_dump_json())
