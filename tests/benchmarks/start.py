"""How long the orchestrator takes until it accepts messages, whatever its servers do."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.assistant import settled
from tests.benchmarks.fleet import Server, running_fleet
from tests.benchmarks.processes import cpu_ms
from tests.benchmarks.stages import Numbers, Plan, Row, Stage
from tests.fakes.mcp_servers import closed_port
from tests.installation import Installation

SERVERS = [10] * 29
"""Tools of the living; one of these freezes, and one more server is dead."""


async def start(plan: Plan) -> AsyncGenerator[Numbers]:
    """Yield the numbers of each round; the first start, with empty data, is not counted."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = stack.enter_context(running_fleet(folder / "many" / "data", SERVERS))
        alone = _installation(folder / "alone", [])
        many = _installation(folder / "many", servers)
        os.kill(servers[-1].pid, signal.SIGSTOP)
        try:
            await _started(alone, 0)
            await _started(many, len(servers) - 1)
            for _ in range(plan.rounds):
                alone_s, alone_cpu_s, _ = await _started(alone, 0)
                many_s, many_cpu_s, settled_s = await _started(many, len(servers) - 1)
                yield {
                    "many_s": many_s,
                    "many_cpu_s": many_cpu_s,
                    "alone_s": alone_s,
                    "alone_cpu_s": alone_cpu_s,
                    "settled_s": settled_s,
                }
        finally:
            os.kill(servers[-1].pid, signal.SIGCONT)


def _installation(folder: Path, servers: Sequence[Server]) -> Installation:
    entries = [server.entry for server in servers]
    if servers:
        entries.append(
            {"id": "dead", "url": f"http://127.0.0.1:{closed_port()}/mcp", "trust": "fleet"}
        )
    return Installation(folder, f"http://127.0.0.1:{closed_port()}/v1", servers=entries)


async def _started(installation: Installation, ready: int) -> tuple[float, float, float]:
    """Start and stop; returns the seconds until ready, CPU so far, and until servers are."""
    began_s = time.monotonic()
    await asyncio.to_thread(installation.start)
    ready_s = time.monotonic() - began_s
    assert installation.program is not None
    try:
        cpu_s = cpu_ms(installation.program.pid) / 1000
        await settled(installation.url, installation.bearer, ready)
        return ready_s, cpu_s, time.monotonic() - began_s
    finally:
        await asyncio.to_thread(installation.stop)


STAGE = Stage(
    "start",
    (
        Row("many_s", "start until ready, 30 servers: 1 dead, 1 hanging", "s", 1.5),
        Row("many_cpu_s", "  CPU until then", "s"),
        Row("settled_s", "  until the 28 healthy ones can be called", "s"),
        Row("alone_s", "start until ready, no servers", "s"),
        Row("alone_cpu_s", "  CPU until then", "s"),
    ),
    start,
)
