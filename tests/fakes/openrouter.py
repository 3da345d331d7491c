"""A strict fake of OpenRouter over real HTTP.

The model id picks the answer (`openrouter_scenarios`), or a test scripts it round by round:

    with running_fake() as fake:
        gate = Gate()
        fake.script(calls(Call("calculator__evaluate", {...})), text("It is ", gate, "397.8."))
        ...                      # talk to fake.base_url with model fake/script
        await gate.reached.wait()
        request = await fake.request(1)
        await request.hung_up.wait()

As a process of its own: `python -m tests.fakes.openrouter --port N [--chunks N --interval-ms M]`
(port 0 picks a free one; the first line printed is the base URL). Then `fake/bench` streams
pre-encoded chunks.
"""

import argparse
import asyncio
import json
import socket
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.fakes.openrouter_check import Invalid, check_request
from tests.fakes.openrouter_rounds import Drop, Failure, Round, Wire, error_body, event
from tests.fakes.openrouter_scenarios import BODIES, PAUSES_S, scenario
from tests.fakes.openrouter_signal import Gate, Signal

API_KEY = "sk-or-test"
SCRIPT_MODEL = "fake/script"
INPUTS = ["text", "image"]
MODELS = ("fake/text", "fake/tool", "fake/parallel", "fake/reasoning", SCRIPT_MODEL)


class Dropped(Exception):
    """Raised to make uvicorn cut the connection."""


@dataclass
class Received:
    """One request as it came, and what became of its connection."""

    body: Any
    headers: dict[str, str]
    hung_up: Signal = field(default_factory=Signal)
    """The client closed before the answer was whole; `hung_up_at` is on the monotonic clock."""
    hung_up_at: float = 0.0
    answered: Signal = field(default_factory=Signal)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.body["messages"]


@dataclass(frozen=True)
class Bench:
    """What `fake/bench` streams."""

    chunks: int = 80
    interval_ms: float = 0.0

    def pieces(self) -> list[bytes]:
        envelope = {"id": "gen-bench", "object": "chat.completion.chunk", "created": 1_790_000_000}
        envelope |= {"model": "fake/bench", "provider": "Fake"}
        choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
        chunk = event({**envelope, "choices": [choice]})
        stop = {"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": self.chunks, "cost": 0}
        end = event({**envelope, "choices": [stop]})
        end += event({**envelope, "choices": [], "usage": usage}) + b"data: [DONE]\n\n"
        # Flat out, one write carries what a busy vendor's TCP would have gathered anyway.
        per_write = 1 if self.interval_ms else 50
        counts = [min(per_write, self.chunks - n) for n in range(0, self.chunks, per_write)]
        return [*(chunk * count for count in counts), end]


