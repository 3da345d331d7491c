"""What a turn may spend."""

import json
from pathlib import Path

from orchestrator.chat.limits import Spending, TurnLimits
from orchestrator.store import turns
from tests.fakes.mcp_servers import ServerProcess
from tests.fakes.openrouter import FakeOpenRouter, Gate
from tests.fakes.openrouter_rounds import Call, calls, text
from tests.orchestrator.chat.conftest import running_chat
from tests.orchestrator.chat.stream import types


async def test_at_the_round_limit_the_turn_ends_and_says_so(
    tmp_path: Path, fake: FakeOpenRouter, toy: ServerProcess
) -> None:
    fake.script(*(calls(Call("toy__add", {"a": n, "b": 1})) for n in range(3)))
    limits = TurnLimits(max_rounds=2)
    async with running_chat(tmp_path, fake, toy.url, limits) as chat:
        turn = await chat.send("Count for ever.")
        events = await chat.events(turn.id)
        assert types(events)[-2:] == ["notice", "turn_finished"]
        assert "2 rounds" in events[-2]["message"]
        assert events[-1]["finish_reason"] == "limit"
        again = await chat.orchestrator.continue_turn(chat.owner_id, turn.id, None)
        fake.script(text("Enough."))
        await chat.events(again.id)
        assert fake.received[-1].messages[-1]["role"] == "tool"


async def test_calls_beyond_the_limit_get_a_result_that_says_they_did_not_run(
    tmp_path: Path, fake: FakeOpenRouter, toy: ServerProcess
) -> None:
    wanted = [Call("toy__write_note", {"text": f"limit {n}"}) for n in range(3)]
    fake.script(calls(*wanted))
    async with running_chat(tmp_path, fake, toy.url, TurnLimits(max_tool_calls=2)) as chat:
        turn = await chat.send("Write three notes.")
        events = await chat.events(turn.id)
    finished = [event for event in events if event.type == "tool_call_finished"]
    assert [event["status"] for event in finished] == ["done", "done", "failed"]
    assert "note limit 2" not in toy.journal_lines()
    assert events[-1]["finish_reason"] == "limit"


async def test_a_turn_that_takes_too_long_is_ended_with_its_tool(
    tmp_path: Path, fake: FakeOpenRouter, toy: ServerProcess
) -> None:
    fake.script(calls(Call("toy__slow", {"seconds": 60})))
    async with running_chat(tmp_path, fake, toy.url, TurnLimits(max_duration_s=0.5)) as chat:
        turn = await chat.send("Take your time.")
        events = await chat.events(turn.id)
        assert types(events)[-3:] == ["tool_call_finished", "notice", "turn_finished"]
        assert events[-1]["finish_reason"] == "limit"


async def test_shutting_down_interrupts_a_turn_and_the_next_start_can_continue_it(
    tmp_path: Path, fake: FakeOpenRouter
) -> None:
    fake.script(text("First half, ", Gate()))
    async with running_chat(tmp_path, fake, None) as chat:
        turn = await chat.send("Both halves.")
        await chat.until(turn.id, "text_delta")
    fake.script(text("second half."))
    async with running_chat(tmp_path, fake, None) as chat:
        stored = await chat.database.read(turns.get, chat.owner_id, turn.id)
        assert stored.state == "interrupted"
        again = await chat.orchestrator.continue_turn(chat.owner_id, turn.id, None)
        await chat.events(again.id)
    assert fake.received[-1].messages[-2]["content"] == "First half, "


async def test_a_crash_between_two_events_leaves_a_turn_that_can_be_continued(
    tmp_path: Path, fake: FakeOpenRouter, toy: ServerProcess
) -> None:
    fake.script(calls(Call("toy__write_note", {"text": "crash", "seconds": 30})))
    async with running_chat(tmp_path, fake, toy.url) as chat:
        turn = await chat.send("Write.")
        await chat.until(turn.id, "tool_call_started")
        copy = tmp_path / "crashed"
        copy.mkdir()
        _copy_as_a_crash_would_leave_it(tmp_path, copy)
    async with running_chat(copy, fake, toy.url) as chat:
        events = await chat.events(turn.id)
        assert types(events)[-2:] == ["tool_call_finished", "turn_failed"]
        assert events[-2]["status"] == "unknown"
        assert events[-1]["code"] == "interrupted"
        fake.script(text("I do not know whether the note was written."))
        again = await chat.orchestrator.continue_turn(chat.owner_id, turn.id, None)
        await chat.events(again.id)
    assert "unknown" in fake.received[-1].messages[-1]["content"]


def _copy_as_a_crash_would_leave_it(folder: Path, copy: Path) -> None:
    for file in [*folder.glob("chat_sessions.db*"), *folder.glob("*.spill")]:
        (copy / file.name).write_bytes(file.read_bytes())


def test_identical_calls_are_refused_after_the_third_and_end_the_turn_after_the_fifth() -> None:
    spending = Spending(TurnLimits(max_identical_calls=3))
    refusals = [spending.refusal_for("a__b", json.dumps({})) is not None for _ in range(5)]
    assert refusals == [False, False, False, True, True]
    assert spending.reached() is not None
    assert spending.refusal_for("a__c", "{}") is None


async def test_two_hundred_turns_at_once_all_finish(tmp_path: Path, fake: FakeOpenRouter) -> None:
    fake.script(*(text(f"answer {n}") for n in range(200)))
    async with running_chat(tmp_path, fake, None) as chat:
        started = [await chat.send(f"question {n}") for n in range(200)]
        for turn in started:
            assert (await chat.events(turn.id))[-1].type == "turn_finished"
