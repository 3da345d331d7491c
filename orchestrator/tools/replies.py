"""Reads what a server answers, within limits of bytes, pieces and time.

A server may be broken or hostile, so a reply is judged here before any parser builds objects:
JSON of 8 MiB made of `{},` would otherwise grow about thirtyfold in memory.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec

from orchestrator.tools.failures import ExchangeFailed, FailureKind

RPC_FAILURE = -32000
_MAX_VALUES = 250_000
_MAX_CONTAINERS = 30_000
_MAX_SERVER_REQUESTS = 100
_PROGRESS_INTERVAL_S = 0.02
# A reply of a million empty events costs a second of CPU, so it gets it in small portions.
_EVENTS_AT_ONCE = 500
_REST_S = 0.01
_EVENT_END = re.compile(rb"\r\n(?:\r\n|\n|\r)|\n(?:\r\n|\n|\r)|\r\r")
_ABSENT = msgspec.Raw()
_LINE_END = re.compile(rb"\r\n|\n|\r")


class Envelope(msgspec.Struct):
    """The outer part of a JSON-RPC message; what it carries stays unparsed."""

    id: int | str | None = None
    method: str | None = None
    result: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT

    @property
    def is_answer(self) -> bool:
        return self.method is None and (self.has_error or self.result != _ABSENT)

    @property
    def has_error(self) -> bool:
        return self.error != _ABSENT

    @property
    def is_request(self) -> bool:
        return self.method is not None and self.id is not None


def read_envelope(body: bytes) -> Envelope:
    """Return the envelope of one message. Raises ExchangeFailed when it is none."""
    try:
        return msgspec.json.decode(body, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExchangeFailed("garbage", "the reply is not a JSON-RPC message") from error


def answer_to(request_id: int | str, body: bytes) -> bytes:
    """Return the answer in `body` to this request. Raises ExchangeFailed when it is none."""
    envelope = _judged(body)
    if not envelope.is_answer:
        raise ExchangeFailed("garbage", "the reply is not an answer to the request")
    if envelope.id == request_id:
        return body
    if envelope.id is None and envelope.has_error:
        message = {"jsonrpc": "2.0", "id": request_id, "error": envelope.error}
        return msgspec.json.encode(message)
    raise ExchangeFailed("garbage", "the reply answers another request")


def failure_answer(request_id: int | str | None, failure: ExchangeFailed) -> bytes:
    """Return the JSON-RPC error that tells one request of its failure, and no other."""
    data = {"kind": failure.kind, "status": failure.status}
    error = {"code": RPC_FAILURE, "message": str(failure), "data": data}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "error": error})


async def read_capped(response: httpx2.Response, max_bytes: int) -> bytes:
    """Return the body as it came. Raises ExchangeFailed when it is longer than `max_bytes`."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in _stream_of(response):
        size += len(chunk)
        if size > max_bytes:
            raise ExchangeFailed("too_large", f"the reply is larger than {max_bytes} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


class EventReply(httpx2.AsyncByteStream):
    """An event stream that always ends in an answer: the server's, or our error in its place.

    Comments, event ids and retry hints are left out: an id would make the SDK ask the server
    again and again, and what is left is bounded by the deadline of the request.
    """

    def __init__(
        self, response: httpx2.Response, request_id: int | str, *, max_bytes: int, deadline: float
    ) -> None:
        self._response = response
        self._request_id = request_id
        self._max_bytes = max_bytes
        self._deadline = deadline
        self._server_requests = 0
        self._next_progress_at = 0.0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._messages():
                envelope = _judged(data)
                if envelope.is_answer:
                    yield _event(data)
                    return
                if self._is_wanted(envelope):
                    yield _event(data)
            failure = ExchangeFailed("broken", "the connection ended before the answer came")
        except ExchangeFailed as error:
            failure = error
        except TimeoutError:
            failure = ExchangeFailed("timeout", "the answer did not come in time")
        except httpx2.TransportError as error:
            failure = ExchangeFailed("broken", f"the connection broke ({type(error).__name__})")
        yield _event(failure_answer(self._request_id, failure))

    async def aclose(self) -> None:
        await self._response.aclose()

    async def _messages(self) -> AsyncIterator[bytes]:
        buffer = bytearray()
        size = 0
        stream = aiter(_stream_of(self._response))
        while True:
            async with asyncio.timeout_at(self._deadline):
                chunk = await anext(stream, None)
            if chunk is None:
                return
            size += len(chunk)
            if size > self._max_bytes:
                limit = f"the reply is larger than {self._max_bytes} bytes"
                raise ExchangeFailed("too_large", limit)
            search_from = max(0, len(buffer) - 3)
            buffer += chunk
            start = events = 0
            while end := _EVENT_END.search(buffer, max(start, search_from)):
                events += 1
                if events % _EVENTS_AT_ONCE == 0:
                    await asyncio.sleep(_REST_S)
                if data := _data_of(bytes(buffer[start : end.start()])):
                    yield data
                start = end.end()
            del buffer[:start]

    def _is_wanted(self, envelope: Envelope) -> bool:
        """Pass progress at a bearable pace and a few requests; drop every other notification."""
        if envelope.method == "notifications/progress":
            now = time.monotonic()
            if now < self._next_progress_at:
                return False
            self._next_progress_at = now + _PROGRESS_INTERVAL_S
            return True
        self._server_requests += envelope.is_request
        return envelope.is_request and self._server_requests <= _MAX_SERVER_REQUESTS


def broken_exchange(error: httpx2.TransportError) -> ExchangeFailed:
    """Return what a transport error means: nothing was sent, or nobody knows."""
    unsent = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
    kind: FailureKind = "refused" if isinstance(error, unsent) else "broken"
    verb = "could not connect" if kind == "refused" else "the connection broke"
    return ExchangeFailed(kind, f"{verb} ({type(error).__name__})")


def _judged(body: bytes) -> Envelope:
    """Return the envelope of a reply that is not built to exhaust whoever parses it."""
    containers = body.count(b"{") + body.count(b"[")
    if containers > _MAX_CONTAINERS or body.count(b",") > _MAX_VALUES:
        raise ExchangeFailed("too_large", "the reply holds more values than a result may")
    return read_envelope(body)


def _stream_of(response: httpx2.Response) -> httpx2.AsyncByteStream:
    stream: Any = response.stream
    if not isinstance(stream, httpx2.AsyncByteStream):
        raise TypeError(f"expected an asynchronous reply, got {type(stream).__name__}")
    return stream


def _data_of(event: bytes) -> bytes:
    """Return the data of a `message` event, else nothing."""
    data: list[bytes] = []
    for line in _LINE_END.split(event):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event" and value.strip() != b"message":
            return b""
    return b" ".join(data)


def _event(data: bytes) -> bytes:
    return b"event: message\ndata: " + data.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n\n"
