"""What upstream sends: stream chunks and whole completions, decoded by type.

Shapes: OpenRouter's OpenAPI file of 2026-08-22. Everything may be missing or null, because
OpenAI-compatible endpoints differ; unknown fields are ignored. A whole completion differs from
a chunk only in `choices[].message` instead of `choices[].delta`, so one type reads both.
"""

from decimal import Decimal
from typing import Any, TypeGuard

import msgspec

Raw = dict[str, Any]


def is_object(value: Any) -> TypeGuard[Raw]:
    """Tell whether a decoded JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Tell whether a decoded JSON value is a list."""
    return isinstance(value, list)


class FunctionPart(msgspec.Struct):
    """A fragment of a call; `arguments` is a piece of JSON text (an object from Ollama)."""

    name: str | None = None
    arguments: str | Raw | None = None


class ToolCallPart(msgspec.Struct):
    """A fragment of one of several parallel tool calls, told apart by `index`."""

    index: int | None = None
    id: str | None = None
    function: FunctionPart | None = None


class MessagePart(msgspec.Struct):
    """`delta` of a chunk, or `message` of a whole completion."""

    content: str | list[Raw] | None = None
    """Some providers send a list of parts with `text`."""
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    """The name DeepSeek and vLLM use for `reasoning`."""
    reasoning_details: list[Raw] | None = None
    tool_calls: list[ToolCallPart] | None = None
    annotations: list[Raw] | None = None
    images: list[Raw] | None = None


class Choice(msgspec.Struct):
    """One of the alternatives; only index 0 is ever asked for."""

    index: int | None = 0
    delta: MessagePart | None = None
    message: MessagePart | None = None
    finish_reason: str | None = None
    error: Any = None


Count = int | float | None
"""Some gateways write whole numbers with a point."""


class PromptDetails(msgspec.Struct):
    """Where the prompt's tokens came from."""

    cached_tokens: Count = None


class CompletionDetails(msgspec.Struct):
    """What the answer's tokens were spent on."""

    reasoning_tokens: Count = None


class UsageReport(msgspec.Struct):
    """Tokens and cost; `cost` in dollars, read exactly as its decimal digits stand."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    cost: Decimal | None = None


class Chunk(msgspec.Struct):
    """One event of a stream. Usage and debug chunks have no choices."""

    id: str | None = None
    model: str | None = None
    provider: str | None = None
    choices: list[Choice] | None = None
    usage: UsageReport | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(Chunk)


class UnreadableChunk(Exception):
    """The text is not JSON, or not of the shape above."""


def decode_chunk(data: bytes) -> Chunk:
    """Return the chunk in `data`; raises UnreadableChunk."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableChunk(str(error)) from error
