"""What endpoints answer to `GET /models`, read into one shape.

OpenRouter tells everything; OpenAI and Ollama little more than the id. Together sends a bare list
with prices per million tokens as numbers, vLLM `max_model_len`, Anthropic `display_name` and
`created_at` (and wants headers of its own). Pages of 2026-11-20.
"""

import asyncio
import logging
from datetime import UTC, datetime
from decimal import Decimal, DecimalException
from typing import Any

import aiohttp
import msgspec
from pydantic import ValidationError

from orchestrator.domain.model_info import ModelInfo, ModelPricing
from orchestrator.errors import ModelRequestError, ModelUnavailable
from orchestrator.llm.body import error_in, read_body
from orchestrator.llm.chunks import Raw, is_list, is_object
from orchestrator.llm.endpoint import Endpoint
from orchestrator.llm.failures import failure_from

logger = logging.getLogger(__name__)

_TIMEOUT_S = 30.0
_MAX_BYTES = 32 * 1_048_576
_MAX_MODELS = 10_000
_MAX_DESCRIPTION_CHARS = 2_000
_MAX_NAME_CHARS = 200
_MAX_NAMES = 200
_MAX_DOLLARS = Decimal(1_000_000)
_PER_TOKEN = ("prompt", "completion", "input_cache_read", "input_cache_write", "internal_reasoning")
_PER_UNIT = ("request", "image")
_MILLION = Decimal(1_000_000)


async def fetch_models(session: aiohttp.ClientSession, endpoint: Endpoint) -> list[ModelInfo]:
    """Return the whole list; raises ModelError."""
    headers, query = endpoint.headers(), ""
    if endpoint.hostname == "api.anthropic.com":
        headers |= {"x-api-key": endpoint.api_key, "anthropic-version": "2023-06-01"}
        query = "?limit=1000"
    try:
        async with (
            asyncio.timeout(_TIMEOUT_S),
            session.get(
                endpoint.url(f"models{query}"), headers=headers, allow_redirects=False
            ) as response,
        ):
            body = await read_body(response, _MAX_BYTES)
            if response.status == 404:
                raise ModelRequestError(
                    f"{endpoint.name} lists no models there. Check {endpoint.url_setting}."
                )
            if response.status != 200:
                raise failure_from(endpoint, "", error_in(body), status=response.status)
            # Half a megabyte of JSON: not while others wait for their next word.
            return await asyncio.to_thread(_read, body, endpoint)
    except (aiohttp.ClientError, OSError) as error:
        raise ModelUnavailable(
            f"{endpoint.name} at {endpoint.host} did not give its list of models. "
            f"Try again, or check {endpoint.url_setting}."
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelUnavailable(
            f"{endpoint.name} sent a list of models that cannot be read."
        ) from error


def _read(body: bytes, endpoint: Endpoint) -> list[ModelInfo]:
    listing: Any = msgspec.json.Decoder(float_hook=Decimal).decode(body)
    entries: Any = listing.get("data") if is_object(listing) else listing
    if not is_list(entries):
        raise msgspec.ValidationError("no list of models")
    models: dict[str, ModelInfo] = {}
    for entry in entries[:_MAX_MODELS]:
        try:
            if is_object(entry):
                model = _model(entry, endpoint)
                models[model.id] = model
        except ValidationError as error:
            logger.info("model_not_listed endpoint=%s errors=%d", endpoint.id, error.error_count())
    return list(models.values())


def _model(entry: Raw, endpoint: Endpoint) -> ModelInfo:
    wire_model = entry.get("id")
    architecture = _object(entry.get("architecture"))
    top = _object(entry.get("top_provider"))
    supported = _names(entry.get("supported_parameters"))
    length = entry.get("context_length") or entry.get("max_model_len")
    name = entry.get("name") or entry.get("display_name") or wire_model
    return ModelInfo(
        id=endpoint.model_id(wire_model) if isinstance(wire_model, str) and wire_model else "",
        endpoint=endpoint.id,
        name=str(name)[:_MAX_NAME_CHARS],
        description=str(entry.get("description") or "")[:_MAX_DESCRIPTION_CHARS],
        context_length=_count(length or entry.get("max_input_tokens")),
        max_completion_tokens=_count(top.get("max_completion_tokens")),
        input_modalities=_names(architecture.get("input_modalities")),
        output_modalities=_names(architecture.get("output_modalities")),
        pricing=_pricing(_object(entry.get("pricing"))),
        supported_parameters=supported,
        tools="tools" in supported if supported else None,
        reasoning_efforts=_names(_object(entry.get("reasoning")).get("supported_efforts")),
        created=_moment(entry.get("created") or entry.get("created_at")),
        expiration=str(entry["expiration_date"])[:40] if entry.get("expiration_date") else None,
    )


def _pricing(given: Raw) -> ModelPricing:
    """Return prices per million; OpenRouter's are text, per token, and -1 when they vary."""
    if "input" in given and "output" in given:  # Together's are per million already.
        return ModelPricing(prompt=_dollars(given["input"]), completion=_dollars(given["output"]))
    per_token = {name: _dollars(given.get(name), _MILLION) for name in _PER_TOKEN}
    return ModelPricing(**per_token, **{name: _dollars(given.get(name)) for name in _PER_UNIT})


def _dollars(value: Any, times: Decimal = Decimal(1)) -> Decimal | None:
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        return None
    try:
        dollars = Decimal(value) * times
    except DecimalException:
        return None
    return dollars if dollars.is_finite() and 0 <= dollars <= _MAX_DOLLARS else None


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int | Decimal) and not isinstance(value, bool) and 0 < value < 1e12
    return int(value) if is_count else None


def _moment(value: Any) -> datetime | None:
    """Return a point in time given in seconds or as RFC 3339; 0 is how some say nothing."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return datetime.fromtimestamp(int(value), UTC) if value else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _names(value: Any) -> tuple[str, ...]:
    texts = value[:_MAX_NAMES] if is_list(value) else ()
    return tuple(text for text in texts if isinstance(text, str) and len(text) <= 80)


def _object(value: Any) -> Raw:
    return value if is_object(value) else {}