class FakeOpenRouter:
    """The ASGI app, and the handle by which a test scripts and watches it."""

    def __init__(self, api_key: str | None = API_KEY, bench: Bench | None = None) -> None:
        self.base_url = ""
        self.received: list[Received] = []
        self.listing: Any = None
        """What `GET /models` answers; None: the models of the scenarios."""
        self.listed = 0
        """How often that was asked."""
        self._lists: defaultdict[int, Signal] = defaultdict(Signal)
        self.is_away = False
        """From now on everything but completions answers 503."""
        self.key: dict[str, Any] = {"label": "sk-or-...", "limit": None, "usage": 0.5}
        self.generations: dict[str, dict[str, Any]] = {}
        """What `GET /generation` says, by id; of others it knows a cost and no tokens."""
        self.unknown_generations: set[str] = set()
        self._api_key = api_key
        self._wire = Wire()
        self._scripts: defaultdict[str, deque[Round]] = defaultdict(deque)
        self._arrivals: defaultdict[int, Signal] = defaultdict(Signal)
        self._bench = bench or Bench()
        self._bench_pieces = self._bench.pieces()
        self.app = Starlette(
            routes=[
                Route("/api/v1/chat/completions", _ChatEndpoint(self), methods=["POST"]),
                Route("/api/v1/models", self._models),
                Route("/api/v1/key", self._key),
                Route("/api/v1/generation", self._generation),
            ]
        )

    def script(self, *rounds: Round, model: str = SCRIPT_MODEL) -> None:
        """Answer the next requests for `model` with these rounds, in order."""
        self._scripts[model].extend(rounds)

    def forget_scripts(self) -> None:
        """Drop the rounds that nobody asked for."""
        self._scripts.clear()

    async def request(self, number: int, timeout_s: float = 10.0) -> Received:
        """Return the request that came as `number` (from 0), once it has."""
        await self._arrivals[number].wait(timeout_s)
        return self.received[number]

    async def listed_times(self, times: int) -> None:
        """Return once the list of models was asked for so often."""
        await self._lists[times].wait()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one POST to /chat/completions."""
        request = Request(scope, receive)
        body = _decoded(await request.body())
        if body is not None and body.get("model") == "fake/bench":
            await self._send_bench(send)
            return
        received = self._record(body, request)
        try:
            response = self.refused(body, request) or self._unstreamed(body)
            if response is not None:
                await response(scope, receive, send)
                return
            await self._watched(received, receive, self._stream(self._round(body), body, send))
        finally:
            received.answered.set()

    def is_allowed(self, request: Request) -> bool:
        wanted = None if self._api_key is None else f"Bearer {self._api_key}"
        return wanted is None or request.headers.get("authorization") == wanted

    def _record(self, body: Any, request: Request) -> Received:
        received = Received(body, dict(request.headers))
        self.received.append(received)
        self._arrivals[len(self.received) - 1].set()
        return received

    def refused(self, body: Any, request: Request) -> Response | None:
        """Return the error that a request deserves before it is looked at any further."""
        if not self.is_allowed(request):
            return _error(401, "No auth credentials found", "authentication")
        try:
            check_request(body)
        except Invalid as complaint:
            return _error(400, str(complaint), "invalid_request")
        return None

    def _round(self, body: dict[str, Any]) -> Round:
        queue = self._scripts[body["model"]]
        if queue:
            return queue.popleft()
        missing = Round(status=404, failure=Failure(404, f"No model {body['model']}", "not_found"))
        return scenario(body) or missing

    def _unstreamed(self, body: dict[str, Any]) -> Response | None:
        """Return the answer when it is one body: asked for so, or the scenario wants it."""
        model = body["model"]
        if model in BODIES:
            return JSONResponse(BODIES[model])
        if model == "fake/html":
            return Response("<html>Sign in to the hotel network</html>", media_type="text/html")
        if model == "fake/json" or not body.get("stream"):
            wanted = self._round({**body, "model": "fake/text"} if model == "fake/json" else body)
            if wanted.status == 200:
                return JSONResponse(self._wire.whole(wanted, model))
            return _round_error(wanted)
        return None

    async def _stream(self, wanted: Round, body: dict[str, Any], send: Send) -> None:
        if wanted.status != 200:
            error = error_body(wanted.status, wanted.failure)
            headers = {**wanted.headers, "Content-Type": "application/json"}
            await _start(send, wanted.status, headers)
            await send({"type": "http.response.body", "body": json.dumps(error).encode()})
            return
        model = body["model"]
        await _start(send, 200, {"Content-Type": "text/event-stream", "X-Generation-Id": "gen-1"})
        for step in self._wire.stream(wanted, model):
            if isinstance(step, Gate):
                await step.pass_through()
            elif isinstance(step, Drop):
                raise Dropped
            else:
                await _send_bytes(send, step, size=3 if model == "fake/utf8" else 0)
                await asyncio.sleep(PAUSES_S.get(model, 0))
        await send({"type": "http.response.body", "body": b""})

    async def _watched(self, received: Received, receive: Receive, answer: Any) -> None:
        """Run the answer until it is whole or the client hangs up."""
        answering = asyncio.ensure_future(answer)
        leaving = asyncio.ensure_future(_disconnected(receive))
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            received.hung_up_at = time.monotonic()
            received.hung_up.set()
        for task in (answering, leaving):
            task.cancel()
        await asyncio.wait((answering, leaving))
        if not answering.cancelled():
            answering.result()

    async def _send_bench(self, send: Send) -> None:
        await _start(send, 200, {"Content-Type": "text/event-stream"})
        for piece in self._bench_pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if self._bench.interval_ms:
                await asyncio.sleep(self._bench.interval_ms / 1000)
        await send({"type": "http.response.body", "body": b""})

    async def _models(self, request: Request) -> Response:
        self.listed += 1
        self._lists[self.listed].set()
        scenarios = {"data": [_model_entry(model) for model in MODELS]}
        return self._gone() or JSONResponse(self.listing or scenarios)

    async def _key(self, request: Request) -> Response:
        if not self.is_allowed(request):
            return _error(401, "No auth credentials found", "authentication")
        return self._gone() or JSONResponse({"data": self.key})

    async def _generation(self, request: Request) -> Response:
        wanted = request.query_params["id"]
        if wanted in self.unknown_generations:
            return _error(404, f"Generation {wanted} not found", "not_found")
        data = {"id": wanted, "total_cost": 0.00012, "model": "fake/text"}
        return self._gone() or JSONResponse({"data": self.generations.get(wanted, data)})

    def _gone(self) -> Response | None:
        return _error(503, "Away", "server") if self.is_away else None


Fake = TypeVar("Fake", bound=FakeOpenRouter)


class _ChatEndpoint:
    """An object, so that Starlette hands over raw ASGI: only there a hang-up can be seen."""

    def __init__(self, fake: FakeOpenRouter) -> None:
        self._fake = fake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._fake.answer(scope, receive, send)


@contextmanager
def running_fake(
    api_key: str | None = API_KEY, bench: Bench | None = None
) -> Iterator[FakeOpenRouter]:
    """Run a fake in a thread of its own, on an ephemeral port of 127.0.0.1."""
    with served(FakeOpenRouter(api_key, bench)) as fake:
        yield fake


@contextmanager
def served(fake: Fake) -> Iterator[Fake]:
    """Run this fake, which may be of another kind, in the same way."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        fake.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
        server = _server(fake)
        # Nobody has to wait for the start: the socket already listens.
        thread = threading.Thread(target=server.run, args=([listener],), name="fake-openrouter")
        thread.start()
        try:
            yield fake
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def _server(fake: FakeOpenRouter) -> uvicorn.Server:
    # "critical": uvicorn logs a trace for every connection that a Drop cuts.
    return uvicorn.Server(
        uvicorn.Config(
            fake.app,
            lifespan="off",
            log_level="critical",
            access_log=False,
            backlog=1024,
            timeout_graceful_shutdown=1,
        )
    )


