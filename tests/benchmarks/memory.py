"""What the orchestrator and an idle fleet need, each server in its own process."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import mean
from sys import executable

from tests.benchmarks.assistant import Assistant, running_assistant
from tests.benchmarks.fleet import listed_fleet, running_fleet
from tests.benchmarks.processes import proportional_mb, resident_mb, tree
from tests.benchmarks.stages import Numbers, Plan, Row, Stage
from tests.processes import started

INTEGRATIONS = 10
_IDLE_S = 1.0
_START_LIMIT_S = 60.0


async def memory(plan: Plan) -> AsyncGenerator[Numbers]:
    """Yield the numbers of each round; each has processes that have not grown yet."""
    for _ in range(plan.rounds):
        yield {**await _real_fleet(plan), **await _fleet_without_vendors()}


async def _real_fleet(plan: Plan) -> Numbers:
    """Measure all servers that exist, under `python -m servers up`."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        async with (
            _fleet_up(data_dir) as (supervisor_pid, entries),
            running_assistant(entries, data_dir) as assistant,
        ):
            await _idle(assistant, len(entries))
            parent, *servers = [proportional_mb(pid) for pid in tree(supervisor_pid)]
            idle_mb, own_mb = resident_mb(assistant.pid), proportional_mb(assistant.pid)
            await assistant.warm_up(turns=plan.count(200, 20))
            await asyncio.sleep(_IDLE_S)
            used_mb = resident_mb(assistant.pid)
    total_mb = own_mb + parent + sum(servers)
    missing = max(0, INTEGRATIONS - len(servers))
    return {
        "idle_rss_mb": idle_mb,
        "used_rss_mb": used_mb,
        "own_pss_mb": own_mb,
        "servers": len(servers),
        "parent_mb": parent,
        "server_mb": mean(servers),
        "now_mb": total_mb,
        "ten_computed_mb": total_mb + missing * mean(servers),
    }


async def _fleet_without_vendors() -> Numbers:
    """Measure as many servers of the kit as there will be, with tools that do nothing."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        with running_fleet(data_dir, [10] * INTEGRATIONS) as servers:
            entries = [server.entry for server in servers]
            async with running_assistant(entries, data_dir) as assistant:
                await _idle(assistant, len(entries))
                parent_pid = _parent_of(servers[0].pid)
                total_mb = sum(proportional_mb(pid) for pid in tree(parent_pid))
                return {"ten_bare_mb": total_mb + proportional_mb(assistant.pid)}


async def _idle(assistant: Assistant, servers: int) -> None:
    """Wait until all servers have answered and nothing happens."""
    await assistant.wait_for_servers(servers)
    await assistant.cpu_ms()
    await asyncio.sleep(_IDLE_S)


@asynccontextmanager
async def _fleet_up(data_dir: Path) -> AsyncGenerator[tuple[int, Sequence[Mapping[str, object]]]]:
    """Run every server of the fleet; gives the supervisor's pid and the servers' entries."""
    data_dir.mkdir(parents=True)
    fleet = await asyncio.to_thread(listed_fleet)
    names = [server["name"] for server in fleet]
    command = (executable, "-m", "servers", "up", *names, "--port", "0", "--json")
    environment = {"FLOTILLA_DATA_DIR": str(data_dir)}
    with started(*command, ready=r"\{", environment=environment) as (program, _):
        entries: list[Mapping[str, object]] = []
        for server in fleet:
            # Not read as JSON: the log of another server may stand on the same line.
            report = rf'"server": "{server["name"]}", "pid": \d+, "url": "(http[^"]+)"'
            url = program.wait_for(report, _START_LIMIT_S)[1]
            entries.append(
                {
                    "id": server["name"],
                    "url": url,
                    "token_file": server["token_file"],
                    "trust": "fleet",
                }
            )
        yield program.pid, entries


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


STAGE = Stage(
    "memory",
    (
        Row("idle_rss_mb", "orchestrator idle, RSS", "MB", 130),
        Row("used_rss_mb", "  idle again after 200 turns", "MB", 130),
        Row("own_pss_mb", "  PSS", "MB"),
        Row("servers", "servers in the fleet now", ""),
        Row("server_mb", "  PSS of one, mean", "MB"),
        Row("parent_mb", "  PSS of their supervisor", "MB"),
        Row("now_mb", "orchestrator + fleet as it is now, PSS", "MB", 450),
        Row("ten_computed_mb", "  computed for 10 servers from the mean of today's", "MB"),
        Row("ten_bare_mb", "  measured with 10 kit servers without vendor libraries", "MB"),
    ),
    memory,
)
