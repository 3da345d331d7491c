"""Stopping a turn: how soon the upstream connection is closed."""

import asyncio
from collections.abc import AsyncGenerator
from statistics import median

import msgspec

from tests.benchmarks.assistant import FIRST_TEXT, Assistant, running_assistant
from tests.benchmarks.stages import Numbers, Plan, Row, Stage
from tests.benchmarks.wire import Wire, http_request

MODEL = "bench/1000x20"
_LIMIT_S = 10.0


async def stop(plan: Plan) -> AsyncGenerator[Numbers]:
    """Yield the numbers of each round."""
    async with running_assistant() as assistant:
        await assistant.warm_up()
        canceller = await Wire.open(assistant.installation.url)
        for _ in range(plan.rounds):
            times = [await _stop_once(assistant, canceller) for _ in range(plan.count(10, 2))]
            yield {
                "closed_ms": median(closed for closed, _ in times),
                "answered_ms": median(answered for _, answered in times),
                "worst_ms": max(closed for closed, _ in times),
            }


async def _stop_once(assistant: Assistant, canceller: Wire) -> tuple[float, float]:
    """Return the ms until the upstream saw its client leave, and until Stop was answered."""
    seen = len(await _hangups_ns(assistant))
    exchange = assistant.front.send(assistant.turn_request(MODEL), FIRST_TEXT)
    await exchange.first_ms()
    path = f"/api/chat/turns/{exchange.headers['x-turn-id']}/cancel"
    url = f"{assistant.installation.url}{path}"
    cancelling = canceller.send(http_request("POST", url, headers=assistant.installation.bearer))
    answered_ms = await cancelling.total_ms()
    await exchange.total_ms()
    async with asyncio.timeout(_LIMIT_S):
        # It happens in another process.
        while len(hangups_ns := await _hangups_ns(assistant)) <= seen:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return (hangups_ns[seen] - cancelling.sent_ns) / 1e6, answered_ms


async def _hangups_ns(assistant: Assistant) -> list[int]:
    url = f"{assistant.upstream_url.removesuffix('/v1')}/hangups"
    return msgspec.json.decode((await assistant.direct.ask(http_request("GET", url))).body)


STAGE = Stage(
    "stop",
    (
        Row("closed_ms", "Stop until the upstream connection is closed", "ms", 50),
        Row("worst_ms", "  slowest of the round", "ms"),
        Row("answered_ms", "  until Stop is answered, all stored", "ms"),
    ),
    stop,
)
