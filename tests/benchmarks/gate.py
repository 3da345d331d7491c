"""What gate and journal add to a call, and what a grant costs.

`python -m tests.benchmarks.gate gated|bare` runs a server with a tool that reads and one that
writes; `bare` is the same without the gate.
"""

import asyncio
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, closing
from pathlib import Path
from statistics import median
from typing import Annotated

from pydantic import BaseModel, Field

from orchestrator.approvals.grants import GrantKeys
from servers.kit.gate.canonical import call_hash
from servers.kit.gate.gate import Gate
from servers.kit.gate.grants import grant_key_file, verified_grant
from servers.kit.manifest import Manifest
from servers.kit.preload import preload
from servers.kit.serve import serve
from servers.kit.server import FleetServer
from servers.kit.settings import KitSettings
from tests.benchmarks.fleet import Server
from tests.benchmarks.stages import Numbers, Plan, Row, Stage
from tests.benchmarks.tool_driver import Call, Cost
from tests.benchmarks.wire import Refused, Wire
from tests.processes import Program, started

BATCH = 10
WARM_UP_CALLS = 50
GATED, BARE = "gated", "bare"
ARGUMENTS = {"text": "Ask Ada about lunch on Friday.", "limit": 10}
MANIFEST = {
    "description": "For benchmarks.",
    "port": 9999,
    "tier": "bronze",
    "tools": {"look": {"labels": ["read"]}, "note": {"labels": ["write"], "level": 1}},
}


class Noted(BaseModel):
    """What was said."""

    text: str


