"""A small process that calls a tool, raw and through the aggregator, to know its CPU alone.

`python -m tests.benchmarks.tool_driver JSON` has one aggregator over the servers of the JSON. For
each line on stdin, a number of calls, it makes so many of each kind and prints what they cost.
Both kinds alternate in small batches on one event loop against the same server, the first.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import msgspec
import uvloop

from orchestrator.chat.tool_menu import ToolMenu
from orchestrator.domain.servers import ServerConfig
from orchestrator.tools.aggregator import MCPToolAggregator
from orchestrator.tools.tokens import ServerTokens
from tests.benchmarks.fleet import Server
from tests.benchmarks.processes import cpu_ms
from tests.benchmarks.upstream import TOOL_ARGUMENTS
from tests.benchmarks.wire import Wire
from tests.fakes.mcp_pins import PinsInMemory
from tests.processes import ROOT

SETTLE_LIMIT_S = 30.0
WARM_UP_CALLS = 50
BATCH = 10
TOOL = "echo"

Call = Callable[[], Awaitable[object]]


@dataclass
class Cost:
    """What calls of one kind cost so far."""

    times_ms: list[float] = field(default_factory=list[float])
    client_cpu_ms: float = 0.0
    server_cpu_ms: float = 0.0

    async def add(self, call: Call, calls: int, server_pid: int) -> None:
        """Make some more calls, one after the other."""
        server_before_ms, before_ns = cpu_ms(server_pid), time.process_time_ns()
        for _ in range(calls):
            began_ns = time.perf_counter_ns()
            await call()
            self.times_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
        self.client_cpu_ms += (time.process_time_ns() - before_ns) / 1e6
        self.server_cpu_ms += cpu_ms(server_pid) - server_before_ms

    def each(self, name: str) -> dict[str, float]:
        calls = len(self.times_ms)
        return {
            f"{name}_p50_ms": median(self.times_ms),
            f"{name}_cpu_ms": self.client_cpu_ms / calls,
            f"{name}_server_cpu_ms": self.server_cpu_ms / calls,
        }


@asynccontextmanager
async def open_aggregator(
    servers: Sequence[Server], **more: object
) -> AsyncGenerator[MCPToolAggregator]:
    """Open an aggregator over `servers`, all ready; `more` goes into each configuration."""
    configs = [ServerConfig.model_validate({**server.entry, **more}) for server in servers]
    with tempfile.TemporaryDirectory() as folder:
        async with MCPToolAggregator(
            configs,
            token_for=ServerTokens(servers[0].data_dir),
            cache_dir=Path(folder),
            pins=PinsInMemory(),
        ) as aggregator:
            assert await aggregator.wait_until_settled(SETTLE_LIMIT_S)
            assert {status.state for status in aggregator.servers()} == {"ready"}
            yield aggregator


def tool_call(aggregator: MCPToolAggregator, server: Server) -> Call:
    """Return a call of the server's first tool that must succeed."""

    async def call() -> None:
        result = await aggregator.call(f"{server.id}__{TOOL}", TOOL_ARGUMENTS, call_id="c")
        assert result.status == "done", result

    return call


async def raw_tool_call(server: Server) -> Call:
    """Return the same call as a bare POST on a connection of its own."""
    wire, request = await Wire.open(server.url), server.call_request(TOOL, TOOL_ARGUMENTS)
    return lambda: wire.ask(request)


async def _serve(servers: Sequence[Server]) -> None:
    """Measure once for each line on stdin."""
    called = servers[0]
    async with open_aggregator(servers) as aggregator:
        calls = {"raw": await raw_tool_call(called), "ours": tool_call(aggregator, called)}
        for call in calls.values():
            await Cost().add(call, WARM_UP_CALLS, called.pid)
        while line := await asyncio.to_thread(sys.stdin.readline):
            costs = {name: Cost() for name in calls}
            for _ in range(0, int(line), BATCH):
                for name, call in calls.items():
                    await costs[name].add(call, BATCH, called.pid)
            numbers = _list(aggregator)
            for name, cost in costs.items():
                numbers |= cost.each(name)
            print(json.dumps(numbers), flush=True)


def _list(aggregator: MCPToolAggregator) -> dict[str, float]:
    """Return what the `tools` of a request cost: known, as bytes, and made anew."""
    menu = ToolMenu(aggregator)
    return {
        "list_anew_ms": _timed(lambda: ToolMenu(aggregator).schemas()),
        "list_warm_ms": _timed(menu.schemas),
        "list_bytes_ms": _timed(lambda: msgspec.json.encode({"tools": menu.schemas()})),
    }


def _timed(function: Callable[[], object], times: int = 50) -> float:
    times_ms: list[float] = []
    for _ in range(times):
        began_ns = time.perf_counter_ns()
        function()
        times_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
    return median(times_ms)


class ToolDriver:
    """The running program, as the stage that started it sees it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def measure(self, calls: int) -> dict[str, float]:
        """Make so many calls of each kind; returns what they cost."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{calls}\n".encode())
        return json.loads(await stdout.readline())


@asynccontextmanager
async def running_driver(servers: Sequence[Server]) -> AsyncGenerator[ToolDriver]:
    """Run the program until the block ends."""
    entries = json.dumps([server.as_json() for server in servers])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.benchmarks.tool_driver", entries),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield ToolDriver(process)
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    uvloop.run(_serve([Server.from_json(entry) for entry in json.loads(sys.argv[1])]))
