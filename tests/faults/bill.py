"""Replays turns with awkward costs and mishaps, and compares the ledger with the vendor's bill.

    python -m tests.faults.bill --turns 500

Every generation the vendor began is on its bill, rounded half up to micro-dollars by itself, and
must be in the ledger with exactly that amount. The process is restarted half way.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, select

from orchestrator.chat.budget import Caps
from orchestrator.chat.limits import TurnLimits
from orchestrator.domain.model_settings import SessionSettings
from orchestrator.store.schema import turns, usage
from tests.fakes.mcp_servers import toy_server
from tests.fakes.openrouter import Gate, served
from tests.fakes.openrouter_bill import BillingOpenRouter, billed
from tests.fakes.openrouter_rounds import Call, Drop, Failure, Round
from tests.orchestrator.chat.conftest import Chat, running_chat

AT_ONCE = 20
SETTLED_WITHIN_S = 60.0
PLENTY = 10**12
KINDS = (
    *("plain", "tools", "refused_once", "dropped_early", "fallback", "stopped"),
    *("cut", "failed", "silent"),
)


SILENT_KINDS = ("dropped_early", "stopped", "cut", "failed", "silent")


@dataclass
class Report:
    """What was replayed and what it came to; `wrong` must be empty."""

    turns: Counter[str] = field(default_factory=Counter[str])
    generations: int = 0
    billed_microusd: int = 0
    ledger_microusd: int = 0
    turns_microusd: int = 0
    wrong: dict[str, tuple[int | None, int | None]] = field(default_factory=dict)
    """By generation: what the vendor bills, and what the ledger says."""
    seconds: float = 0.0

    @property
    def told_later(self) -> int:
        """How many generations had to be asked for, because their stream told no cost."""
        return sum(self.turns[kind] for kind in SILENT_KINDS)

    @property
    def is_exact(self) -> bool:
        sums = {self.billed_microusd, self.ledger_microusd, self.turns_microusd}
        return not self.wrong and len(sums) == 1


class Player:
    """Plays turns of all kinds, each with a model of its own so that none gets another's rounds."""

    def __init__(self, fake: BillingOpenRouter, seed: int) -> None:
        self._fake = fake
        self._random = random.Random(seed)

    async def play(self, chat: Chat, number: int) -> str:
        """Play one turn to its end; return its kind."""
        kind, model = KINDS[number % len(KINDS)], f"fake/turn-{number}"
        self._fake.script(*self._rounds(kind), model=model)
        fallback = f"{model}-other"
        self._fake.script(billed("The other.", dollars=self._dollars()), model=fallback)
        settings = SessionSettings(
            model=model, fallback_models=(fallback,) if kind == "fallback" else ()
        )
        turn = await chat.send(f"Turn {number}.", settings=settings)
        if kind == "stopped":
            await chat.until(turn.id, "text_delta")
            await chat.orchestrator.cancel(chat.owner_id, turn.id)
        await chat.events(turn.id)
        return kind

    def _rounds(self, kind: str) -> Sequence[Round]:
        dollars = self._dollars
        answer = billed("An answer.", dollars=dollars())
        match kind:
            case "tools":
                call = Call("toy__add", {"a": 1, "b": 2})
                asking = [billed(calls=(call,), dollars=dollars()) for _ in range(2)]
                return [*asking, answer]
            case "refused_once":
                return [Round(status=502), answer]
            case "dropped_early":
                return [billed(Drop(), dollars=dollars()), answer]
            case "fallback":
                return [Round(status=404)]
            case "stopped":
                return [billed("Half ", Gate(), dollars=dollars())]
            case "cut":
                return [billed("Half ", Drop(), dollars=dollars())]
            case "failed":
                return [billed("Half ", Failure(), dollars=dollars())]
            case "silent":
                return [billed("No usage.", dollars=dollars(), is_told=False)]
            case _:
                return [answer]

    def _dollars(self) -> str:
        """Return an awkward amount: tiny, half a micro-dollar, or with a long tail."""
        whole = self._random.randrange(0, 40_000)
        tail = self._random.choice(("", "5", "49999", "500001", "123456789"))
        micro = f"{whole}.{tail}" if tail else str(whole)
        digits = micro.replace(".", "").rjust(6 + len(tail), "0")
        point = len(digits) - 6 - len(tail)
        return f"{digits[:point] or '0'}.{digits[point:]}"


async def replay(count: int, folder: Path, seed: int = 1) -> Report:
    """Replay so many turns and return what they came to."""
    report, began_s = Report(), time.monotonic()
    with served(BillingOpenRouter()) as fake, toy_server(folder / "notes.txt") as toy:
        player = Player(fake, seed)
        limits = TurnLimits(max_cost_microusd=PLENTY)
        for numbers in (range(count // 2), range(count // 2, count)):
            async with running_chat(folder, fake, toy.url, limits, caps=Caps(PLENTY, PLENTY)) as c:
                await _play_all(player, c, numbers, report)
                if numbers.stop == count:
                    await _settled(c)
                    await _compare(c, fake, report)
    report.seconds = time.monotonic() - began_s
    return report


async def _play_all(player: Player, chat: Chat, numbers: range, report: Report) -> None:
    waiting = iter(numbers)

    async def play_on() -> None:
        for number in waiting:
            report.turns[await player.play(chat, number)] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(play_on())


async def _settled(chat: Chat) -> None:
    async with asyncio.timeout(SETTLED_WITHIN_S):
        while await chat.database.read(_pending):  # noqa: ASYNC110 - the rows tell it, no event
            await asyncio.sleep(0.05)


async def _compare(chat: Chat, fake: BillingOpenRouter, report: Report) -> None:
    bill, ledger = fake.bill.microusd, await chat.database.read(_ledger)
    report.generations = len(bill)
    report.billed_microusd, report.ledger_microusd = sum(bill.values()), sum(ledger.values())
    report.turns_microusd = await chat.database.read(_cost_of_turns)
    for generation in bill.keys() | ledger.keys():
        amounts = bill.get(generation), ledger.get(generation)
        if amounts[0] != amounts[1]:
            report.wrong[generation] = amounts


def _pending(conn: Connection) -> int:
    return len(conn.execute(select(usage.c.id).where(usage.c.state == "pending")).all())


def _ledger(conn: Connection) -> dict[str, int]:
    rows = conn.execute(select(usage.c.id, usage.c.generation_id, usage.c.cost_microusd))
    return {row.generation_id or row.id: row.cost_microusd for row in rows}


def _cost_of_turns(conn: Connection) -> int:
    return sum(conn.execute(select(turns.c.cost_microusd)).scalars())


async def main() -> bool:
    """Replay as the command line says, print the figures, return whether all is exact."""
    parser = argparse.ArgumentParser(description="Compare the ledger with the vendor's bill.")
    parser.add_argument("--turns", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = await replay(arguments.turns, Path(folder), arguments.seed)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(report.turns.items()))
    print(f"{report.turns.total()} turns in {report.seconds:.1f} s: {kinds}")
    print(f"generations on the bill  {report.generations}")
    print(f"told only later          {report.told_later}")
    print(f"the vendor's bill        {report.billed_microusd} micro-dollars")
    print(f"the ledger               {report.ledger_microusd}")
    print(f"the turns                {report.turns_microusd}")
    print(f"generations that differ  {len(report.wrong)} {dict(list(report.wrong.items())[:5])}")
    return report.is_exact


if __name__ == "__main__":
    sys.exit(not asyncio.run(main()))
