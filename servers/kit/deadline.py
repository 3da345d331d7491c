"""The HTTP protocol of every server: requests arrive whole and in time, or not at all."""

from asyncio import TimerHandle, Transport
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

RECEIVE_DEADLINE_S = 30.0
MAX_HEAD_BYTES = 64 * 1024


class DeadlineProtocol(HttpToolsProtocol):
    """Drops connections whose request is not complete in time or whose head is too long.

    Stock uvicorn keeps half-open and trickling connections for ever. Time spent answering,
    and silence between requests (uvicorn's keep-alive limit), do not count.
    """

    receive_deadline_s = RECEIVE_DEADLINE_S
    _deadline: TimerHandle | None = None
    _in_head = True
    _head_bytes = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # Blank lines between requests end uvicorn's keep-alive limit but begin no message.
        # uvicorn declares `cycle` as always set; it is None before the first request.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or cycle.response_complete:
            self._start_deadline()
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        self._start_deadline()

    def on_header(self, name: bytes, value: bytes) -> None:
        # httptools keeps the blanks RFC 9110 (5.5) lets a sender put after a value.
        super().on_header(name, value.strip(b" \t"))

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._stop_deadline()

    def _start_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.receive_deadline_s, self._give_up)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        self.transport.abort()


def deadline_protocol(receive_deadline_s: float) -> type[DeadlineProtocol]:
    """The protocol class with another deadline; uvicorn takes a class, not an instance."""
    return type("DeadlineProtocol", (DeadlineProtocol,), {"receive_deadline_s": receive_deadline_s})
