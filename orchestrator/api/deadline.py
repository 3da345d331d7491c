"""uvicorn's HTTP protocol with a deadline and a size limit for the request itself.

Stock uvicorn keeps half-open sockets and trickling bodies for ever (300 of 300 after 25 s, measured
2026-11-20) and reads headers of any size. Answers, SSE streams and idle keep-alive connections are
not touched: the clock runs only while a request is coming in.
"""

from asyncio import TimerHandle, Transport
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024


class DeadlineProtocol(HttpToolsProtocol):
    """Closes connections whose request head, or next part of a body, takes too long.

    A body may take longer than `body_timeout_s` only while it comes at `min_body_bytes_per_s`.
    """

    header_timeout_s: ClassVar[float] = 30
    body_timeout_s: ClassVar[float] = 30
    min_body_bytes_per_s: ClassVar[int] = 8 * 1024

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: TimerHandle | None = None
        self._is_websocket = False
        self._in_head = True
        self._head_bytes = 0
        self._body_bytes = 0
        self._body_started_at = 0.0

    def connection_made(self, transport: Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as the base class does
        """Start the clock: a socket that says nothing is closed as well."""
        super().connection_made(transport)
        self._start_clock(self.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, then see whether what came was a whole head."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.close()
        elif self._deadline is None and self._is_between_requests():
            # Stray line ends: the base class has stopped its keep-alive clock for them.
            self._in_head = True
            self._start_clock(self.header_timeout_s)

    def on_message_begin(self) -> None:
        """Start the clock for the next request of a kept connection."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        if self._deadline is None:
            self._start_clock(self.header_timeout_s)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Strip trailing blanks, which httptools leaves (RFC 9110, 5.5)."""
        super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """Give the body its own time."""
        self._in_head = False
        self._body_bytes = 0
        self._body_started_at = self.loop.time()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count what came."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the clock: from here on, time is the application's."""
        self._stop_clock()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Stop the clock: WebSockets have their own pings."""
        self._stop_clock()
        self._is_websocket = True
        super().handle_websocket_upgrade()

    def _is_between_requests(self) -> bool:
        return not self._is_websocket and (self.cycle is None or self.cycle.response_complete)  # pyright: ignore[reportUnnecessaryComparison] - None before the first request

    def _start_clock(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._at_deadline)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _at_deadline(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self._in_head and self._is_between_requests():
            self.transport.close()
        elif self._in_head or self.flow.read_paused:
            # An answer of this connection is under way, or the application is slow to read.
            self._start_clock(self.header_timeout_s)
        else:
            self._check_body()

    def _check_body(self) -> None:
        elapsed_s = self.loop.time() - self._body_started_at
        remaining_s = self.body_timeout_s - elapsed_s
        if remaining_s > 0.001:
            self._start_clock(remaining_s)
        elif self._body_bytes >= elapsed_s * self.min_body_bytes_per_s:
            self._start_clock(self.body_timeout_s / 4)
        else:
            self.transport.close()