async def gate(plan: Plan) -> AsyncGenerator[Numbers]:
    """Yield the numbers of each round."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = {
            name: Server(name, int(match[1]), match[2], folder)
            for name in (GATED, BARE)
            for _, match in [stack.enter_context(_running(name, folder))]
        }
        commit = stack.enter_context(closing(_database(folder / "bare.db")))
        gated, bare = servers[GATED], servers[BARE]
        calls = {
            "read": (await _tool_call(gated, "look"), gated.pid),
            "bare_read": (await _tool_call(bare, "look"), bare.pid),
            "write": (await _tool_call(gated, "note"), gated.pid),
            "bare_write": (await _tool_call(bare, "note"), bare.pid),
            "commit": (_bare_commit(commit), os.getpid()),
        }
        for call, pid in calls.values():
            await Cost().add(call, WARM_UP_CALLS, pid)
        chance = random.Random(0)
        for _ in range(plan.rounds):
            costs = {name: Cost() for name in calls}
            # Apart: a server that waits for the disk now and then gets more of a busy processor.
            for names in (["read", "bare_read"], ["write", "bare_write", "commit"]):
                for _ in range(0, plan.count(500, 20), BATCH):
                    chance.shuffle(names)  # What always followed its like would be warmer.
                    for name in names:
                        await costs[name].add(calls[name][0], BATCH, calls[name][1])
            syncs = await _syncs_per_call(gated.pid, calls["write"][0], plan)
            yield _numbers(costs) | syncs | _grant_ms(folder, plan.count(500, 20))


def _numbers(costs: Mapping[str, Cost]) -> dict[str, float]:
    measured = {key: value for name in costs for key, value in costs[name].each(name).items()}
    numbers = {"commit_ms": measured["commit_p50_ms"]}
    for name in ("read", "write"):
        times_ms = measured[f"{name}_p50_ms"], measured[f"bare_{name}_p50_ms"]
        cpu_ms = measured[f"{name}_server_cpu_ms"], measured[f"bare_{name}_server_cpu_ms"]
        numbers[f"{name}_ms"] = times_ms[0]
        numbers[f"{name}_added_ms"] = times_ms[0] - times_ms[1]
        numbers[f"{name}_added_cpu_ms"] = cpu_ms[0] - cpu_ms[1]
    return numbers


async def _tool_call(server: Server, tool: str) -> Call:
    wire, request = await Wire.open(server.url), server.call_request(tool, ARGUMENTS)

    async def call() -> None:
        exchange = await wire.ask(request)
        if b'"isError":true' in exchange.body.replace(b" ", b""):
            raise Refused(f"{tool}: {exchange.body[:500]!r}")

    return call


def _database(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE calls (id INTEGER PRIMARY KEY, entry TEXT)")
    return connection


def _bare_commit(connection: sqlite3.Connection) -> Call:
    entry = "x" * 600

    async def commit() -> None:
        connection.execute("INSERT INTO calls (entry) VALUES (?)", (entry,))

    return commit


async def _syncs_per_call(pid: int, write: Call, plan: Plan) -> dict[str, float]:
    """Count what a write call takes to the disk; nothing where strace is missing or may not."""
    strace = shutil.which("strace")
    if strace is None:
        return {}
    calls = plan.count(100, 10)
    command = (strace, "-f", "-e", "trace=fsync,fdatasync", "-p", str(pid))
    tracer = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
    assert tracer.stderr is not None
    if b"attached" not in await tracer.stderr.readline():
        await tracer.wait()
        return {}
    await Cost().add(write, calls, pid)
    tracer.terminate()
    trace = await tracer.stderr.read()
    await tracer.wait()
    return {"syncs": trace.count(b"sync(") / calls}


def _grant_ms(folder: Path, times: int) -> dict[str, float]:
    keys = GrantKeys(folder)
    key = (folder / grant_key_file(GATED)).read_text(encoding="ascii").strip().encode()
    call = {"owner": "owner", "server": GATED, "tool": "note"}
    minted: list[str] = []

    def mint() -> None:
        text = keys.mint(
            *(GATED, "note"),
            owner="owner",
            call_id="call",
            arguments=ARGUMENTS,
            scope="once",
            by="web",
            grant_id="grant",
        )
        minted.append(text)

    def verify() -> None:
        hash_ = call_hash(**call, arguments=ARGUMENTS)
        now_s = time.time()
        verified_grant(minted[-1], key, **call, call_id="call", call_hash=hash_, now_s=now_s)

    return {"mint_ms": _timed(mint, times), "verify_ms": _timed(verify, times)}


def _timed(function: Callable[[], object], times: int) -> float:
    times_ms: list[float] = []
    for _ in range(times):
        began_ns = time.perf_counter_ns()
        function()
        times_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
    return median(times_ms)


def _running(name: str, data_dir: Path) -> AbstractContextManager[tuple[Program, re.Match[str]]]:
    command = (sys.executable, "-m", "tests.benchmarks.gate", name)
    environment = {"FLOTILLA_DATA_DIR": str(data_dir), "FLOTILLA_LOG_LEVEL": "WARNING"}
    return started(*command, ready=r"(\d+) (http\S+?/mcp)", environment=environment)


def _server(name: str) -> FleetServer[None]:
    manifest = Manifest.model_validate({**MANIFEST, "name": name, "title": name.capitalize()})
    server: FleetServer[None] = FleetServer(manifest, instructions="For benchmarks.")
    if name == BARE:
        server.middleware = [part for part in server.middleware if not isinstance(part, Gate)]
    for tool in manifest.tools:
        server.fleet_tool(_tool(tool))
    return server


def _tool(name: str) -> Callable[..., Noted]:
    def tool(
        text: Annotated[str, Field(description="What to say back, at most 2,000 characters.")],
        limit: Annotated[int, Field(description="How many to return.", ge=1, le=50)] = 10,
    ) -> Noted:
        """Say the text back. Use it to find out whether this server answers, and how fast."""
        return Noted(text=text)

    tool.__name__ = name
    return tool


STAGE = Stage(
    "gate",
    (
        Row("read_ms", "read call on a server with a gate, raw POST, p50", "ms"),
        Row("read_added_ms", "  above the same without the gate", "ms", 0.3),
        Row("read_added_cpu_ms", "  CPU of the server above that", "ms"),
        Row("write_ms", "write call of level 1, raw POST, p50", "ms"),
        Row("write_added_ms", "  above the same without the gate", "ms"),
        Row("write_added_cpu_ms", "  CPU of the server above that", "ms"),
        Row("commit_ms", "  one bare commit of SQLite that is on the disk, p50", "ms"),
        Row("syncs", "  times it waits for the disk", "", 1.1),
        Row("mint_ms", "sign a grant", "ms"),
        Row("verify_ms", "verify it", "ms"),
    ),
    gate,
)


def main() -> None:
    """Serve until stopped by a signal."""
    preload()
    serve(
        _server(sys.argv[1]),
        KitSettings(server_port=0),
        on_ready=lambda url: print(os.getpid(), url, flush=True),
    )


if __name__ == "__main__":
    main()
