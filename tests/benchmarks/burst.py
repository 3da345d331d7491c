"""Two hundred turns started in the same moment, on connections opened in the same moment."""

import asyncio
import time
from collections.abc import AsyncGenerator

from tests.benchmarks.assistant import FIRST_TEXT, Assistant, finished, running_assistant
from tests.benchmarks.processes import forget_peak, peak_mb, resident_mb
from tests.benchmarks.stages import Numbers, Plan, Row, Stage
from tests.benchmarks.wire import Refused, Wire

TURNS = 200
MODEL = "bench/40x30"


async def burst(plan: Plan) -> AsyncGenerator[Numbers]:
    """Yield the numbers of each round; each has an orchestrator that has not grown yet."""
    for _ in range(plan.rounds):
        async with running_assistant() as assistant:
            await assistant.warm_up()
            before_mb = resident_mb(assistant.pid)
            forget_peak(assistant.pid)
            began_ns = time.monotonic_ns()
            async with asyncio.TaskGroup() as group:
                turns = [
                    group.create_task(_turn(assistant, began_ns))
                    for _ in range(plan.count(TURNS, 20))
                ]
            first_ms = [ms for turn in turns if (ms := turn.result()) is not None]
            yield {
                "failures": len(turns) - len(first_ms),
                "last_first_ms": max(first_ms),
                "grown_mb": peak_mb(assistant.pid) - before_mb,
                "peak_mb": peak_mb(assistant.pid),
            }


async def _turn(assistant: Assistant, began_ns: int) -> float | None:
    """Return when the first text came, in ms after the start of all; None when the turn failed."""
    try:
        wire = await Wire.open(assistant.installation.url)
        exchange = wire.send(assistant.turn_request(MODEL), FIRST_TEXT)
        first_ns = await exchange.first
        await exchange.total_ms()
        finished(exchange)
        wire.close()
    except (OSError, Refused):
        return None
    return (first_ns - began_ns) / 1e6


STAGE = Stage(
    "burst",
    (
        Row("failures", f"{TURNS} turns at once: failures", "", 0),
        Row("last_first_ms", "  until the last one's first text", "ms", 400),
        Row("grown_mb", "  peak memory above idle", "MB", 15),
        Row("peak_mb", "  peak memory", "MB"),
    ),
    burst,
)
