"""What an owner may spend: no request is made that could pass the cap of a turn, day or month."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.chat.budget import Budget, Caps, Estimate, TurnBudget, dollars
from orchestrator.chat.estimating import price_list
from orchestrator.chat.limits import TurnLimits
from orchestrator.domain.model_info import ModelInfo, ModelPricing
from orchestrator.domain.model_settings import ModelSettings, SessionSettings
from orchestrator.domain.times import to_rfc3339, utc_now
from orchestrator.errors import CostLimitReached
from orchestrator.llm.endpoints import ModelEndpoints
from orchestrator.store import usage
from orchestrator.store.in_force import document_layer
from tests.fakes.mcp_servers import ServerProcess
from tests.fakes.openrouter import API_KEY, FakeOpenRouter, served
from tests.fakes.openrouter_bill import METERED_MODEL, MeteredOpenRouter
from tests.fakes.openrouter_rounds import text
from tests.orchestrator.chat.conftest import Chat, running_chat
from tests.orchestrator.chat.stream import Event, text_of

PLENTY = 10**12
PAID = {
    "turn": "TURN_MAX_COST_MICROUSD",
    "day": "DAY_MAX_COST_MICROUSD",
    "month": "MONTH_MAX_COST_MICROUSD",
}


@pytest.fixture
def metered() -> Iterator[MeteredOpenRouter]:
    with served(MeteredOpenRouter()) as fake:
        yield fake


@asynccontextmanager
async def capped_chat(
    folder: Path, fake: MeteredOpenRouter, **caps_microusd: int
) -> AsyncIterator[Chat]:
    """Run a chat that knows the prices, with these caps."""
    async with ModelEndpoints(fake.base_url, API_KEY, cache_dir=folder / "cache/models") as llm:
        await llm.refresh()
    caps = Caps(caps_microusd.get("day", PLENTY), caps_microusd.get("month", PLENTY))
    limits = TurnLimits(max_cost_microusd=caps_microusd.get("turn", PLENTY))
    layers = (document_layer(ModelSettings(model=METERED_MODEL)),)
    async with running_chat(
        folder, fake, None, limits, caps=caps, model_layers=lambda: layers
    ) as chat:
        yield chat


class Counted:
    """A store that counts how often it is read."""

    def __init__(self, chat: Chat) -> None:
        self.reads = 0
        self._read = chat.database.read

    async def read(self, *args: Any) -> Any:
        self.reads += 1
        return await self._read(*args)


async def at_once(chat: Chat, count: int) -> list[list[Event]]:
    async with asyncio.TaskGroup() as group:
        turns = [group.create_task(finished(chat, f"Question {n}?")) for n in range(count)]
    return [turn.result() for turn in turns]


async def finished(chat: Chat, text: str = "Hello?", **more: Any) -> list[Event]:
    turn = await chat.send(text, **more)
    return await chat.events(turn.id)


def ending(events: list[Event]) -> str:
    assert events[-1].type == "turn_finished"
    return events[-1]["finish_reason"]


@pytest.mark.parametrize("cap", ["day", "month"])
async def test_one_turn_after_the_other_stops_before_the_request_that_would_pass_a_cap(
    tmp_path: Path, metered: MeteredOpenRouter, cap: str
) -> None:
    async with capped_chat(tmp_path, metered, **{cap: 50_000}) as chat:
        session_id = None
        for _ in range(40):
            events = await finished(chat, session_id=session_id)
            session_id = events[0]["session_id"]
            if ending(events) == "limit":
                break
        else:
            pytest.fail("the cap was never reached")
        assert PAID[cap] in events[-2]["message"]
        billed = sum(metered.bill.microusd.values())
        assert 40_000 < billed <= 50_000
        count = len(metered.received)
        assert ending(await finished(chat, session_id=session_id)) == "limit"
        assert len(metered.received) == count, "a request was made after the cap was reached"


@pytest.mark.parametrize("cap", ["day", "month"])
async def test_twenty_turns_at_once_cannot_pass_a_cap_together(
    tmp_path: Path, metered: MeteredOpenRouter, cap: str
) -> None:
    async with capped_chat(tmp_path, metered, **{cap: 60_000}) as chat:
        told = await at_once(chat, 20)
    ended = [ending(events) for events in told]
    assert set(ended) <= {"stop", "length", "limit"}
    assert "limit" in ended
    assert "stop" in ended
    assert 45_000 < sum(metered.bill.microusd.values()) <= 60_000
    assert all(PAID[cap] in each[-2]["message"] for each in told if ending(each) == "limit")


async def test_twenty_turns_at_once_each_keep_the_cap_of_a_turn(
    tmp_path: Path, metered: MeteredOpenRouter
) -> None:
    async with capped_chat(tmp_path, metered, turn=3_000) as chat:
        told = await at_once(chat, 20)
    assert {ending(events) for events in told} == {"length"}
    costs = [events[-1]["cost_microusd"] for events in told]
    assert 0 < max(costs) <= 3_000
    assert sum(costs) == sum(metered.bill.microusd.values())


async def test_what_fits_at_last_is_a_shorter_answer_and_the_turn_says_why(
    tmp_path: Path, metered: MeteredOpenRouter
) -> None:
    async with capped_chat(tmp_path, metered, turn=3_000) as chat:
        events = await finished(chat)
    max_tokens = metered.received[0].body["max_tokens"]
    assert 64 <= max_tokens < 200
    assert ending(events) == "length"
    assert f"after {max_tokens} tokens" in events[-2]["message"]
    assert "TURN_MAX_COST_MICROUSD" in events[-2]["message"]


async def test_a_turn_that_can_pay_no_answer_asks_nobody(
    tmp_path: Path, metered: MeteredOpenRouter
) -> None:
    async with capped_chat(tmp_path, metered, turn=1_000) as chat:
        events = await finished(chat)
    assert metered.received == []
    assert ending(events) == "limit"
    assert "TURN_MAX_COST_MICROUSD" in events[-2]["message"]


async def test_a_fallback_of_unknown_price_does_not_hide_the_price_of_the_model(
    tmp_path: Path, metered: MeteredOpenRouter
) -> None:
    with_fallback = SessionSettings(fallback_models=("fake/unlisted",))
    async with capped_chat(tmp_path, metered, turn=1_000) as chat:
        events = await finished(chat, settings=with_fallback)
    assert metered.received == []
    assert ending(events) == "limit"


def test_an_answer_without_a_cost_is_charged_by_the_price_of_the_model_that_gave_it() -> None:
    dear, cheap = (
        ModelInfo(id=name, endpoint="e", name=name, pricing=ModelPricing(prompt=p, completion=p))
        for name, p in (("e:dear", Decimal(15)), ("e:cheap", Decimal(1)))
    )
    prices = price_list({"e:dear": dear, "e:cheap": cheap, "e:unlisted": None})
    asked = [
        prices.of_answer(name) for name in ("e:dear", "e:cheap", "e:cheap-2026-11", "e:unlisted")
    ]
    assert [each and each.completion for each in asked] == [15, 1, 15, None]


async def test_far_from_every_cap_no_limit_is_sent(
    tmp_path: Path, metered: MeteredOpenRouter
) -> None:
    async with capped_chat(tmp_path, metered) as chat:
        await finished(chat)
    assert "max_tokens" not in metered.received[0].body


async def test_turns_wait_for_what_others_put_aside_instead_of_stopping(
    tmp_path: Path, metered: MeteredOpenRouter
) -> None:
    # Each may cost 15,000 micro-dollars and more, but costs half: only one fits at a time.
    async with capped_chat(tmp_path, metered, day=100_000) as chat:
        told = await at_once(chat, 10)
    assert [ending(events) for events in told] == ["stop"] * 10


async def test_without_prices_the_dearest_request_so_far_is_what_the_next_may_cost(
    tmp_path: Path, fake: FakeOpenRouter, toy: ServerProcess
) -> None:
    unlisted = SessionSettings(model="fake/unlisted")
    cost = {"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.0004}
    fake.script(*(text("Yes.", usage=cost) for _ in range(3)), model="fake/unlisted")
    async with running_chat(tmp_path, fake, toy.url, caps=Caps(1_000, PLENTY)) as chat:
        first = await finished(chat, settings=unlisted)
        session_id = first[0]["session_id"]
        again = await finished(chat, session_id=session_id, settings=unlisted)
        third = await finished(chat, session_id=session_id, settings=unlisted)
    assert [ending(events) for events in (first, again, third)] == ["stop", "stop", "limit"]
    assert len(fake.received) == 2


async def test_the_cap_is_kept_across_a_restart(tmp_path: Path, metered: MeteredOpenRouter) -> None:
    async with capped_chat(tmp_path, metered, day=10_000) as chat:
        while ending(await finished(chat)) != "limit":
            pass
    count = len(metered.received)
    async with capped_chat(tmp_path, metered, day=10_000) as chat:
        assert ending(await finished(chat)) == "limit"
        assert len(metered.received) == count
    async with capped_chat(tmp_path, metered, day=1_000_000) as chat:
        assert text_of(await finished(chat)) == "Metered."


async def test_what_was_spent_a_day_or_a_month_ago_does_not_count(chat: Chat) -> None:
    made_at = utc_now()
    row = usage.UsageRow("ses_1", "turn_1", 1, "chat", "m", 1, 1, 0, 0, 150, None)
    await chat.database.write(usage.record, chat.owner_id, [row])
    estimate = Estimate(100)
    for hours, caps, fits in (
        (0, Caps(200, PLENTY), False),
        (25, Caps(200, PLENTY), True),
        (25, Caps(PLENTY, 200), False),
        (24 * 31, Caps(PLENTY, 200), True),
    ):
        later = made_at + timedelta(hours=hours)
        budget = Budget(chat.database, caps, clock=lambda later=later: later)
        if fits:
            assert (await budget.reserve(chat.owner_id, estimate)).microusd == 100
        else:
            with pytest.raises(CostLimitReached):
                await budget.reserve(chat.owner_id, estimate)


async def test_the_store_is_asked_only_near_a_cap(chat: Chat) -> None:
    store = Counted(chat)
    budget = Budget(store, Caps(1_000, PLENTY))
    for _ in range(9):
        budget.settle(await budget.reserve(chat.owner_id, Estimate(100)), 100)
    assert store.reads == 1
    await budget.reserve(chat.owner_id, Estimate(100))
    assert store.reads == 1
    await budget.reserve(chat.owner_id, Estimate(100))
    assert store.reads == 2, "the store knows that nothing of it was spent"


async def test_a_request_that_waits_goes_on_when_money_comes_back(chat: Chat) -> None:
    budget = Budget(chat.database, Caps(1_000, PLENTY))
    first = await budget.reserve(chat.owner_id, Estimate(600))
    waiting = asyncio.create_task(budget.reserve(chat.owner_id, Estimate(600)))
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done
    budget.settle(first, 10)
    assert (await waiting).microusd == 600


def test_an_estimate_is_rounded_up_and_what_it_affords_down() -> None:
    estimate = Estimate(10, Decimal("0.3"), max_tokens=1_000)
    assert estimate.at(1) == 11
    assert estimate.affordable_tokens(11) == 3
    assert estimate.at(3) == 11
    assert estimate.affordable_tokens(9) == -1
    assert estimate.affordable_tokens(10**9) == 1_000


async def test_the_sentence_names_the_cap_that_is_closest(chat: Chat) -> None:
    budget = Budget(chat.database, Caps(5_000, 3_000))
    with pytest.raises(CostLimitReached, match="TURN_MAX") as caught:
        await budget.reserve(chat.owner_id, Estimate(2_500_000), TurnBudget(1_500_000, 1_501_000))
    assert str(caught.value) == (
        "Stopped: 1.50 US dollars were spent in this turn, the limit is 1.501, and the next "
        "request may cost 2.50. Continue with another turn, or raise TURN_MAX_COST_MICROUSD."
    )
    with pytest.raises(CostLimitReached, match="MONTH_MAX"):
        await budget.reserve(chat.owner_id, Estimate(4_000), TurnBudget(0, PLENTY))


def test_amounts_are_written_to_the_last_micro_dollar() -> None:
    assert [dollars(n) for n in (0, 1, 120, 10_000_000, 1_234_500)] == [
        *("0.00", "0.000001", "0.00012", "10.00", "1.2345")
    ]


async def test_costs_are_ordered_by_time_as_text(chat: Chat) -> None:
    rows = [
        usage.UsageRow(
            *("ses_1", "turn_1", 1, "chat", "m", 1, 1, 0, 0, cost, None),
            created_at=to_rfc3339(utc_now() - timedelta(hours=hours)),
        )
        for cost, hours in ((1, 0), (10, 23), (100, 25), (1_000, 24 * 29), (10_000, 24 * 31))
    ]
    await chat.database.write(usage.record, chat.owner_id, rows)
    await chat.database.write(usage.record, chat.owner_id, rows)
    since = [to_rfc3339(utc_now() - timedelta(days=days)) for days in (1, 30)]
    assert await chat.database.read(usage.cost_since, chat.owner_id, since) == [11, 1_111]
