"""`python -m orchestrator up` until the practice model has answered with a tool.

This is the warm part of `make run`: what make checks before it is not in the number.
"""

import asyncio
import socket
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from sys import executable
from urllib.parse import urlsplit

from tests.benchmarks.assistant import FIRST_TEXT, finished
from tests.benchmarks.fleet import listed_fleet
from tests.benchmarks.stages import Numbers, Plan, Row, Stage
from tests.benchmarks.wire import Refused, Wire, http_request
from tests.installation import free_port
from tests.processes import ROOT, Program

QUESTION, ANSWER = "What is 17% of 2,340?", b"397.8"
_START_LIMIT_S = 90.0


async def up(plan: Plan) -> AsyncGenerator[Numbers]:
    """Yield the numbers of each round: first with empty data, then again."""
    await asyncio.to_thread(_check_ports)
    for _ in range(plan.rounds):
        with tempfile.TemporaryDirectory() as folder:
            first_s, _ = await _answered(Path(folder))
            again_s, link_s = await _answered(Path(folder))
            yield {"first_s": first_s, "again_s": again_s, "link_s": link_s}


def _check_ports() -> None:
    """Raise Refused when a Flotilla runs here already: the fleet's ports are fixed."""
    for server in listed_fleet():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", urlsplit(server["url"]).port)) == 0:
                raise Refused(f"stop the Flotilla that serves {server['url']} and try again")


async def _answered(folder: Path) -> tuple[float, float]:
    """Start all, ask, stop all; returns the seconds until the answer was whole and the link."""
    port = free_port()
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
        await _ask(f"http://127.0.0.1:{port}", folder / "data")
        return time.monotonic() - began_s, link_s
    finally:
        await asyncio.to_thread(program.stop, 10.0)


async def _ask(url: str, data_dir: Path) -> None:
    """Ask something that needs a tool. Raises Refused when the answer is another."""
    token = (data_dir / "tokens" / "cli").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    request = http_request("POST", f"{url}/api/chat/stream", {"message": QUESTION}, headers)
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
        Row("first_s", "  the same with empty data", "s"),
    ),
    up,
)
