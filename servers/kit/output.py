"""How much a tool may say: a ceiling for results, and a way to cut long texts honestly."""

from fastmcp.tools import ToolResult
from mcp.types import ContentBlock, TextContent
from pydantic import BaseModel, Field
from pydantic_core import to_json

from servers.kit.errors import InvalidInput, TooLarge

MAX_RESULT_BYTES = 32_000
MAX_TEXT_CHARS = 8_000


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


def check_result_size(result: ToolResult) -> None:
    """Raises TooLarge for a result over the ceiling: half a JSON document is worse than none."""
    # Structured content travels twice (FastMCP adds it as text): the larger copy counts once.
    structured = result.structured_content
    size = max(
        0 if structured is None else len(to_json(structured)),
        sum(_size_bytes(block) for block in result.content),
    )
    if size > MAX_RESULT_BYTES:
        raise TooLarge(
            f"The result is {size:,} bytes, over the limit of {MAX_RESULT_BYTES:,}. Narrow the"
            " request: a smaller limit, a shorter range, fewer items or a later offset."
        )


def _size_bytes(block: ContentBlock) -> int:
    if isinstance(block, TextContent):
        return len(block.text.encode())
    return len(block.model_dump_json())
