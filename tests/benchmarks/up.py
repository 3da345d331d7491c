"""`python -m orchestrator up` until the practice model has answered with a tool.

This is the warm part of `make run`: what make checks before it is not in the number.
"""

import asyncio
import socket
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from sys import executable
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks.assistant import FIRST_TEXT, finished, settled
from tests.benchmarks.fleet import listed_fleet
from tests.benchmarks.stages import Numbers, Plan, Row, Stage
from tests.benchmarks.wire import Refused, Wire, http_request
from tests.installation import free_port
from tests.processes import ROOT, Program

QUESTION, ANSWER = "What is 17% of 2,340?", b"397.8"
_START_LIMIT_S = 90.0

Fleet = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class _Times:
    """Seconds from the command until something was there."""

    answer_s: float
    link_s: float
    tools_s: float


async def up(plan: Plan) -> AsyncGenerator[Numbers]:
    """Yield the numbers of each round: first with empty data, then again."""
    fleet = await asyncio.to_thread(listed_fleet)
    _check_ports(fleet)
    for _ in range(plan.rounds):
        with tempfile.TemporaryDirectory() as folder:
            first = await _answered(Path(folder), fleet)
            again = await _answered(Path(folder), fleet)
            yield {
                "first_s": first.answer_s,
                "again_s": again.answer_s,
                "link_s": again.link_s,
                "tools_s": again.tools_s,
            }


def _check_ports(fleet: Fleet) -> None:
    """Raise Refused when a Flotilla runs here already: the fleet's ports are fixed."""
    for server in fleet:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", urlsplit(server["url"]).port)) == 0:
                raise Refused(f"stop the Flotilla that serves {server['url']} and try again")


async def _answered(folder: Path, fleet: Fleet) -> _Times:
    """Start all, ask as soon as the tools are there, stop all."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    enabled = [server for server in fleet if server["enabled_by_default"]]
    environment = {
        "PYTHONPATH": str(ROOT),
        "FLOTILLA_DATA_DIR": str(folder / "data"),
        "FLOTILLA_LOGS_DIR": str(folder / "logs"),
        "FLOTILLA_PORT": str(port),
        # Empty means unset: without a key the practice model answers.
        "OPENROUTER_API_KEY": "",
        "OPENROUTER_BASE_URL": "",
    }
    began_s = time.monotonic()
    program = Program((executable, "-m", "orchestrator", "up"), folder, environment)
    try:
        await asyncio.to_thread(program.wait_for, r"#sign-in=", _START_LIMIT_S)
        link_s = time.monotonic() - began_s
        token = (folder / "data" / "tokens" / "cli").read_text().strip()
        bearer = {"Authorization": f"Bearer {token}"}
        await settled(url, bearer, len(enabled))
        tools_s = time.monotonic() - began_s
        await _ask(url, bearer)
        return _Times(time.monotonic() - began_s, link_s, tools_s)
    finally:
        await asyncio.to_thread(program.stop, 10.0)


async def _ask(url: str, bearer: Mapping[str, str]) -> None:
    """Ask something that needs a tool. Raises Refused when the answer is another."""
    request = http_request("POST", f"{url}/api/chat/stream", {"message": QUESTION}, bearer)
    wire = await Wire.open(url)
    exchange = finished(await wire.ask(request, FIRST_TEXT))
    wire.close()
    if ANSWER not in exchange.body:
        raise Refused(f"the answer lacks {ANSWER!r}: {exchange.body!r}")


STAGE = Stage(
    "up",
    (
        Row("again_s", "`flotilla up`, warm, until the first answer with a tool is whole", "s", 4),
        Row("link_s", "  until the sign-in link", "s"),
        Row("tools_s", "  until the tools of the fleet can be called", "s"),
        Row("first_s", "  the same with empty data", "s"),
    ),
    up,
)
