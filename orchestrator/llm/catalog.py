"""The models an endpoint offers (`GET /models`)."""

import asyncio

import aiohttp
import msgspec

from orchestrator.errors import ModelUnavailable
from orchestrator.llm.body import read_body
from orchestrator.llm.endpoint import Endpoint
from orchestrator.llm.failures import failure_from

_TIMEOUT_S = 30.0
_MAX_BYTES = 32 * 1_048_576


class Architecture(msgspec.Struct, frozen=True):
    """What goes in and what comes out: text, image, file, audio."""

    input_modalities: list[str] = []
    output_modalities: list[str] = []


class ModelInfo(msgspec.Struct, frozen=True):
    """One model; OpenAI-compatible endpoints other than OpenRouter give only `id`."""

    id: str
    name: str = ""
    context_length: int | None = None
    architecture: Architecture = Architecture()
    pricing: dict[str, str | None] = {}
    """Dollars per token or unit, as decimal strings."""
    supported_parameters: list[str] = []


class _Listing(msgspec.Struct):
    data: list[ModelInfo]


async def fetch_models(session: aiohttp.ClientSession, endpoint: Endpoint) -> list[ModelInfo]:
    """Return the whole list; raises ModelError."""
    try:
        async with (
            asyncio.timeout(_TIMEOUT_S),
            session.get(
                endpoint.url("models"), headers=endpoint.headers(), allow_redirects=False
            ) as response,
        ):
            body = await read_body(response, _MAX_BYTES)
            if response.status != 200:
                raise failure_from(endpoint, "", None, status=response.status)
            return msgspec.json.decode(body, type=_Listing).data
    except (aiohttp.ClientError, OSError) as error:
        raise ModelUnavailable(
            f"{endpoint.name} did not give its list of models. Try again."
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelUnavailable(
            f"{endpoint.name} sent a list of models that cannot be read."
        ) from error
