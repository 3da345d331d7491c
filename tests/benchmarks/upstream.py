"""The upstream of the benchmarks, a process of its own: `python -m tests.benchmarks.upstream`.

It sends encoded chunks and nothing else, so that it is never the slowest part. The model says
what to send: `bench/80x30` is 80 chunks, one every 30 ms; `bench/200x0` is 200 as fast as they
can be taken; `bench/tool/NAME` asks for one call of that tool and, given its result, sends 20.
`GET /hangups` lists when clients left a running answer, on the monotonic clock in nanoseconds.
"""

import asyncio
import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from sys import executable
from typing import Any

import httptools
import msgspec
import uvloop

from tests.processes import started

WORD = "word "
FIRST_TEXT = b'"content":"word '
"""What the first text of the answer looks like on the wire."""
TOOL_ARGUMENTS = {"text": "hello"}
CHUNKS_AFTER_TOOL = 20
_CHUNKS_PER_WRITE = 50
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class _Message(msgspec.Struct):
    role: str


class _Request(msgspec.Struct):
    model: str
    messages: list[_Message]


def _event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    """Return one chunk of about 290 bytes, as long as OpenRouter's."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "native_finish_reason": finish}
    chunk = {
        "id": "gen-1790000000-benchmark0benchmark00",
        "provider": "Benchmark",
        "model": "benchmark/upstream",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "choices": [{**choice, "logprobs": None}],
        "system_fingerprint": None,
        **more,
    }
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


_TEXT = _event({"role": "assistant", "content": WORD})
_USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30, "cost": 0.0001}


def _end(finish: str) -> bytes:
    usage = _event({"role": "assistant", "content": ""}, usage=_USAGE)
    return _event({"content": ""}, finish) + usage + b"data: [DONE]\n\n"


def _pieces(request: _Request) -> tuple[list[bytes], float]:
    """Return what to write, piece by piece, and the pause between two pieces in seconds."""
    shape = request.model.removeprefix("bench/")
    if shape.startswith("tool/"):
        if all(message.role != "tool" for message in request.messages):
            return [_tool_call(shape.removeprefix("tool/"))], 0.0
        shape = f"{CHUNKS_AFTER_TOOL}x0"
    chunks, interval_ms = (int(part) for part in shape.split("x"))
    size = 1 if interval_ms else _CHUNKS_PER_WRITE
    counts = [min(size, chunks - done) for done in range(0, chunks, size)]
    return [*(_TEXT * count for count in counts), _end("stop")], interval_ms / 1000


def _tool_call(tool: str) -> bytes:
    function = {"name": tool, "arguments": json.dumps(TOOL_ARGUMENTS)}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    return _event({"role": "assistant", "content": None, "tool_calls": [call]}) + _end("tool_calls")


class _Upstream(asyncio.Protocol):
    def __init__(self, hangups_ns: list[int]) -> None:
        self._hangups_ns = hangups_ns
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._sending: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._sending is not None:
            self._hangups_ns.append(time.monotonic_ns())
            self._sending.cancel()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_body(self, piece: bytes) -> None:
        self._body.append(piece)

    def on_message_complete(self) -> None:
        assert self._transport is not None
        body, self._body = b"".join(self._body), []
        self._parser = httptools.HttpRequestParser(self)
        if self._url == b"/hangups":
            seen = json.dumps(self._hangups_ns).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(seen)
            self._transport.write(head + seen)
            return
        pieces, pause_s = _pieces(msgspec.json.decode(body, type=_Request))
        self._send(0, pieces, pause_s, self._loop.time())

    def _send(self, number: int, pieces: list[bytes], pause_s: float, began_s: float) -> None:
        """Write one piece and plan the next."""
        assert self._transport is not None
        piece = pieces[number]
        head = _HEAD if number == 0 else b""
        is_last = number == len(pieces) - 1
        end = b"0\r\n\r\n" if is_last else b""
        self._transport.write(b"%b%x\r\n%b\r\n%b" % (head, len(piece), piece, end))
        if is_last:
            self._sending = None
            return
        again = (number + 1, pieces, pause_s, began_s)
        if pause_s:
            due_s = began_s + (number + 1) * pause_s
            self._sending = self._loop.call_at(due_s, self._send, *again)
        else:
            self._sending = self._loop.call_soon(self._send, *again)


@contextmanager
def running_upstream() -> Generator[str]:
    """Run it; gives its base URL."""
    command = (executable, "-m", "tests.benchmarks.upstream")
    with started(*command, ready=r"^http://\S+") as (_, match):
        yield match[0]


async def _serve() -> None:
    hangups_ns: list[int] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Upstream(hangups_ns), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
