"""The load client: one raw keep-alive connection that notes when things arrive.

The same client talks to the orchestrator, to the upstream and to MCP servers; its own CPU time is
not part of any number.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import httptools

TIMEOUT_S = 60.0


class Refused(Exception):
    """An answer that is not the one a benchmark is about."""


@dataclass(eq=False)
class Exchange:
    """One request and what came back; times are of the monotonic clock in nanoseconds."""

    marker: bytes
    """What the first text looks like on the wire; empty: the first byte of the body."""
    sent_ns: int
    first: "asyncio.Future[int]"
    ended: "asyncio.Future[int]"
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    pieces: list[bytes] = field(default_factory=list[bytes])

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    async def first_ms(self) -> float:
        """Return how long the first text took."""
        return (await asyncio.wait_for(self.first, TIMEOUT_S) - self.sent_ns) / 1e6

    async def total_ms(self) -> float:
        """Return how long the whole answer took. Raises Refused unless it was a 200."""
        ended_ns = await asyncio.wait_for(self.ended, TIMEOUT_S)
        if self.status != 200:
            raise Refused(f"status {self.status}: {self.body[:500]!r}")
        return (ended_ns - self.sent_ns) / 1e6


class Wire(asyncio.Protocol):
    """One connection, for one exchange at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to the host and port of `url`."""
        host, _, port = urlsplit(url).netloc.partition(":")
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(cls, host, int(port))
        return wire

    def send(self, request: bytes, marker: bytes = b"") -> Exchange:
        """Send a whole request at once."""
        loop = asyncio.get_running_loop()
        assert self._transport is not None
        now_ns = time.monotonic_ns()
        exchange = Exchange(marker, now_ns, loop.create_future(), loop.create_future())
        self._exchange = exchange
        self._transport.write(request)
        return exchange

    async def ask(self, request: bytes, marker: bytes = b"") -> Exchange:
        """Send a request and wait for its whole answer."""
        exchange = self.send(request, marker)
        await exchange.total_ms()
        return exchange

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        error = ConnectionError(f"the connection ended: {exc}")
        if self._exchange is not None:
            for future in (self._exchange.first, self._exchange.ended):
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # seen: not every exchange is waited for

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._exchange is not None:
            self._exchange.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        if self._exchange is not None:
            self._exchange.status = self._parser.get_status_code()

    def on_body(self, piece: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        exchange.pieces.append(piece)
        if not exchange.first.done() and exchange.marker in piece:
            exchange.first.set_result(time.monotonic_ns())

    def on_message_complete(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        if not exchange.first.done():
            exchange.first.set_exception(
                Refused(f"no {exchange.marker!r}: {exchange.body[:500]!r}")
            )
            exchange.first.exception()
        exchange.ended.set_result(time.monotonic_ns())
        self._parser = httptools.HttpResponseParser(self)


def http_request(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """Return the bytes of one request."""
    parts = urlsplit(url)
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {parts.path} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content
