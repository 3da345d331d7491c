"""Which model answers, how it is asked, and where: the content of `data/model_settings.json`.

Names and ranges of parameters are those of OpenRouter's chat completions API.
"""

import json
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StrictBool, field_validator

from orchestrator.domain.servers import NAME_OF_SECRET
from orchestrator.domain.values import Value
from orchestrator.domain.web_address import check_web_address

ModelId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S+$")]
"""`author/model` at OpenRouter, or `endpoint:model` at a named endpoint."""
EndpointName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Word = Annotated[str, Field(min_length=1, max_length=200)]
"""A slug or the like; the bounds also keep out half characters, which nothing can store."""
SystemPromptText = Annotated[str, Field(max_length=50_000)]
Words = Annotated[tuple[Word, ...], Field(max_length=100)]
DollarsPerMillion = Annotated[Decimal, Field(ge=0, le=1_000_000, max_digits=16)]
"""US dollars per million tokens; the same number is micro-dollars per token."""
ModelRole = Literal["chat", "title", "worker"]
MAX_ENDPOINTS = 50
OPENROUTER = "openrouter"
"""The endpoint that OPENROUTER_BASE_URL names, which needs no prefix."""


def _is_json(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what Python's parser lets through and nothing can store: NaN and half characters."""
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return value


class Reasoning(Value):
    """How much a model may think before it answers."""

    effort: Literal["max", "xhigh", "high", "medium", "low", "minimal", "none"] | None = None
    max_tokens: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] | None = None
    exclude: StrictBool | None = None
    enabled: StrictBool | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class Parameters(Value):
    """How a model is asked; what is null is left to the model."""

    temperature: Annotated[float, Field(strict=True, ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(strict=True, ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(strict=True, ge=0)] | None = None
    min_p: Annotated[float, Field(strict=True, ge=0, le=1)] | None = None
    top_a: Annotated[float, Field(strict=True, ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] | None = None
    frequency_penalty: Annotated[float, Field(strict=True, ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(strict=True, ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Field(strict=True, ge=0, le=2)] | None = None
    seed: Annotated[int, Field(strict=True, ge=-(2**53), le=2**53)] | None = None
    stop: Annotated[tuple[Word, ...], Field(max_length=4)] | None = None
    logit_bias: dict[Word, Annotated[float, Field(strict=True, ge=-100, le=100)]] | None = None
    logprobs: StrictBool | None = None
    top_logprobs: Annotated[int, Field(strict=True, ge=0, le=20)] | None = None
    parallel_tool_calls: StrictBool | None = None
    tool_choice: Literal["none", "auto", "required"] | None = None
    response_format: Annotated[dict[str, Any], AfterValidator(_is_json)] | None = None
    structured_outputs: StrictBool | None = None
    verbosity: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    reasoning: Reasoning | None = None


class MaxPrice(Value):
    """What a provider may ask at most, in US dollars: per million tokens, image or request."""

    prompt: DollarsPerMillion | None = None
    completion: DollarsPerMillion | None = None
    image: DollarsPerMillion | None = None
    audio: DollarsPerMillion | None = None
    request: DollarsPerMillion | None = None


class ProviderRouting(Value):
    """Which of OpenRouter's providers may serve a request, and in which order."""

    order: Words | None = None
    only: Words | None = None
    ignore: Words | None = None
    allow_fallbacks: StrictBool | None = None
    require_parameters: StrictBool | None = None
    data_collection: Literal["allow", "deny"] | None = None
    zdr: StrictBool | None = None
    """Only providers that keep no data (zero data retention)."""
    quantizations: Words | None = None
    sort: Literal["price", "throughput", "latency"] | None = None
    max_price: MaxPrice | None = None


class Price(Value):
    """What a model costs where its endpoint does not say."""

    prompt: DollarsPerMillion
    completion: DollarsPerMillion


class ModelEndpoint(Value):
    """A service beside OpenRouter that speaks the OpenAI wire format."""

    title: Annotated[str, Field(max_length=80)] = ""
    base_url: Annotated[str, Field(max_length=2048)]
    """Up to and including `/v1`."""
    api_key_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,127}$")] | None = None
    """Environment variable that holds the key."""
    api_key_secret: Annotated[str, Field(pattern=NAME_OF_SECRET)] | None = None
    """Name of the secret in the vault that is the key."""
    prices: dict[Word, Price] = Field(default_factory=dict[Word, Price])
    """By model, as this endpoint calls it."""

    @field_validator("base_url")
    @classmethod
    def _is_a_base_url(cls, value: str) -> str:
        parts = check_web_address(value)
        if parts.query or parts.fragment:
            raise ValueError("must not hold a query or fragment")
        return value.rstrip("/")


class RoleModels(Value):
    """Models for work beside the chat; null takes the model of the chat."""

    title: ModelId | None = None
    worker: ModelId | None = None


class ModelChoice(Value):
    """A model and how it is asked: what presets and sessions carry, too."""

    model: ModelId | None = None
    fallback_models: Annotated[tuple[ModelId, ...], Field(max_length=8)] | None = None
    parameters: Parameters = Parameters()
    provider: ProviderRouting = ProviderRouting()


class SessionSettings(ModelChoice):
    """What the turns of one session do differently."""

    disabled_servers: Annotated[tuple[Word, ...], Field(max_length=200)] = ()
    """Ids of servers whose tools are not offered."""


class ModelSettings(ModelChoice):
    """The content of `data/model_settings.json`; null leaves the choice to the next layer."""

    version: Literal[1] = 1
    roles: RoleModels = RoleModels()
    system_prompt: SystemPromptText | None = None
    endpoints: dict[EndpointName, ModelEndpoint] = Field(
        default_factory=dict[EndpointName, ModelEndpoint], max_length=MAX_ENDPOINTS
    )

    @field_validator("endpoints")
    @classmethod
    def _leaves_openrouter_alone(cls, value: dict[str, ModelEndpoint]) -> dict[str, ModelEndpoint]:
        if OPENROUTER in value:
            raise ValueError("openrouter is set by OPENROUTER_BASE_URL and OPENROUTER_API_KEY")
        return value
