"""What every request cost: also of those whose answer broke, was stopped, or was tried again."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import Connection, Row, select

from orchestrator.chat import noting
from orchestrator.chat.budget import Budget, Caps
from orchestrator.chat.model_calls import Charge, ModelCalls
from orchestrator.chat.settling import TRIES_AT_S, Settler
from orchestrator.domain.model_settings import SessionSettings
from orchestrator.domain.times import utc_now
from orchestrator.errors import ModelUnavailable
from orchestrator.llm.deltas import CompletionRequest, Usage
from orchestrator.llm.endpoints import ModelEndpoints
from orchestrator.store import sessions, usage
from orchestrator.store.schema import usage as table
from tests.fakes.mcp_servers import ServerProcess
from tests.fakes.openrouter import API_KEY, SCRIPT_MODEL, Gate, served
from tests.fakes.openrouter_bill import BillingOpenRouter, billed
from tests.fakes.openrouter_rounds import Call, Drop, Failure, Round
from tests.orchestrator.chat.conftest import Chat, running_chat


@pytest.fixture
def vendor() -> Iterator[BillingOpenRouter]:
    with served(BillingOpenRouter()) as fake:
        yield fake


@pytest.fixture
async def paid(
    tmp_path: Path, vendor: BillingOpenRouter, toy: ServerProcess
) -> AsyncIterator[Chat]:
    async with running_chat(tmp_path, vendor, toy.url) as chat:
        yield chat


def read_ledger(conn: Connection, owner_id: str) -> Sequence[Row[Any]]:
    query = select(table).where(table.c.owner_id == owner_id).order_by(table.c.created_at)
    return conn.execute(query).all()


async def ledger(chat: Chat) -> Sequence[Row[Any]]:
    return await chat.database.read(read_ledger, chat.owner_id)


@asynccontextmanager
async def endpoints(chat: Chat) -> AsyncIterator[ModelEndpoints]:
    with TemporaryDirectory() as folder:
        async with ModelEndpoints(chat.fake.base_url, API_KEY, cache_dir=Path(folder)) as llm:
            yield llm


def soon() -> datetime:
    return utc_now() + timedelta(seconds=2)


async def told_by_vendor(chat: Chat) -> Sequence[Row[Any]]:
    """Return the rows as they are once the vendor was asked, a little later."""
    budget = Budget(chat.database, Caps())
    async with endpoints(chat) as llm:
        later = Settler(chat.database, budget, llm.generation_cost, clock=soon)
        await later.settle_due()
    return await ledger(chat)


async def test_a_round_is_recorded_with_its_answer_and_to_the_micro_dollar(
    paid: Chat, vendor: BillingOpenRouter
) -> None:
    call = Call("toy__add", {"a": 1, "b": 2})
    vendor.script(billed(calls=(call,), dollars="0.0000125"), billed("3.", dollars="0.0000114999"))
    turn = await paid.send("Add.")
    events = await paid.events(turn.id)
    rows = await ledger(paid)
    assert [row.cost_microusd for row in rows] == [13, 11]
    assert [row.round for row in rows] == [1, 2]
    assert {(row.state, row.purpose, row.turn_id) for row in rows} == {("final", "chat", turn.id)}
    branch = await paid.branch(turn.session_id)
    assert [row.message_id for row in rows] == [m.id for m in branch if m.role == "assistant"]
    assert [e["cost_microusd"] for e in events if e.type == "usage_recorded"] == [13, 11]
    assert events[-1]["cost_microusd"] == 24


@pytest.mark.parametrize("mishap", [Drop(), Failure()])
async def test_a_broken_answer_is_asked_for_and_then_counts_what_it_cost(
    paid: Chat, vendor: BillingOpenRouter, mishap: Any
) -> None:
    vendor.script(billed("Half an ans", mishap, dollars="0.0000305"))
    turn = await paid.send("Answer.")
    await paid.events(turn.id)
    [row] = await ledger(paid)
    assert row.generation_id in vendor.bill.dollars
    assert row.message_id == turn.assistant_message_id
    [row] = await told_by_vendor(paid)
    assert (row.state, row.cost_microusd) == ("final", 31)
    assert (row.prompt_tokens, row.completion_tokens) == (20, 9)
    assert (await paid.state(turn.id)).cost_microusd == 31


async def test_a_stopped_answer_is_asked_for(paid: Chat, vendor: BillingOpenRouter) -> None:
    vendor.script(billed("One, ", Gate(), dollars="0.00007"))
    turn = await paid.send("Count.")
    await paid.until(turn.id, "text_delta")
    await paid.orchestrator.cancel(paid.owner_id, turn.id)
    [row] = await told_by_vendor(paid)
    assert (row.state, row.cost_microusd) == ("final", 70)


async def test_a_try_that_broke_before_its_first_token_is_recorded_beside_the_answer(
    paid: Chat, vendor: BillingOpenRouter
) -> None:
    vendor.script(billed(Drop(), dollars="0.000005"), Round(status=502))
    vendor.script(billed("Done.", dollars="0.00002"))
    turn = await paid.send("Try.")
    await paid.events(turn.id)
    rows = await told_by_vendor(paid)
    assert {row.generation_id: row.cost_microusd for row in rows} == vendor.bill.microusd
    assert sorted(row.cost_microusd for row in rows) == [5, 20]


async def test_a_fallback_is_recorded_under_the_model_that_answered(
    paid: Chat, vendor: BillingOpenRouter
) -> None:
    vendor.script(billed("From the other.", dollars="0.00003"), model="fake/other")
    settings = SessionSettings(model="fake/404", fallback_models=("fake/other",))
    turn = await paid.send("Fall back.", settings=settings)
    await paid.events(turn.id)
    [row] = await ledger(paid)
    assert (row.model, row.cost_microusd) == ("fake/other", 30)


async def test_an_answer_without_usage_is_asked_for(paid: Chat, vendor: BillingOpenRouter) -> None:
    vendor.script(billed("Silent.", dollars="0.000009", is_told=False))
    turn = await paid.send("Say nothing of money.")
    await paid.events(turn.id)
    [row] = await told_by_vendor(paid)
    assert (row.cost_microusd, row.message_id) == (9, turn.assistant_message_id)


async def test_a_deleted_session_stays_in_the_ledger(paid: Chat, vendor: BillingOpenRouter) -> None:
    vendor.script(billed("Soon gone.", dollars="0.00001"))
    turn = await paid.send("Be brief.")
    await paid.events(turn.id)
    await paid.database.write(sessions.remove, paid.owner_id, turn.session_id)
    [row] = await ledger(paid)
    assert row.cost_microusd == 10


async def test_what_an_earlier_process_left_pending_is_settled(
    tmp_path: Path, vendor: BillingOpenRouter
) -> None:
    vendor.is_away = True
    vendor.script(billed("Half", Drop(), dollars="0.00009"))
    async with running_chat(tmp_path, vendor, None) as chat:
        await chat.events((await chat.send("Answer.")).id)
        [row] = await ledger(chat)
        assert row.state == "pending"
    vendor.is_away = False
    async with running_chat(tmp_path, vendor, None) as chat:
        [row] = await told_by_vendor(chat)
    assert (row.state, row.cost_microusd) == ("final", 90)


async def test_a_request_whose_process_died_is_in_the_ledger_as_an_estimate(
    tmp_path: Path, vendor: BillingOpenRouter
) -> None:
    vendor.script(billed("Whole.", dollars="0.00033"), billed("Half ", Gate(), dollars="0.0004"))
    copy = tmp_path / "crashed"
    copy.mkdir()
    async with running_chat(tmp_path, vendor, None) as chat:
        first = await chat.send("One.")
        await chat.events(first.id)
        second = await chat.send("Two.", session_id=first.session_id)
        await chat.until(second.id, "text_delta")
        for file in [*tmp_path.glob("chat_sessions.db*"), *tmp_path.glob("*.spill")]:
            (copy / file.name).write_bytes(file.read_bytes())
    async with running_chat(copy, vendor, None) as chat:
        whole, half = await ledger(chat)
        assert (whole.state, whole.cost_microusd) == ("final", 330)
        assert (half.state, half.cost_microusd, half.turn_id) == ("estimated", 330, second.id)
        assert half.message_id == second.assistant_message_id
        assert half.completion_tokens == 2


async def noted(chat: Chat) -> Row[Any]:
    """Return the first row of the ledger once it is there."""
    async with asyncio.timeout(10):
        while True:
            if rows := await ledger(chat):
                return rows[0]
            await asyncio.sleep(0.01)


async def test_a_long_answer_is_in_the_ledger_before_its_end_and_once_after(
    paid: Chat, vendor: BillingOpenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noting, "NOTED_AFTER_S", 0.02)
    gate = Gate()
    vendor.script(billed("Half ", gate, "and half.", dollars="0.0004"))
    turn = await paid.send("Long.")
    assert (await noted(paid)).state == "pending"
    gate.open()
    await paid.events(turn.id)
    [row] = await ledger(paid)
    assert (row.state, row.cost_microusd) == ("final", 400)
    assert row.message_id == turn.assistant_message_id


async def test_a_long_answer_whose_process_died_is_asked_for(
    tmp_path: Path, vendor: BillingOpenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noting, "NOTED_AFTER_S", 0.02)
    vendor.script(billed("Half ", Gate(), dollars="0.0004"))
    copy = tmp_path / "crashed"
    copy.mkdir()
    async with running_chat(tmp_path, vendor, None) as chat:
        turn = await chat.send("Long.")
        await chat.until(turn.id, "text_delta")
        await noted(chat)
        for file in [*tmp_path.glob("chat_sessions.db*"), *tmp_path.glob("*.spill")]:
            (copy / file.name).write_bytes(file.read_bytes())
    async with running_chat(copy, vendor, None) as chat:
        [row] = await told_by_vendor(chat)
    assert (row.state, row.cost_microusd) == ("final", 400)
    assert row.message_id == turn.assistant_message_id


async def test_what_the_vendor_never_tells_stays_an_estimate_and_says_so(paid: Chat) -> None:
    await paid.database.write(usage.record, paid.owner_id, [pending_row("gen-1")])
    asked: list[str] = []
    late = timedelta(0)

    async def ask(model: str, generation_id: str) -> Usage | None:
        asked.append(generation_id)
        raise ModelUnavailable("Away.")

    budget = Budget(paid.database, Caps())
    settler = Settler(paid.database, budget, ask, clock=lambda: utc_now() + late)
    for age_s in (0.0, *TRIES_AT_S[:-1]):
        late = timedelta(seconds=age_s)
        await settler.settle_due()
        [row] = await ledger(paid)
        assert row.state == "pending"
    assert asked == ["gen-1"] * (len(TRIES_AT_S) - 1)
    late = timedelta(seconds=TRIES_AT_S[-1])
    await settler.settle_due()
    [row] = await ledger(paid)
    assert (row.state, row.cost_microusd) == ("estimated", 700)
    await settler.settle_due()
    assert len(asked) == len(TRIES_AT_S), "nobody asks any more"


async def test_an_estimate_counts_against_the_cap_until_the_vendor_tells(paid: Chat) -> None:
    row = pending_row("gen-7")
    await paid.database.write(usage.record, paid.owner_id, [row])
    since = ["2000-01-01"]
    assert await paid.database.read(usage.cost_since, paid.owner_id, since) == [700]
    [found] = await paid.database.read(usage.pending)
    await paid.database.write(usage.settle, found, usage.Settled(12))
    assert await paid.database.read(usage.cost_since, paid.owner_id, since) == [12]
    await paid.database.write(usage.settle, found, usage.Settled(99))
    assert await paid.database.read(usage.cost_since, paid.owner_id, since) == [12]


async def test_rows_that_the_disk_refused_are_stored_later(paid: Chat) -> None:
    async def ask(model: str, generation_id: str) -> Usage | None:
        raise AssertionError("nothing is pending")

    settler = Settler(paid.database, Budget(paid.database, Caps()), ask)
    settler.store_later(paid.owner_id, [pending_row(None)])
    await settler.settle_due()
    [row] = await ledger(paid)
    assert row.cost_microusd == 700


async def test_a_request_for_another_purpose_is_recorded_without_a_turn(
    paid: Chat, vendor: BillingOpenRouter
) -> None:
    vendor.script(billed("A title", dollars="0.0000021"))
    budget = Budget(paid.database, Caps())
    async with endpoints(paid) as llm:
        settler = Settler(paid.database, budget, llm.generation_cost)
        calls = ModelCalls(llm, budget, paid.database, settler)
        request = CompletionRequest(SCRIPT_MODEL, [{"role": "user", "content": "Name it."}])
        async with calls.reserved(request, Charge(paid.owner_id, "ses_1", "title")) as call:
            async for _ in call.stream:
                pass
            assert call.completion.text == "A title"
    [row] = await ledger(paid)
    assert (row.purpose, row.turn_id, row.cost_microusd, row.state) == ("title", "", 2, "final")


def pending_row(generation_id: str | None) -> usage.UsageRow:
    state = "pending" if generation_id else "final"
    words = ("ses_1", "", 0, "chat", "m")
    return usage.UsageRow(*words, 1, 1, 0, 0, 700, generation_id, state)
