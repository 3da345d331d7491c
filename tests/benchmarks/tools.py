"""Tool calls through the aggregator against a raw POST of the same call, and its list of tools."""

import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from tests.benchmarks.fleet import running_fleet
from tests.benchmarks.stages import Numbers, Plan, Row, Stage
from tests.benchmarks.tool_driver import running_driver

TOOLS = [100, *([10] * 30)]
"""How many each server has."""
FEW, SOME, MANY, BROAD = "10 / 1", "100 / 10", "300 / 30", "390 / 30"
"""Tools and servers; of the last one, the called server is the one with 100 tools."""
FLEETS = {FEW: slice(1, 2), SOME: slice(1, 11), MANY: slice(1, 31), BROAD: slice(0, 30)}


async def tools(plan: Plan) -> AsyncGenerator[Numbers]:
    """Yield the numbers of each round."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        servers = stack.enter_context(running_fleet(Path(folder), TOOLS))
        drivers = {
            name: await stack.enter_async_context(running_driver(servers[part]))
            for name, part in FLEETS.items()
        }
        for driver in drivers.values():
            await driver.measure(10)
        for _ in range(plan.rounds):
            calls = plan.count(300, 20)
            yield _numbers({name: await driver.measure(calls) for name, driver in drivers.items()})


def _numbers(measured: Mapping[str, Mapping[str, float]]) -> Numbers:
    few, many, broad = measured[FEW], measured[MANY], measured[BROAD]
    numbers = {
        "raw_p50_ms": few["raw_p50_ms"],
        "ours_p50_ms": few["ours_p50_ms"],
        "server_cpu_ms": few["ours_server_cpu_ms"],
        "server_cpu_broad_ms": broad["ours_server_cpu_ms"],
        "list_warm_ms": many["list_warm_ms"],
        "list_bytes_ms": many["list_bytes_ms"],
        "list_anew_ms": many["list_anew_ms"],
        "grown_p50": broad["ours_p50_ms"] / few["ours_p50_ms"],
        "grown_cpu": _both_cpu_ms(broad) / _both_cpu_ms(few),
    }
    for name in (FEW, SOME, MANY):
        costs = measured[name]
        numbers[f"{name} ratio"] = costs["ours_p50_ms"] / costs["raw_p50_ms"]
        numbers[f"{name} cpu"] = costs["ours_cpu_ms"]
    return numbers


def _both_cpu_ms(costs: Mapping[str, float]) -> float:
    return costs["ours_cpu_ms"] + costs["ours_server_cpu_ms"]


def _ratio_row(name: str) -> Row:
    return Row(
        f"{name} ratio", f"tool call p50 against a raw POST, {name} tools / servers", "x", 2.6
    )


def _cpu_row(name: str) -> Row:
    return Row(f"{name} cpu", f"CPU per call in the aggregator, {name}", "ms", 1.5)


STAGE = Stage(
    "tools",
    (
        Row("raw_p50_ms", f"raw POST of a tool call, p50, {FEW}", "ms"),
        Row("ours_p50_ms", f"tool call through the aggregator, p50, {FEW}", "ms"),
        *(_ratio_row(name) for name in (FEW, SOME, MANY)),
        *(_cpu_row(name) for name in (FEW, SOME, MANY)),
        Row(
            "grown_p50", f"p50 with {BROAD} against {FEW}, 100 tools on the called server", "x", 1.1
        ),
        Row("grown_cpu", "  CPU of aggregator and server together", "x", 1.1),
        Row("server_cpu_ms", "CPU per call in a fleet server of 10 tools", "ms"),
        Row("server_cpu_broad_ms", "  of 100 tools", "ms"),
        Row("list_bytes_ms", "list of 300 tools, warm, as the bytes of a request", "ms", 5),
        Row("list_warm_ms", "  the list alone", "ms"),
        Row("list_anew_ms", "  made anew after a change of the fleet", "ms"),
    ),
    tools,
)
