"""The models an endpoint offers (`GET /models`)."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec

from orchestrator.errors import ModelError, ModelUnavailable
from orchestrator.llm.body import read_body
from orchestrator.llm.endpoint import Endpoint
from orchestrator.llm.failures import failure_from

logger = logging.getLogger(__name__)

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


class ModelCatalog:
    """What the models of an endpoint take; its list is read when somebody asks, then kept."""

    GOOD_FOR_S = 3600.0
    TRY_AGAIN_S = 60.0
    PATIENCE_S = 3.0
    """How long a turn waits for the list."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[list[ModelInfo]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._models: dict[str, ModelInfo] = {}
        self._due_at = clock()
        self._reading = asyncio.Lock()

    async def takes_images(self, model: str) -> bool:
        """Return False only when the list says so; a model that is not on it may take them."""
        async with self._reading:
            if self._clock() >= self._due_at:
                await self._read()
        # A variant such as `:free` takes what its model takes.
        info = self._models.get(model) or self._models.get(model.partition(":")[0])
        taken = info.architecture.input_modalities if info else []
        return not taken or "image" in taken

    async def _read(self) -> None:
        good_for_s = self.TRY_AGAIN_S
        try:
            async with asyncio.timeout(self.PATIENCE_S):
                self._models = {info.id: info for info in await self._fetch()}
            good_for_s = self.GOOD_FOR_S
        except (TimeoutError, ModelError) as error:
            logger.info("model_list_not_read error=%s", error)
        self._due_at = self._clock() + good_for_s


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
