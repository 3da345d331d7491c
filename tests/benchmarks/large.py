"""A server that answers a tool call with a gigabyte."""

from collections.abc import AsyncGenerator

from tests.benchmarks.assistant import running_assistant
from tests.benchmarks.processes import forget_peak, peak_mb, resident_mb
from tests.benchmarks.stages import Numbers, Plan, Row, Stage
from tests.fakes.mcp_servers import hostile_server

MODEL = "bench/tool/hostile__strike"


async def large(plan: Plan) -> AsyncGenerator[Numbers]:
    """Yield the numbers of each round; each has an orchestrator that has not grown yet."""
    for _ in range(plan.rounds):
        with hostile_server() as server:
            entry = {"id": "hostile", "url": server.url_of("call_gigabyte"), "trust": "fleet"}
            async with running_assistant([entry]) as assistant:
                await assistant.wait_for_servers(1)
                await assistant.warm_up()
                before_mb = resident_mb(assistant.pid)
                forget_peak(assistant.pid)
                exchange = await assistant.turn(MODEL)
                assert b"the reply is larger than" in exchange.body, exchange.body
                yield {
                    "grown_mb": peak_mb(assistant.pid) - before_mb,
                    "turn_ms": await exchange.total_ms(),
                }


STAGE = Stage(
    "large",
    (
        Row("grown_mb", "1 GB tool result: peak memory above idle", "MB", 64),
        Row("turn_ms", "  whole turn, the refusal included", "ms"),
    ),
    large,
)
