"""The desk of questions: who is signed in answers them, and nobody is asked too often."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestrator.approvals import question_desk
from orchestrator.approvals.question_desk import QuestionDesk
from orchestrator.background import running
from orchestrator.domain.accounts import Account, ServerAccounts
from orchestrator.domain.questions import Question
from orchestrator.domain.times import to_rfc3339, utc_now
from orchestrator.errors import Conflict, NotFound, ServerUnavailable, StorageFull
from orchestrator.store import questions
from orchestrator.store.database import Database
from tests.orchestrator.store.test_questions import store_question


def account(name: str = "anna@example.org", *capabilities: str, **fields: Any) -> Account:
    plain: dict[str, Any] = {
        "account": name,
        "state": "ok",
        "is_default": True,
        "capabilities": capabilities or ("read",),
        "scopes": (),
        "signed_in_at": "2026-11-20T10:00:00Z",
        "last_refresh_at": None,
        "works_until": None,
        "problem": None,
    }
    return Account(**plain | fields)


@dataclass
class Server:
    """What a server tells of its accounts."""

    accounts: tuple[Account, ...] = ()
    is_away: bool = False
    looks: int = 0
    looked: asyncio.Event = field(default_factory=asyncio.Event)

    async def look(self, server: str) -> ServerAccounts:
        self.looks += 1
        self.looked.set()
        if self.is_away:
            raise ServerUnavailable(f"{server} is away.")
        return ServerAccounts(
            provider="toy",
            provider_title="Toy",
            setup=None,
            capabilities=(),
            accounts=self.accounts,
        )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(question_desk, "SHORTEST_PAUSE_S", 0.01)
    return Server()


@asynccontextmanager
async def opened(database: Database, server: Server) -> AsyncGenerator[QuestionDesk]:
    desk = QuestionDesk(database, server.look)
    async with running(desk.keep()):
        yield desk


async def kept(database: Database, **fields: Any) -> tuple[str, Question]:
    return await database.write(store_question, **fields)


@pytest.mark.parametrize(
    ("asked", "found", "is_answered"),
    [
        ({}, account(), True),
        ({}, account("bo@example.org"), True),
        ({"account": "Anna@Example.org", "reason": "ended"}, account(), True),
        ({"account": "anna@example.org"}, account("bo@example.org"), False),
        ({"capability": "write"}, account(), False),
        ({"capability": "write"}, account("a@b.c", "read", "write"), True),
        ({}, account(state="needs_sign_in", problem="It ended."), False),
        ({"server": "calendar"}, account(), False),
    ],
)
async def test_an_account_answers_what_it_satisfies(
    database: Database, server: Server, asked: dict[str, Any], found: Account, is_answered: bool
) -> None:
    owner_id, question = await kept(database, **asked)
    desk = QuestionDesk(database, server.look)
    await desk.signed_in(owner_id, "mail", [found])
    stored = await desk.find(owner_id, question.id)
    assert stored.state == ("done" if is_answered else "pending")


async def test_all_who_wait_hear_of_the_sign_in(database: Database, server: Server) -> None:
    async with opened(database, server) as desk:
        found = [await kept(database) for _ in range(3)]
        waiting = [asyncio.create_task(desk.wait(owner_id, q.id)) for owner_id, q in found]
        await desk.signed_in(found[0][0], "mail", [account()])
        assert [(await task).state for task in waiting] == ["done"] * 3


async def test_a_sign_in_that_nobody_told_of_is_seen(database: Database, server: Server) -> None:
    server.is_away = True
    owner_id, question = await kept(database)
    async with opened(database, server) as desk:
        await server.looked.wait()
        server.accounts, server.is_away = (account(),), False
        assert (await desk.wait(owner_id, question.id)).state == "done"


async def test_nobody_is_asked_while_nothing_waits(database: Database, server: Server) -> None:
    async with opened(database, server) as desk:
        owner_id, question = await kept(database)
        desk.note([question])
        await server.looked.wait()
        await desk.decline(owner_id, question.id, by="web")
        assert (await desk.wait(owner_id, question.id)).state == "declined"
        looks = server.looks
        await desk.newest(owner_id, limit=10)
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert server.looks <= looks + 1


async def test_looks_become_rare_and_frequent_again_when_somebody_wants_to_see(
    database: Database, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    changed = asyncio.Event()
    timeout = asyncio.timeout

    def noted(delay: float) -> asyncio.Timeout:
        """Note how long the desk would sleep, and let it sleep no more."""
        pauses.append(delay)
        changed.set()
        return timeout(0)

    async def more(number: int) -> list[float]:
        begun = len(pauses)
        while len(pauses) < begun + number:
            changed.clear()
            await changed.wait()
        return pauses[begun:]

    owner_id, _ = await kept(database)
    monkeypatch.setattr(question_desk.asyncio, "timeout", noted)
    async with opened(database, server) as desk:
        seen = await more(14)
        assert seen == sorted(seen)
        assert seen[-1] == pytest.approx(question_desk.LONGEST_PAUSE_S, abs=0.1)
        await desk.newest(owner_id, limit=10)
        assert min(await more(2)) < 1


async def test_a_full_disk_leaves_an_answer_for_the_next_look(
    database: Database, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner_id, question = await kept(database)
    server.accounts = (account(),)
    answer, refused = questions.answer, 0

    def full_twice(*of: Any) -> list[Question]:
        nonlocal refused
        if refused < 2:
            refused += 1
            raise StorageFull("The disk is full.")
        return answer(*of)

    monkeypatch.setattr(questions, "answer", full_twice)
    async with asyncio.timeout(10), opened(database, server) as desk:
        assert (await desk.wait(owner_id, question.id)).state == "done"
    assert refused == 2


async def test_a_question_expires_at_its_deadline(database: Database, server: Server) -> None:
    owner_id, question = await kept(database, expires_at=to_rfc3339(utc_now()))
    async with opened(database, server) as desk:
        assert (await desk.wait(owner_id, question.id)).state == "expired"
        with pytest.raises(Conflict, match="expired"):
            await desk.decline(owner_id, question.id, by="web")


async def test_a_desk_speaks_for_those_that_joined_it(database: Database, server: Server) -> None:
    memory = Database(None)
    try:
        stored, other = QuestionDesk(database, server.look), QuestionDesk(memory, server.look)
        stored.join(other)
        owner_id, first = await kept(database)
        other_id, second = await memory.write(store_question)
        assert await stored.find(other_id, second.id) == second
        with pytest.raises(NotFound):
            await other.find(owner_id, first.id)
        await stored.signed_in(other_id, "mail", [account()])
        assert (await memory.read(questions.get, other_id, second.id)).state == "done"
        third_owner, third = await memory.write(store_question)
        assert (await stored.decline(third_owner, third.id, by="web")).state == "declined"
        found = await stored.newest(third_owner, limit=10)
        assert {question.id for question in found} >= {second.id, third.id}
    finally:
        await memory.close()
