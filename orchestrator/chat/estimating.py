"""What a request to a model may cost, told before it is sent, and what one cost that broke."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

import msgspec

from orchestrator.chat.budget import MIN_TOKENS, Estimate
from orchestrator.domain.model_info import ModelInfo
from orchestrator.llm.deltas import Completion, CompletionRequest

PICTURE_TOKENS = 1_500
BYTES_PER_TOKEN = 3
"""Fewer than tokenizers reach with text of any language: rather too many tokens than too few."""
ASSUMED_MAX_TOKENS = 32_768
"""How long an answer may be when neither the request nor the catalog says."""
_NOTHING = Decimal(0)
_MICRO = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Prices:
    """What a model asks, in micro-dollars per token, picture and request."""

    prompt: Decimal
    completion: Decimal
    picture: Decimal
    request: Decimal
    max_tokens: int
    """What its longest answer takes."""


@dataclass(frozen=True, slots=True)
class PriceList:
    """What the models of a request ask, as far as they tell."""

    by_model: Mapping[str, Prices]
    """Prices of those that tell, by their ids."""
    silent: Sequence[str]
    """The others."""

    @property
    def dearest(self) -> Prices | None:
        """Prices that none of those that tell is above; None when none tells."""
        known = self.by_model.values()
        if not known:
            return None
        return Prices(
            prompt=max(each.prompt for each in known),
            completion=max(each.completion for each in known),
            picture=max(each.picture for each in known),
            request=max(each.request for each in known),
            max_tokens=max(each.max_tokens for each in known),
        )

    def of_answer(self, model: str) -> Prices | None:
        """Return what the model that answered asks; vendors call it more exactly than we do."""
        return None if model in self.silent else self.by_model.get(model) or self.dearest


def price_list(models: Mapping[str, ModelInfo | None]) -> PriceList:
    """Return what is known of the prices of these models, by their ids."""
    told = {name: model and _prices(model) for name, model in models.items()}
    return PriceList(
        {name: prices for name, prices in told.items() if prices},
        [name for name, prices in told.items() if not prices],
    )


def estimate(request: CompletionRequest, prices: Prices) -> Estimate:
    """Return the most that the request may cost."""
    parameters = request.parameters
    limits = (parameters.get("max_tokens"), parameters.get("max_completion_tokens"))
    wanted = min((limit for limit in limits if limit), default=prices.max_tokens)
    reasoning = cast("Mapping[str, Any]", parameters.get("reasoning") or {})
    return Estimate(
        fixed_microusd=cost_of(request, prompt_tokens(request), 0, prices),
        token_microusd=prices.completion,
        max_tokens=min(wanted, prices.max_tokens),
        min_tokens=MIN_TOKENS + (reasoning.get("max_tokens") or 0),
    )


def cost_of(request: CompletionRequest, prompt: int, answered: int, prices: Prices) -> int:
    """Return what so many tokens of prompt and answer cost, in micro-dollars, rounded up."""
    fixed = prices.request + prices.picture * _pictures(request.messages)
    return math.ceil(fixed + prices.prompt * prompt + prices.completion * answered)


def prompt_tokens(request: CompletionRequest) -> int:
    """Return how many tokens the prompt has at most, with the tools, near enough."""
    plain = [_without_pictures(message) for message in request.messages]
    size_bytes = len(msgspec.json.encode((plain, request.tools)))
    return _tokens(size_bytes) + PICTURE_TOKENS * _pictures(request.messages)


def answer_tokens(completion: Completion) -> int:
    """Return how many tokens of an answer have come, near enough."""
    calls = "".join(call.name + call.arguments for call in completion.tool_calls)
    return tokens_of(completion.text + completion.reasoning + calls)


def tokens_of(text: str) -> int:
    """Return how many tokens a text is, near enough, and rather too many."""
    return _tokens(len(text.encode()))


def _tokens(size_bytes: int) -> int:
    return -(-size_bytes // BYTES_PER_TOKEN)


def _pictures(messages: Sequence[Mapping[str, Any]]) -> int:
    return sum(_is_picture(part) for message in messages for part in _parts(message))


def _without_pictures(message: Mapping[str, Any]) -> Mapping[str, Any]:
    parts = _parts(message)
    if not any(map(_is_picture, parts)):
        return message
    return {**message, "content": [part for part in parts if not _is_picture(part)]}


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return cast("list[dict[str, Any]]", content) if isinstance(content, list) else []


def _is_picture(part: Mapping[str, Any]) -> bool:
    return part.get("type") == "image_url"


def _prices(model: ModelInfo) -> Prices | None:
    """Return the prices of one model: a dollar per million tokens is a micro-dollar per token."""
    pricing = model.pricing
    if pricing.prompt is None or pricing.completion is None:
        return None
    return Prices(
        prompt=max(pricing.prompt, pricing.input_cache_write or _NOTHING),
        completion=max(pricing.completion, pricing.internal_reasoning or _NOTHING),
        picture=(pricing.image or _NOTHING) * _MICRO,
        request=(pricing.request or _NOTHING) * _MICRO,
        max_tokens=model.max_completion_tokens or model.context_length or ASSUMED_MAX_TOKENS,
    )
