"""One completion: tries, waits and fallback models until a first token, then the deltas."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import aiohttp

from orchestrator.domain.model_info import ModelInfo
from orchestrator.errors import ModelAuthError, ModelError
from orchestrator.llm.attempt import Attempt, Limits
from orchestrator.llm.deltas import Completion, CompletionRequest, Delta, ModelSwitched
from orchestrator.llm.endpoint import Endpoint
from orchestrator.llm.request import request_body

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


@dataclass(frozen=True, slots=True)
class Target:
    """Where a model is asked, by which name, and what is known of it."""

    endpoint: Endpoint
    wire_model: str
    info: ModelInfo | None = None


Route = Callable[[str], Target]
"""Finds the target of a model; raises ModelError."""


class CompletionStream:
    """Iterate over it once: each item holds the deltas of one network read."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        limits: Limits,
        retries: Retries,
        request: CompletionRequest,
        route: Route,
    ) -> None:
        self._session = session
        self._limits = limits
        self._retries = retries
        self.abandoned: list[Completion] = []
        """What had come of earlier tries when they failed: they may have cost something, too."""
        self._request = request
        self._route = route
        self._attempt: Attempt | None = None
        self._has_begun = False

    @property
    def completion(self) -> Completion:
        """What has come so far; also after an error or an early leave."""
        return self._attempt.completion if self._attempt else Completion(self._request.model)

    def __aiter__(self) -> AsyncIterator[list[Delta]]:
        return self

    async def __anext__(self) -> list[Delta]:
        if self._has_begun and self._attempt is not None:
            deltas = await self._attempt.read()
        else:
            deltas = await self._begin()
            self._has_begun = True
        if deltas is None:
            raise StopAsyncIteration
        return deltas

    async def close(self) -> None:
        """Give back or cut the upstream connection."""
        if self._attempt is not None:
            await self._attempt.close()

    async def _begin(self) -> list[Delta] | None:
        """Return the first deltas, from the first model that gives any."""
        give_up_at = asyncio.get_running_loop().time() + self._retries.total_s
        failure: ModelError | None = None
        refusing: set[str] = set()
        for model in (self._request.model, *self._request.fallback_models):
            endpoint = ""
            try:
                target = self._route(model)
                endpoint = target.endpoint.id
                if endpoint in refusing:
                    continue
                deltas = await self._try_model(target, give_up_at)
            except ModelError as error:
                if self._has_output:
                    raise
                if isinstance(error, ModelAuthError):
                    # Its other models would refuse the same key.
                    refusing.add(endpoint)
                logger.info("model_failed model=%s code=%s", model, error.code)
                failure = error
            else:
                if failure is None:
                    return deltas
                return [ModelSwitched(model, str(failure)), *(deltas or ())]
        raise failure or AssertionError("the first model is always tried")

    async def _try_model(self, target: Target, give_up_at: float) -> list[Delta] | None:
        loop = asyncio.get_running_loop()
        for tried in range(1, self._retries.max_tries + 1):
            try:
                return await self._try_once(target)
            except ModelError as error:
                delay_s = self._retries.delay_s(tried, error)
                is_last = tried == self._retries.max_tries or loop.time() + delay_s > give_up_at
                if is_last or not error.retryable or self._has_output:
                    raise
                model = target.endpoint.model_id(target.wire_model)
                logger.info("model_retry model=%s code=%s delay_s=%.1f", model, error.code, delay_s)
            await asyncio.sleep(delay_s)
        raise AssertionError("the last try returns or raises")

    async def _try_once(self, target: Target) -> list[Delta] | None:
        await self.close()
        if self._attempt is not None:
            self.abandoned.append(self._attempt.completion)
        self._attempt = Attempt(target.endpoint, self._limits, target.wire_model)
        body = request_body(self._request, target.wire_model, target.info, target.endpoint)
        await self._attempt.start(self._session, body)
        return await self._attempt.read()

    @property
    def _has_output(self) -> bool:
        return self._attempt is not None and self._attempt.has_output
