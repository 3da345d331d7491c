"""One POST to `/chat/completions` and the reading of its answer."""

import asyncio
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from orchestrator.errors import ModelError, ModelUnavailable
from orchestrator.llm.accumulator import Accumulator
from orchestrator.llm.body import error_in, read_body
from orchestrator.llm.chunks import Chunk, UnreadableChunk, decode_chunk
from orchestrator.llm.deltas import Completion, Delta
from orchestrator.llm.endpoint import Endpoint
from orchestrator.llm.failures import failure_from
from orchestrator.llm.sse import EventTooLarge, SSEParser

_MAX_ERROR_BYTES = 65_536
_SENT_AT_ONCE_BYTES = 1_048_576
"""A larger body, one with pictures, is sent piece by piece while others have their turn."""
_TAIL_TIMEOUT_S = 5.0
"""How long usage may stay out once the finish reason is known."""
_DRAIN_TIMEOUT_S = 0.1
"""How long the end of the body may take after `[DONE]`; then the connection is not kept."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may take."""

    first_byte_timeout_s: float
    idle_timeout_s: float
    max_event_bytes: int
    max_stream_bytes: int


class Attempt:
    """Reads one answer, as a stream or as the single JSON body some endpoints send instead."""

    def __init__(self, endpoint: Endpoint, limits: Limits, model: str) -> None:
        """`model` is what the endpoint calls it."""
        self.completion = Completion(model=endpoint.model_id(model))
        self._endpoint = endpoint
        self._limits = limits
        self._model = model
        self._accumulator = Accumulator(
            self.completion, endpoint.model_id, endpoint.prices.get(model)
        )
        self._parser = SSEParser(limits.max_event_bytes)
        self._response: aiohttp.ClientResponse | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_late = False
        self._received_bytes = 0
        self._is_blank = True
        self._body: list[bytes] | None = None
        self._is_done = False
        self._is_ended = False
        self._failure: ModelError | None = None

    @property
    def has_output(self) -> bool:
        """Whether anything of the answer has come: from then on nothing is tried again."""
        return self._accumulator.has_output

    async def start(self, session: aiohttp.ClientSession, body: Mapping[str, Any]) -> None:
        """Send the request; raises ModelError unless upstream answers 200."""
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + self._limits.first_byte_timeout_s
        try:
            async with asyncio.timeout_at(self._deadline):
                self._response = response = await session.post(
                    self._endpoint.url("chat/completions"),
                    data=_payload(msgspec.json.encode(body)),
                    headers={**self._endpoint.headers(), "Content-Type": "application/json"},
                    allow_redirects=False,
                )
                if response.status != 200 or response.content_type == "text/html":
                    raise await self._refusal(response)
            self._watch()
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error

    async def read(self) -> list[Delta] | None:
        """Return the deltas of the next network read that has some, None at the end.

        Raises ModelError, after the deltas that came before it were returned.
        """
        if self._response is None:
            raise RuntimeError("start() the attempt first")
        while not self._is_ended:
            self._take(await self._receive(self._response))
            if deltas := self._accumulator.take_deltas():
                return deltas
        if self._failure is not None:
            raise self._failure
        return None

    async def close(self) -> None:
        """Give the connection back after a whole answer, cut it at once otherwise."""
        if self._timer is not None:
            self._timer.cancel()
        if self._response is None:
            return
        if self._is_done:
            await self._drain(self._response)
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()

    async def _receive(self, response: aiohttp.ClientResponse) -> bytes:
        """Return the next bytes, b"" at the end of the body."""
        try:
            received = await response.content.readany()
        except (aiohttp.ClientError, OSError):
            received = b""  # A cut and an early end are told apart by what is missing.
        if self._is_late and not self.completion.finish_reason:
            raise self._unreachable(TimeoutError())
        is_tail = self.completion.finish_reason is not None
        patience_s = _TAIL_TIMEOUT_S if is_tail else self._limits.idle_timeout_s
        self._deadline = asyncio.get_running_loop().time() + patience_s
        if is_tail:
            self._watch()
        return received

    def _watch(self) -> None:
        """Cut the connection after the deadline.

        One timer that looks when it rings: one for each read would cost as much as the read.
        """
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        if loop.time() < self._deadline:
            self._timer = loop.call_at(self._deadline, self._watch)
        elif self._response is not None:
            self._is_late = True
            self._response.close()

    def _take(self, received: bytes) -> None:
        if not received:
            self._take_end()
            return
        self._received_bytes += len(received)
        if self._is_blank:
            # Blank lines keep the connection alive before a stream and before a JSON body.
            received = received.lstrip()
            if not received:
                return
            self._is_blank = False
            self._body = [] if received.startswith(b"{") else None
        if self._received_bytes > self._limits.max_stream_bytes:
            self._end(self._too_large(self._limits.max_stream_bytes))
        elif self._body is not None:
            self._body.append(received)
        else:
            self._feed(received)

    def _feed(self, received: bytes) -> None:
        try:
            events = self._parser.feed(received)
        except EventTooLarge:
            self._end(self._too_large(self._limits.max_event_bytes))
            return
        for data in events:
            self._take_event(data)
            if self._is_ended:
                return

    def _take_event(self, data: bytes) -> None:
        if data.strip() == b"[DONE]":
            self._is_done = True
            self._end()
            return
        try:
            chunk = decode_chunk(data)
        except UnreadableChunk as error:
            self._end(self._says(f"sent a chunk that cannot be read: {error}"))
            return
        self._accumulator.add(chunk)
        if failure := self._failure_in(chunk):
            self._end(failure)

    def _take_end(self) -> None:
        if self._body is not None:
            self._take_event(b"".join(self._body))
        else:
            self._feed(b"\n\n")  # The last event may lack the blank line that ends it.
        if self._is_ended:
            return
        if self.completion.finish_reason:
            self._end()
        else:
            self._end(self._says("dropped the connection before the answer was finished"))

    def _end(self, failure: ModelError | None = None) -> None:
        self._is_ended = True
        self._failure = failure
        if failure is None:
            self._accumulator.finish()

    def _failure_in(self, chunk: Chunk) -> ModelError | None:
        for choice in chunk.choices or ():
            if choice.error or choice.finish_reason == "error":
                return failure_from(self._endpoint, self._model, choice.error or chunk.error)
        if chunk.error:
            return failure_from(self._endpoint, self._model, chunk.error)
        return None

    async def _refusal(self, response: aiohttp.ClientResponse) -> ModelError:
        if response.content_type == "text/html":
            setting = self._endpoint.url_setting
            return self._says(f"answered with a web page. Check {setting}")
        error = error_in(await read_body(response, _MAX_ERROR_BYTES))
        retry_after = response.headers.get("Retry-After")
        return failure_from(
            self._endpoint, self._model, error, status=response.status, retry_after=retry_after
        )

    def _unreachable(self, error: Exception) -> ModelUnavailable:
        place = f"{self._endpoint.name} at {self._endpoint.host}"
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            why = self._endpoint.quote(str(getattr(error, "os_error", "") or "it took too long"))
            setting = self._endpoint.url_setting
            return ModelUnavailable(f"Cannot connect to {place} ({why}). Check {setting}.")
        if isinstance(error, TimeoutError):
            return self._says("sent nothing for too long")
        return self._says("dropped the connection before the answer began")

    def _says(self, what: str) -> ModelUnavailable:
        text = self._endpoint.quote(what)
        return ModelUnavailable(f"{self._endpoint.name} {text}. Try again.")

    def _too_large(self, limit_bytes: int) -> ModelError:
        megabytes = limit_bytes / 1_048_576
        return ModelError(f"{self._endpoint.name} sent more than {megabytes:.0f} MiB at once.")

    async def _drain(self, response: aiohttp.ClientResponse) -> None:
        """Read the end of the body, which follows `[DONE]`, so that the connection is reused."""
        try:
            async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                while await response.content.readany():
                    pass
        except (aiohttp.ClientError, OSError):
            return


def _payload(body: bytes) -> bytes | io.BytesIO:
    return body if len(body) <= _SENT_AT_ONCE_BYTES else io.BytesIO(body)
