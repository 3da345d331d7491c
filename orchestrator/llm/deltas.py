"""What a streaming completion yields, and what it amounts to when it ends."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More reasoning text, for showing only."""

    text: str


@dataclass(frozen=True, slots=True)
class SourceDelta:
    """A citation (`annotations[].url_citation`)."""

    url: str
    title: str


@dataclass(frozen=True, slots=True)
class ImageDelta:
    """An image the model made, as the URL or data URL it sent."""

    url: str


@dataclass(frozen=True, slots=True)
class ModelSwitched:
    """An earlier model failed before its first token; `model` answers instead."""

    model: str
    reason: str


Delta = TextDelta | ReasoningDelta | SourceDelta | ImageDelta | ModelSwitched


@dataclass(frozen=True, slots=True)
class ModelToolCall:
    """A tool call as the model wrote it; `arguments` is its raw text, perhaps not valid JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and cost of one request; money in micro-dollars, rounded half up."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    cost_microusd: int = 0
    is_priced: bool = True
    """False when nobody says what it cost: then the cost above is 0 and means nothing."""


@dataclass(slots=True)
class Completion:
    """What has been received so far; whole once the stream has ended."""

    model: str
    text: str = ""
    reasoning: str = ""
    reasoning_details: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Every fragment exactly as received and in order (OpenRouter: return unmodified)."""
    tool_calls: list[ModelToolCall] = field(default_factory=list[ModelToolCall])
    sources: list[SourceDelta] = field(default_factory=list[SourceDelta])
    images: list[str] = field(default_factory=list[str])
    finish_reason: str | None = None
    """`stop`, `length`, `tool_calls` or `content_filter`."""
    usage: Usage | None = None
    generation_id: str | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One request for one round, in OpenAI wire terms."""

    model: str
    """`author/model` at OpenRouter, `endpoint:model` at a named endpoint; fallbacks likewise."""
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    fallback_models: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    """Further top-level fields of the request body, e.g. `temperature`, `reasoning`, `provider`.

    Each model that is tried gets those of them that it and its endpoint take."""
    session_id: str | None = None
