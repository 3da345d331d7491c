"""One completion: tries, waits and fallback models until a first token, then the deltas."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from orchestrator.errors import ModelAuthError, ModelError
from orchestrator.llm.attempt import Attempt, Limits
from orchestrator.llm.deltas import Completion, CompletionRequest, Delta, ModelSwitched
from orchestrator.llm.endpoint import Endpoint

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retries:
    """How often one model is tried before its first token, and how long that may take in all."""

    max_tries: int = 3
    first_delay_s: float = 0.5
    total_s: float = 20.0

    def delay_s(self, tried: int, error: ModelError) -> float:
        """Return how long to wait after `tried` tries: doubling with jitter, or as asked."""
        backoff = self.first_delay_s * 2 ** (tried - 1) * random.SystemRandom().uniform(0.5, 1.0)
        return max(backoff, error.retry_after_s or 0.0)


class CompletionStream:
    """Iterate over it once: each item holds the deltas of one network read."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: Endpoint,
        limits: Limits,
        retries: Retries,
        request: CompletionRequest,
        *,
        is_openrouter: bool,
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._limits = limits
        self._retries = retries
        self._request = request
        self._is_openrouter = is_openrouter
        self._attempt = Attempt(endpoint, limits, request.model)
        self._has_begun = False

    @property
    def completion(self) -> Completion:
        """What has come so far; also after an error or an early leave."""
        return self._attempt.completion

    def __aiter__(self) -> AsyncIterator[list[Delta]]:
        return self

    async def __anext__(self) -> list[Delta]:
        deltas = await (self._attempt.read() if self._has_begun else self._begin())
        self._has_begun = True
        if deltas is None:
            raise StopAsyncIteration
        return deltas

    async def close(self) -> None:
        """Give back or cut the upstream connection."""
        await self._attempt.close()

    async def _begin(self) -> list[Delta] | None:
        """Return the first deltas, from the first model that gives any."""
        models = (self._request.model, *self._request.fallback_models)
        give_up_at = asyncio.get_running_loop().time() + self._retries.total_s
        failure: ModelError | None = None
        for model in models:
            try:
                deltas = await self._try_model(model, give_up_at)
            except ModelError as error:
                is_hopeless = isinstance(error, ModelAuthError) or model == models[-1]
                if is_hopeless or self._attempt.has_output:
                    raise
                logger.info("model_failed model=%s code=%s", model, error.code)
                failure = error
            else:
                if failure is None:
                    return deltas
                return [ModelSwitched(model, str(failure)), *(deltas or ())]
        raise AssertionError("the last model returns or raises")

    async def _try_model(self, model: str, give_up_at: float) -> list[Delta] | None:
        loop = asyncio.get_running_loop()
        for tried in range(1, self._retries.max_tries + 1):
            try:
                return await self._try_once(model)
            except ModelError as error:
                delay_s = self._retries.delay_s(tried, error)
                is_last = tried == self._retries.max_tries or loop.time() + delay_s > give_up_at
                if is_last or not error.retryable or self._attempt.has_output:
                    raise
                logger.info("model_retry model=%s code=%s delay_s=%.1f", model, error.code, delay_s)
            await asyncio.sleep(delay_s)
        raise AssertionError("the last try returns or raises")

    async def _try_once(self, model: str) -> list[Delta] | None:
        await self._attempt.close()
        self._attempt = Attempt(self._endpoint, self._limits, model)
        await self._attempt.start(self._session, self._body(model))
        return await self._attempt.read()

    def _body(self, model: str) -> dict[str, Any]:
        request = self._request
        body: dict[str, Any] = {
            **request.parameters,
            "model": model,
            "messages": request.messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.tools:
            body["tools"] = request.tools
        if self._is_openrouter:
            body["usage"] = {"include": True}
            if request.session_id:
                body["session_id"] = request.session_id
        return body
