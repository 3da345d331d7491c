"""What an endpoint says of a key and of a request that is over."""

import asyncio
from decimal import Decimal, DecimalException
from typing import Any

import aiohttp
import msgspec

from orchestrator.errors import ModelError, ModelUnavailable
from orchestrator.llm.accumulator import microusd, token_count
from orchestrator.llm.body import error_in, read_body
from orchestrator.llm.chunks import Raw, is_object
from orchestrator.llm.deltas import Usage
from orchestrator.llm.endpoint import Endpoint
from orchestrator.llm.failures import failure_from

_TIMEOUT_S = 10.0
_MAX_BYTES = 65_536


async def generation_usage(
    session: aiohttp.ClientSession, endpoint: Endpoint, generation_id: str
) -> Usage | None:
    """Return what a request took (`GET /generation`), None while that is not known.

    OpenRouter knows it some seconds after the end. Raises ModelError when it cannot be asked.
    """
    data = await _data(session, endpoint, "generation", {"id": generation_id})
    if data is None:
        return None
    dollars = _decimal(data.get("total_cost"))
    cost_microusd = None if dollars is None else microusd(dollars)
    if cost_microusd is None:
        return None
    return Usage(
        prompt_tokens=_tokens(data, "native_tokens_prompt", "tokens_prompt"),
        completion_tokens=_tokens(data, "native_tokens_completion", "tokens_completion"),
        reasoning_tokens=_tokens(data, "native_tokens_reasoning"),
        cached_tokens=_tokens(data, "native_tokens_cached"),
        cost_microusd=cost_microusd,
    )


async def key_sentence(session: aiohttp.ClientSession, endpoint: Endpoint) -> str | None:
    """Return in a sentence what OpenRouter says of the key, None where there is no `GET /key`.

    Raises ModelError: the key is refused, or the endpoint is away.
    """
    data = await _data(session, endpoint, "key", {})
    if data is None:
        return None
    if not endpoint.api_key:
        return f"{endpoint.name} at {endpoint.host} answers; no key is set."
    accepted = f"{endpoint.name} at {endpoint.host} accepts {endpoint.key_setting}"
    left, limit = _decimal(data.get("limit_remaining")), _decimal(data.get("limit"))
    if left is None:
        return f"{accepted}; the key has no limit of its own."
    of_all = "" if limit is None else f" of ${limit:.2f}"
    return f"{accepted}; ${left:.2f}{of_all} left on the key."


async def _data(
    session: aiohttp.ClientSession, endpoint: Endpoint, path: str, query: dict[str, str]
) -> Raw | None:
    """Return `data` of an answer, None for 404."""
    try:
        async with (
            asyncio.timeout(_TIMEOUT_S),
            session.get(
                endpoint.url(path), params=query, headers=endpoint.headers(), allow_redirects=False
            ) as response,
        ):
            if response.status == 404:
                return None
            body = await read_body(response, _MAX_BYTES)
            if response.status != 200:
                raise failure_from(endpoint, "", error_in(body), status=response.status)
    except (aiohttp.ClientError, OSError) as error:
        raise ModelUnavailable(
            f"{endpoint.name} at {endpoint.host} does not answer. Check {endpoint.url_setting}."
        ) from error
    try:
        answer: Any = msgspec.json.Decoder(float_hook=Decimal).decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelError(f"{endpoint.name} answered /{path} with something else.") from error
    data = answer.get("data") if is_object(answer) else None
    if not is_object(data):
        raise ModelError(f"{endpoint.name} answered /{path} with something else.")
    return data


def _decimal(value: Any) -> Decimal | None:
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        return None
    try:
        number = Decimal(value)
    except DecimalException:
        return None
    return number if number.is_finite() else None


def _tokens(data: Raw, *names: str) -> int:
    counts = (data.get(name) for name in names)
    told = (count for count in counts if isinstance(count, int) and count >= 0)
    return token_count(next(told, None))
