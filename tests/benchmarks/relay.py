"""The relay of text: what the orchestrator adds to an upstream that only talks."""

import time
from collections.abc import AsyncGenerator
from statistics import median

from tests.benchmarks import upstream
from tests.benchmarks.assistant import FIRST_TEXT, Assistant, finished, running_assistant
from tests.benchmarks.stages import Numbers, Plan, Row, Stage
from tests.benchmarks.wire import Exchange, Wire

SHORT_CHUNKS = 3
PACED = (10, 80, 30)
"""Streams, chunks of each, milliseconds between two."""
FLAT = (16, 200, 0)
LONG_CHUNKS = 2000
QUICK = (3, 12, 5)


async def _short(assistant: Assistant, turns: int) -> Numbers:
    """Ask the upstream and the orchestrator in turns, one question at a time."""
    model = f"bench/{SHORT_CHUNKS}x0"
    direct_request, turn_request = assistant.direct_request(model), assistant.turn_request(model)
    direct: list[float] = []
    relayed: list[float] = []
    before_ms = await assistant.cpu_ms()
    for _ in range(turns):
        exchange = await assistant.direct.ask(direct_request, upstream.FIRST_TEXT)
        direct.append(await exchange.first_ms())
        exchange = finished(await assistant.front.ask(turn_request, FIRST_TEXT))
        relayed.append(await exchange.first_ms())
    cpu_ms = (await assistant.cpu_ms() - before_ms) / turns
    added_ms = median(relayed) - median(direct)
    return {"first_text_ms": added_ms, "short_cpu_ms": cpu_ms}


async def _streams(
    wires: list[Wire], request: bytes, marker: bytes
) -> tuple[list[Exchange], float]:
    """Run one stream on each connection; returns them and the seconds until all had ended."""
    began_s = time.monotonic()
    exchanges = [wire.send(request, marker) for wire in wires]
    for exchange in exchanges:
        await exchange.total_ms()
    return exchanges, time.monotonic() - began_s


class _Crowd:
    """As many connections as there are streams, to the orchestrator and to the upstream."""

    def __init__(self, assistant: Assistant, shape: tuple[int, int, int]) -> None:
        self.streams, self.chunks, self._interval_ms = shape
        self._assistant = assistant
        self._fronts: list[Wire] = []
        self._directs: list[Wire] = []

    async def open(self) -> None:
        for _ in range(self.streams):
            self._fronts.append(await Wire.open(self._assistant.installation.url))
            self._directs.append(await Wire.open(self._assistant.upstream_url))

    async def relayed(self, chunks: int) -> tuple[float, float]:
        """Return the orchestrator's CPU time in ms, and the seconds it took."""
        before_ms = await self._assistant.cpu_ms()
        request = self._assistant.turn_request(f"bench/{chunks}x{self._interval_ms}")
        exchanges, seconds = await _streams(self._fronts, request, FIRST_TEXT)
        for exchange in exchanges:
            words = finished(exchange).body.count(upstream.WORD.encode())
            assert words == chunks, (words, chunks)
        return await self._assistant.cpu_ms() - before_ms, seconds

    async def direct(self) -> float:
        """Return the seconds without an orchestrator."""
        request = self._assistant.direct_request(f"bench/{self.chunks}x{self._interval_ms}")
        _, seconds = await _streams(self._directs, request, upstream.FIRST_TEXT)
        return seconds


async def _paced(crowd: _Crowd) -> Numbers:
    short_ms, _ = await crowd.relayed(SHORT_CHUNKS)
    cpu_ms, _ = await crowd.relayed(crowd.chunks)
    more = crowd.streams * (crowd.chunks - SHORT_CHUNKS)
    return {
        "paced_cpu_ms": cpu_ms / (crowd.streams * crowd.chunks) * 1000,
        "paced_only_ms": (cpu_ms - short_ms) / more * 1000,
    }


async def _flat(crowd: _Crowd, bursts: int) -> Numbers:
    """Run crowds of short, usual and long streams, and straight ones, in turns."""
    short_ms = cpu_ms = long_ms = seconds = direct_s = 0.0
    for _ in range(bursts):
        direct_s += await crowd.direct()
        short_ms += (await crowd.relayed(SHORT_CHUNKS))[0]
        used_ms, took_s = await crowd.relayed(crowd.chunks)
        cpu_ms += used_ms
        seconds += took_s
        long_ms += (await crowd.relayed(LONG_CHUNKS))[0]
    requests = bursts * crowd.streams
    chunks = requests * crowd.chunks
    more = requests * (LONG_CHUNKS - crowd.chunks)
    return {
        "crowd_cpu_ms": short_ms / requests,
        "flat_per_cpu_s": chunks / cpu_ms * 1000,
        "flat_only_ms": (long_ms - cpu_ms) / more * 1000,
        "flat_per_s": chunks / seconds,
        "flat_direct_per_s": chunks / direct_s,
        "flat_ratio": direct_s / seconds,
    }


async def relay(plan: Plan) -> AsyncGenerator[Numbers]:
    """Yield the numbers of each round."""
    async with running_assistant() as assistant:
        paced = _Crowd(assistant, QUICK if plan.quick else PACED)
        flat = _Crowd(assistant, FLAT)
        await paced.open()
        await flat.open()
        await assistant.warm_up()
        await flat.relayed(flat.chunks)
        for _ in range(plan.rounds):
            yield {
                **await _short(assistant, plan.count(60, 10)),
                **await _paced(paced),
                **await _flat(flat, plan.count(4, 1)),
            }


STAGE = Stage(
    "relay",
    (
        Row("first_text_ms", "added time to first text, stored chat, no tools", "ms", 2),
        Row("short_cpu_ms", "CPU per short request (3 chunks)", "ms", 2),
        Row("crowd_cpu_ms", "  when 16 come at once", "ms"),
        Row("paced_cpu_ms", "CPU per 1,000 paced chunks (10 x 80 at 30 ms)", "ms", 120),
        Row("paced_only_ms", "  of it per chunk only, request cost taken out", "ms"),
        Row(
            "flat_per_cpu_s",
            "chunks per CPU second, flat out (16 x 200)",
            "/s",
            60_000,
            at_least=True,
        ),
        Row("flat_only_ms", "  CPU per 1,000 of them, request cost taken out", "ms"),
        Row("flat_per_s", "chunks per second, flat out", "/s"),
        Row("flat_direct_per_s", "  straight from the upstream", "/s"),
        Row("flat_ratio", "  relayed against straight", "x"),
    ),
    relay,
)
