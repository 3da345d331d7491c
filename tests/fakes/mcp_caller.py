"""A process that runs an aggregator beside hostile servers and reports what each cost it.

`python -m tests.fakes.mcp_caller HEALTHY_URL CACHE_DIR` reads the address of a hostile server per
line and answers with one JSON object per line.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from orchestrator.domain.servers import ServerConfig
from orchestrator.tools.aggregator import MCPToolAggregator
from tests.fakes.mcp_pins import PinsInMemory

CALL_TIMEOUT_S = 2.0


def memory_mb(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


async def healthy_calls(aggregator: MCPToolAggregator, stop: asyncio.Event) -> list[float]:
    """Call the healthy server until `stop` is set; return the time of each call in ms."""
    times: list[float] = []
    while not stop.is_set() or len(times) < 20:
        began = time.perf_counter()
        result = await aggregator.call("healthy__echo", {"text": "hi"}, call_id="c")
        assert result.status == "done", result
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)


async def report(
    aggregator: MCPToolAggregator, healthy: ServerConfig, hostile: ServerConfig
) -> dict[str, object]:
    alone = asyncio.Event()
    alone.set()
    times_alone = await healthy_calls(aggregator, alone)
    forget_peak()
    before_mb = memory_mb("VmRSS")
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        calls = group.create_task(healthy_calls(aggregator, stop))
        await aggregator.reconfigure([healthy, hostile])
        await aggregator.wait_until_settled(10)
        tools = [tool for tool in aggregator.tools() if tool.server == hostile.id]
        began = time.perf_counter()
        result = await aggregator.call(f"{hostile.id}__strike", {"q": "x"}, call_id="c")
        call_s = time.perf_counter() - began
        status = aggregator.servers()[1]
        stop.set()
    times = calls.result()
    return {
        "state": status.state,
        "last_error": status.last_error,
        "tools": [[tool.qualified_name, tool.description, tool.input_schema] for tool in tools],
        "call": [result.status, result.error_code, result.error],
        "call_s": call_s,
        "healthy_alone_ms": times_alone[len(times_alone) // 2],
        "healthy_beside_ms": times[len(times) // 2],
        "grown_mb": memory_mb("VmHWM") - before_mb,
    }


async def main(healthy_url: str, cache_dir: Path) -> None:
    healthy = ServerConfig(id="healthy", url=healthy_url, trust="fleet")
    async with MCPToolAggregator(
        [healthy], token_for=lambda _: None, cache_dir=cache_dir, pins=PinsInMemory()
    ) as aggregator:
        await aggregator.wait_until_settled(10)
        await aggregator.call("healthy__big", {"size": 1_000_000}, call_id="c")
        number = 0
        while line := await asyncio.to_thread(sys.stdin.readline):
            number += 1
            hostile = ServerConfig(
                id=f"hostile{number}",
                url=line.strip(),
                trust="fleet",
                call_timeout_s=CALL_TIMEOUT_S,
            )
            print(json.dumps(await report(aggregator, healthy, hostile)), flush=True)
            await aggregator.reconfigure([healthy])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
