"""Kills the orchestrator and a server of the fleet while calls are asked for, allowed and run.

    python -m tests.faults.gate_loop --kills 300

Chats, callers of the HTTP API and MCP clients call tools of every level; their owner approves,
changes and denies. Each call can be told apart, and its effects are counted in the end.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import httpx2

from tests.faults.gate_clients import PAUSE_S, ChatClient, DirectCaller, Owner, RawClient, World
from tests.faults.gate_judge import Judge, Report
from tests.gated_house import gated_house

MAX_LIFE_S = 0.6
TRIGGER_LIMIT_S = 1.5
SETTLE_LIMIT_S = 60.0
POLL_S = 0.002
# Limits ask again at their number; here they would turn every later call into a question.
ENVIRONMENT = {
    f"FLOTILLA_{period}_MAX_{kind}": "1000000"
    for period in ("TURN", "DAY")
    for kind in ("SENDS", "DELETES", "SHARES")
}


class Killer:
    """Kills one program or both, at a random moment or right after something happened."""

    def __init__(self, world: World, report: Report) -> None:
        self._world = world
        self._report = report
        self._house = world.house
        self._moments: dict[str, Callable[[], Awaitable[None]]] = {
            "at a random moment": self._random_moment,
            "after an approval": self._approval,
            "after `started`": self._started,
            "after an effect": self._effect,
        }

    async def run(self, kills: int) -> None:
        """Kill so often."""
        chance = self._world.chance
        while self._report.kills.total() < kills:
            moment = chance.choice(list(self._moments))
            with suppress(TimeoutError):
                async with asyncio.timeout(TRIGGER_LIMIT_S):
                    await self._moments[moment]()
                    await asyncio.sleep(chance.choice((0, 0, 0.002, 0.01)))
            victim = chance.choice(("orchestrator", "orchestrator", "server", "both", "both"))
            await self.kill(victim)
            self._report.kills[f"{victim} {moment}"] += 1

    async def kill(self, victim: str) -> None:
        house = self._house
        if victim != "server":
            house.installation.kill()
        if victim != "orchestrator":
            house.effects.kill()
        async with asyncio.TaskGroup() as group:
            if victim != "server":
                group.create_task(asyncio.to_thread(house.installation.start))
            if victim != "orchestrator":
                group.create_task(asyncio.to_thread(house.effects.start))

    async def _random_moment(self) -> None:
        await asyncio.sleep(self._world.chance.uniform(0, MAX_LIFE_S))

    async def _approval(self) -> None:
        self._world.approved.clear()
        await self._world.approved.wait()

    async def _started(self) -> None:
        await self._grown(self._house.effects.data_dir / "servers" / "effects" / "gate.db-wal")

    async def _effect(self) -> None:
        await self._grown(self._house.effects.effects_file)

    async def _grown(self, path: Path) -> None:
        """Wait until the file is written to; the first write of a gated call is its `started`."""
        before = _written(path)
        while True:
            await asyncio.sleep(POLL_S)
            if _written(path) != before:
                return


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


async def gate_loop(folder: Path, kills: int, seed: int) -> Report:
    """Run everybody through `kills` kills and return what was found."""
    report = Report()
    with gated_house(folder, ENVIRONMENT) as house:
        async with httpx2.AsyncClient(
            base_url=house.installation.url, timeout=10, trust_env=False, verify=False
        ) as http:
            world = World(house, http, random.Random(seed))
            chats = [ChatClient(number, world) for number in range(3)]
            raws = [RawClient(number, world) for number in range(2)]
            direct = DirectCaller(0, world)
            stop, at_rest = asyncio.Event(), asyncio.Event()
            async with asyncio.TaskGroup() as group:
                clients = [
                    group.create_task(client.run(stop), name=type(client).__name__)
                    for client in (*chats, *raws, direct)
                ]
                group.create_task(Owner(world).run(at_rest))
                killer = Killer(world, report)
                await killer.run(kills)
                stop.set()
                # Its circuit breaker, which the kills have opened, would make the end long.
                await killer.kill("orchestrator")
                _, late = await asyncio.wait(clients, timeout=SETTLE_LIMIT_S)
                for task in late:
                    task.cancel()
                    report.complain("left_open", f"{task.get_name()} waits for ever")
                await _settled(world)
                await direct.ask_again()
                at_rest.set()
            judge = Judge(world, report)
            await judge.judge(chats, [*raws, direct])
        house.installation.stop()
        house.effects.stop()
        judge.judge_files()
    return report


async def _settled(world: World) -> None:
    """Wait until nothing waits for the owner and what was approved has its outcome."""
    owner = Owner(world)
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_LIMIT_S):
            while True:
                if not (await owner.pending() or await _without_outcome(world)):
                    return
                await asyncio.sleep(PAUSE_S)


async def _without_outcome(world: World) -> bool:
    page = await world.ask("GET", "/api/approvals?state=approved&limit=200")
    return any(
        approval["origin"] != "turn" and approval["outcome"] is None
        for approval in page.json()["items"]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill both sides of the gate again and again.")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(gate_loop(Path(folder), arguments.kills, arguments.seed))
    print(f"seed {arguments.seed}\n{report.table()}")
    sys.exit(not report.is_clean)


if __name__ == "__main__":
    main()