def _decoded(raw: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _error(status: int, message: str, kind: str) -> Response:
    return JSONResponse(error_body(status, Failure(status, message, kind)), status)


def _round_error(wanted: Round) -> Response:
    return JSONResponse(error_body(wanted.status, wanted.failure), wanted.status, wanted.headers)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(send: Send, status: int, headers: dict[str, str]) -> None:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _send_bytes(send: Send, data: bytes, size: int) -> None:
    """Send at once, or in pieces of `size` bytes that cut through characters."""
    size = size or len(data)
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0)


def _model_entry(model: str) -> dict[str, Any]:
    return {
        "id": model,
        "name": f"Fake: {model.removeprefix('fake/')}",
        "created": 1_790_000_000,
        "context_length": 128_000,
        "architecture": {"input_modalities": INPUTS, "output_modalities": ["text"]},
        "pricing": {"prompt": "0.000001", "completion": "0.000002", "request": "0"},
        "supported_parameters": ["tools", "temperature", "reasoning"],
    }


def main() -> None:
    """Serve until stopped by a signal."""
    parser = argparse.ArgumentParser(description="A fake OpenRouter.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--chunks", type=int, default=80)
    parser.add_argument("--interval-ms", type=float, default=0.0)
    arguments = parser.parse_args()
    bench = Bench(arguments.chunks, arguments.interval_ms)
    with socket.create_server(("127.0.0.1", arguments.port), backlog=1024) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1", flush=True)
        _server(FakeOpenRouter(api_key=None, bench=bench)).run([listener])


if __name__ == "__main__":
    main()
