"""One of three servers stops answering without closing its port: what do the others feel?"""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from orchestrator.tools.aggregator import MCPToolAggregator
from tests.benchmarks.assistant import FIRST_TEXT, Assistant, running_assistant
from tests.benchmarks.fleet import Server, running_fleet
from tests.benchmarks.stages import Numbers, Plan, Row, Stage
from tests.benchmarks.tool_driver import TOOL, open_aggregator, tool_call
from tests.benchmarks.upstream import TOOL_ARGUMENTS
from tests.benchmarks.wire import Wire

SERVERS = [10] * 3
CALL_LIMIT_S = 2.0
_LOOK_S = 0.1


@dataclass
class _Scene:
    """Three servers of which one will freeze, an aggregator and an orchestrator over them."""

    healthy: Server
    frozen: Server
    aggregator: MCPToolAggregator
    assistant: Assistant
    hanging_front: Wire

    async def call_ms(self, calls: int) -> float:
        return await _p50_ms(tool_call(self.aggregator, self.healthy), calls)

    async def turn_ms(self, turns: int) -> float:
        model = f"bench/tool/{self.healthy.id}__{TOOL}"
        return await _p50_ms(lambda: self.assistant.turn(model), turns)

    async def hang_s(self) -> float:
        """Call the frozen server; returns how long that took to fail."""
        began_s = time.monotonic()
        name = f"{self.frozen.id}__{TOOL}"
        result = await self.aggregator.call(name, TOOL_ARGUMENTS, call_id="c")
        assert result.status == "failed", result
        return time.monotonic() - began_s

    async def recover(self) -> None:
        """See that the thawed server works again, from both sides."""
        await self.aggregator.refresh()
        await tool_call(self.aggregator, self.frozen)()
        await self.assistant.wait_for_servers(len(SERVERS))
        await self.assistant.turn(f"bench/tool/{self.frozen.id}__{TOOL}")


async def hanging(plan: Plan) -> AsyncGenerator[Numbers]:
    """Yield the numbers of each round."""
    async with AsyncExitStack() as stack:
        data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data"
        servers = stack.enter_context(running_fleet(data_dir, SERVERS))
        limit = {"call_timeout_s": CALL_LIMIT_S}
        aggregator = await stack.enter_async_context(open_aggregator(servers, **limit))
        entries = [{**server.entry, **limit} for server in servers]
        assistant = await stack.enter_async_context(running_assistant(entries, data_dir))
        await assistant.wait_for_servers(len(servers))
        front = await Wire.open(assistant.installation.url)
        scene = _Scene(servers[0], servers[-1], aggregator, assistant, front)
        await scene.call_ms(50)
        await scene.turn_ms(20)
        for _ in range(plan.rounds):
            yield await _round(scene, plan)
            await scene.recover()


async def _round(scene: _Scene, plan: Plan) -> Numbers:
    calls, turns = plan.count(200, 20), plan.count(20, 3)
    normal_ms, normal_turn_ms = await scene.call_ms(calls), await scene.turn_ms(turns)
    tools = scene.aggregator.tools()
    with _frozen(scene.frozen):
        hanging_turn = scene.hanging_front.send(
            scene.assistant.turn_request(f"bench/tool/{scene.frozen.id}__{TOOL}"), FIRST_TEXT
        )
        turn_ms = await scene.turn_ms(turns)
        async with asyncio.TaskGroup() as group:
            hang = group.create_task(scene.hang_s())
            await asyncio.sleep(_LOOK_S)
            call_ms = await scene.call_ms(calls)
            is_unchanged = scene.aggregator.tools() == tools and not hang.done()
        after_ms = await scene.call_ms(calls)
        await hanging_turn.total_ms()
    return {
        "call_ratio": call_ms / normal_ms,
        "after_ratio": after_ms / normal_ms,
        "changed": float(not is_unchanged),
        "limit_ratio": hang.result() / CALL_LIMIT_S,
        "turn_ratio": turn_ms / normal_turn_ms,
    }


@contextmanager
def _frozen(server: Server) -> Generator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def _p50_ms(action: Callable[[], Awaitable[object]], times: int) -> float:
    times_ms: list[float] = []
    for _ in range(times):
        began_ns = time.perf_counter_ns()
        await action()
        times_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
    return median(times_ms)


STAGE = Stage(
    "hanging",
    (
        Row(
            "call_ratio", "one of 3 servers hangs: calls to a healthy one against normal", "x", 1.2
        ),
        Row("after_ratio", "  once its state is known", "x", 1.2),
        Row("turn_ratio", "  turns with a healthy tool while another turn hangs", "x", 1.2),
        Row("changed", "  list changed while a call hangs", "", 0),
        Row("limit_ratio", "  a call to it fails, against its limit of 2 s", "x", 1.1),
    ),
    hanging,
)
