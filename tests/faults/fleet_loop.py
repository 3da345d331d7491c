"""Takes all servers away and gives them back while turns run, and counts what that costs.

    python -m tests.faults.fleet_loop --rounds 100

Chats call tools of two servers all the while. No turn may fail; a call may only fail because its
server was off. In the end the process has the files, tasks and memory it had at the start.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.fakes.effects import running_effects
from tests.fakes.mcp_servers import closed_port, hostile_server, toy_server
from tests.installation import Installation, practice_model, running

CHATS = 3
WARM_UP_ROUNDS = 10
SETTLE_LIMIT_S = 30.0
POLL_S = 0.05
THINKING_S = 0.2
"""How long a person of the chats rests: what is measured is not a machine at its limit."""
OFF = ("is away since", "is switched off", "There is no tool", "There is no server")
"""What an error says when a call failed because its server was off."""
MAX_GROWTH_BYTES = 5 * 1024 * 1024


@dataclass
class Report:
    """What the loop saw."""

    rounds: int = 0
    put_ms: list[float] = field(default_factory=list[float])
    turns: Counter[str] = field(default_factory=Counter[str])
    calls: Counter[str] = field(default_factory=Counter[str])
    failures: set[str] = field(default_factory=set[str])
    """What failed calls were told."""
    files: tuple[int, int] = (0, 0)
    """Open files and connections of the orchestrator, before and after."""
    resident_bytes: tuple[int, int] = (0, 0)

    @property
    def failed_turns(self) -> int:
        return self.turns.total() - self.turns["turn_finished"]

    @property
    def strange_failures(self) -> list[str]:
        """Failures of calls that are not because their server was off."""
        return sorted(text for text in self.failures if not any(why in text for why in OFF))

    @property
    def is_clean(self) -> bool:
        has_leak = self.files[1] > self.files[0] or (
            self.resident_bytes[1] - self.resident_bytes[0] > MAX_GROWTH_BYTES
        )
        return not (self.failed_turns or self.strange_failures or has_leak)

    def lines(self) -> list[str]:
        times = sorted(self.put_ms)
        grown = (self.resident_bytes[1] - self.resident_bytes[0]) / 1024 / 1024
        return [
            f"rounds {self.rounds}, PUTs {len(times)}",
            f"PUT ms: median {times[len(times) // 2]:.1f}, slowest {times[-1]:.1f}",
            f"turns {dict(self.turns)}, calls {dict(self.calls)}",
            f"calls that failed while their server was on: {self.strange_failures}",
            f"files {self.files[0]} -> {self.files[1]}, memory {grown:+.1f} MiB",
        ]


class Fleet:
    """The owner: takes servers away, gives them back, and looks how they are."""

    def __init__(self, http: httpx2.AsyncClient, report: Report) -> None:
        self._http = http
        self._report = report

    async def put(self, servers: Sequence[dict[str, Any]]) -> None:
        began = time.perf_counter()
        answer = await self._http.put("/api/mcp/servers", json={"servers": list(servers)})
        self._report.put_ms.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, answer.text

    async def until_ready(self, ids: set[str]) -> None:
        """Wait until these servers are ready."""
        async with asyncio.timeout(SETTLE_LIMIT_S):
            while True:
                items = (await self._http.get("/api/mcp/servers")).json()["items"]
                if ids <= {item["id"] for item in items if item["state"] == "ready"}:
                    return
                await asyncio.sleep(POLL_S)


async def chat(http: httpx2.AsyncClient, number: int, report: Report, stop: asyncio.Event) -> None:
    """Have one turn after the other call a tool of each server, and count how they end."""
    texts = [
        f'/call toy__echo {{"text": "{number}"}}',
        '/call effects__read_note {"item_id": "7"}',
        '/call toy__slow {"seconds": 0.2}',
    ]
    turn = 0
    while not stop.is_set():
        # A session of its own each time: a growing history would make turns dearer and dearer.
        body = {"message": texts[turn % len(texts)]}
        turn += 1
        async with http.stream("POST", "/api/chat/stream", json=body) as response:
            assert response.status_code == 200, await response.aread()
            last = ""
            async for name, data in _events(response):
                last = name
                if name == "tool_call_finished":
                    report.calls[data["status"]] += 1
                    if data["status"] != "done":
                        report.failures.add(data["error"])
            report.turns[last] += 1
        await asyncio.sleep(THINKING_S)


async def _events(response: httpx2.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def open_files(installation: Installation) -> int:
    assert installation.program is not None
    return sum(1 for _ in Path(f"/proc/{installation.program.pid}/fd").iterdir())


async def _settled(installation: Installation, at_most: int | None) -> tuple[int, int]:
    """Return open files and memory, once sessions that were let go have ended."""
    deadline = time.monotonic() + SETTLE_LIMIT_S
    while at_most is not None and open_files(installation) > at_most:
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(POLL_S)
    return open_files(installation), installation.resident_bytes()


@contextmanager
def _house(
    folder: Path,
) -> Iterator[tuple[Installation, list[dict[str, Any]], list[dict[str, Any]]]]:
    """Give a running installation, two good servers, and three that are dead, frozen and mad."""
    (folder / "data").mkdir()
    with ExitStack() as stack:
        model_url = stack.enter_context(practice_model("--pace-ms", "0"))
        toy = stack.enter_context(toy_server(folder / "journal"))
        frozen = stack.enter_context(toy_server(folder / "frozen"))
        hostile = stack.enter_context(hostile_server())
        effects = stack.enter_context(running_effects(folder / "data"))
        good = [
            {"id": "toy", "url": toy.url, "trust": "fleet"},
            {
                "id": "effects",
                "url": effects.url,
                "trust": "fleet",
                "token_file": f"tokens/{effects.name}",
            },
        ]
        sick = [
            {"id": "dead", "url": f"http://127.0.0.1:{closed_port()}/mcp"},
            {"id": "frozen", "url": frozen.url},
            {"id": "mad", "url": hostile.url_of("garbage_json")},
        ]
        frozen.freeze()
        yield stack.enter_context(running(Installation(folder, model_url))), good, sick


async def fleet_loop(folder: Path, rounds: int) -> Report:
    """Take the servers away and give them back so often, while chats run."""
    report, stop = Report(rounds=rounds), asyncio.Event()
    with _house(folder) as (installation, good, sick):
        async with httpx2.AsyncClient(
            base_url=installation.url,
            headers=installation.bearer,
            timeout=SETTLE_LIMIT_S,
            trust_env=False,
        ) as http:
            fleet = Fleet(http, report)
            ids = {server["id"] for server in good}
            async with asyncio.TaskGroup() as group:
                for number in range(CHATS):
                    group.create_task(chat(http, number, report, stop))
                await _take_and_give(fleet, [*good, *sick], WARM_UP_ROUNDS)
                await fleet.put(good)
                await fleet.until_ready(ids)
                before = await _settled(installation, None)
                await _take_and_give(fleet, [*good, *sick], rounds)
                await fleet.put(good)
                await fleet.until_ready(ids)
                stop.set()
            after = await _settled(installation, before[0])
    report.files, report.resident_bytes = (before[0], after[0]), (before[1], after[1])
    return report


async def _take_and_give(fleet: Fleet, servers: Sequence[dict[str, Any]], rounds: int) -> None:
    for _ in range(rounds):
        await fleet.put([])
        await fleet.put(servers)
        await asyncio.sleep(POLL_S)  # Some sessions open, some do not: both must end well.


def main() -> int:
    """Run the loop as told on the command line; the exit code says whether it was clean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(fleet_loop(Path(folder), options.rounds))
    print("\n".join(report.lines()))
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
