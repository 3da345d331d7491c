"""A running orchestrator as the benchmarks talk to it."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.benchmarks.processes import cpu_at_rest_ms
from tests.benchmarks.upstream import running_upstream
from tests.benchmarks.wire import Exchange, Refused, Wire, http_request
from tests.installation import Installation

FIRST_TEXT = b"event: text_delta"
_FINISHED = b"event: turn_finished"
_SETTLE_LIMIT_S = 20.0


@dataclass
class Assistant:
    """One installation, the upstream behind it, and a connection to each."""

    installation: Installation
    upstream_url: str
    front: Wire
    direct: Wire

    @property
    def pid(self) -> int:
        assert self.installation.program is not None
        return self.installation.program.pid

    def turn_request(self, model: str) -> bytes:
        """Return a message that starts a session and is answered by `model`."""
        body = {"message": "Tell me something.", "settings": {"model": model}}
        url = f"{self.installation.url}/api/chat/stream"
        return http_request("POST", url, body, self.installation.bearer)

    def direct_request(self, model: str) -> bytes:
        """Return the same question for the upstream itself."""
        messages = [{"role": "user", "content": "Tell me something."}]
        return upstream_request(self.upstream_url, model, messages)

    async def turn(self, model: str, wire: Wire | None = None) -> Exchange:
        """Run a turn to its end. Raises Refused unless it finished."""
        request = self.turn_request(model)
        return finished(await (wire or self.front).ask(request, FIRST_TEXT))

    async def warm_up(self, model: str = "bench/3x0", turns: int = 30) -> None:
        """Run some turns, so that caches are filled and code is specialised."""
        for _ in range(turns):
            await self.turn(model)

    async def cpu_ms(self) -> float:
        return await cpu_at_rest_ms(self.pid)

    async def wait_for_servers(self, ready: int) -> None:
        await settled(self.installation.url, self.installation.bearer, ready)


@asynccontextmanager
async def running_assistant(
    servers: Sequence[Mapping[str, object]] = (), data_dir: Path | None = None
) -> AsyncGenerator[Assistant]:
    """Run the orchestrator and an upstream; `data_dir` may hold tokens of its servers."""
    with tempfile.TemporaryDirectory() as temporary, running_upstream() as upstream_url:
        folder = Path(temporary) if data_dir is None else data_dir.parent
        installation = Installation(folder, upstream_url, "bench/3x0", servers)
        await asyncio.to_thread(installation.start)
        try:
            front, direct = await Wire.open(installation.url), await Wire.open(upstream_url)
            yield Assistant(installation, upstream_url, front, direct)
            front.close()
            direct.close()
        finally:
            await asyncio.to_thread(installation.stop)


def upstream_request(base_url: str, model: str, messages: Sequence[object]) -> bytes:
    """Return a request as a client without an orchestrator would send it."""
    body = {"model": model, "messages": messages, "stream": True}
    return http_request("POST", f"{base_url}/chat/completions", body)


def finished(exchange: Exchange) -> Exchange:
    """Return an exchange whose turn finished. Raises Refused."""
    if _FINISHED not in exchange.body:
        raise Refused(f"the turn did not finish: {exchange.body[-500:]!r}")
    return exchange


async def settled(base_url: str, headers: Mapping[str, str], ready: int) -> None:
    """Wait until so many servers can be called. Raises TimeoutError."""
    url = f"{base_url}/api/mcp/servers"
    request = http_request("GET", url, headers=headers)
    wire = await Wire.open(url)
    async with asyncio.timeout(_SETTLE_LIMIT_S):
        while True:
            answer = msgspec.json.decode((await wire.ask(request)).body)
            if sum(server["state"] == "ready" for server in answer["items"]) >= ready:
                break
            await asyncio.sleep(0.02)
    wire.close()
