"""Turns on this floor: a real database, a real MCP server, a scripted model over HTTP."""

import asyncio

import pytest

from orchestrator.errors import Conflict, EventLogBehind, NotFound
from orchestrator.store import messages, sessions, tool_calls, turns
from tests.fakes.openrouter import Gate
from tests.fakes.openrouter_rounds import Call, Failure, Round, calls, text
from tests.orchestrator.chat.conftest import Chat
from tests.orchestrator.chat.stream import text_of, types


async def branch(chat: Chat, session_id: str) -> list[tuple[str, str]]:
    session = await chat.database.read(sessions.get, chat.owner_id, session_id)
    found = await chat.database.read(
        messages.branch, chat.owner_id, session_id, session.leaf_message_id
    )
    return [(message.role, message.content) for message in found]


async def test_a_plain_answer_is_streamed_stored_and_paid_for(chat: Chat) -> None:
    chat.fake.script(text("It is ", "raining."))
    turn = await chat.send("How is the weather?")
    events = await chat.events(turn.id)
    assert types(events) == ["turn_started", "text_delta", "usage_recorded", "turn_finished"]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert text_of(events) == "It is raining."
    assert events[-1]["finish_reason"] == "stop"
    assert events[-1]["cost_microusd"] == 120
    assert await branch(chat, turn.session_id) == [
        ("user", "How is the weather?"),
        ("assistant", "It is raining."),
    ]
    stored = await chat.database.read(turns.get, chat.owner_id, turn.id)
    assert (stored.state, stored.last_seq) == ("finished", events[-1].seq)


async def test_the_model_reads_the_system_prompt_the_history_and_the_tools(chat: Chat) -> None:
    chat.fake.script(text("One."), text("Two."))
    first = await chat.send("First")
    await chat.events(first.id)
    second = await chat.send("Second", session_id=first.session_id)
    await chat.events(second.id)
    request = chat.fake.received[1]
    assert [message["role"] for message in request.messages] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert "Be brief." in request.messages[0]["content"]
    assert "toy (Toy): ready" in request.messages[0]["content"]
    assert "toy__add" in [tool["function"]["name"] for tool in request.body["tools"]]


async def test_parallel_tool_calls_of_one_round_are_answered_in_their_order(chat: Chat) -> None:
    chat.fake.script(
        calls(Call("toy__add", {"a": 1, "b": 2}), Call("toy__echo", {"text": "hi"})),
        text("3 and hi."),
    )
    turn = await chat.send("Add and echo.")
    events = await chat.events(turn.id)
    assert types(events)[:4] == [
        "turn_started",
        "usage_recorded",
        "tool_call_started",
        "tool_call_started",
    ]
    finished = [event for event in events if event.type == "tool_call_finished"]
    assert [event["status"] for event in finished] == ["done", "done"]
    request = chat.fake.received[1]
    assert [message["role"] for message in request.messages[-3:]] == ["assistant", "tool", "tool"]
    assert request.messages[-1]["content"] == "hi"
    assert [role for role, _ in await branch(chat, turn.session_id)] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
    ]


async def test_reasoning_is_shown_and_its_details_go_back_verbatim(chat: Chat) -> None:
    chat.fake.script(
        calls(Call("toy__echo", {"text": "x"}), reasoning=("Think ", "hard.")), text("Done.")
    )
    turn = await chat.send("Think.")
    events = await chat.events(turn.id)
    assert "reasoning_delta" in types(events)
    sent_back = chat.fake.received[1].messages[-2]["reasoning_details"]
    assert "".join(detail.get("text") or "" for detail in sent_back) == "Think hard."


async def test_bad_arguments_and_unknown_tools_become_results_the_model_can_read(
    chat: Chat,
) -> None:
    chat.fake.script(
        calls(Call("toy__add", '{"a": 1, '), Call("toy__nothing", {}), Call("toy__failing", {})),
        text("All failed."),
    )
    turn = await chat.send("Try.")
    events = await chat.events(turn.id)
    finished = [event for event in events if event.type == "tool_call_finished"]
    assert [event["status"] for event in finished] == ["failed"] * 3
    results = [message["content"] for message in chat.fake.received[1].messages[-3:]]
    assert "not valid JSON" in results[0]
    assert "no tool" in results[1]
    assert "mailbox is full" in results[2]


async def test_the_same_client_message_never_starts_a_second_turn(chat: Chat) -> None:
    chat.fake.script(text("Once."))
    both = await asyncio.wait_for(_send_twice(chat), 10)
    assert both[0].id == both[1].id
    await chat.events(both[0].id)
    assert len(chat.fake.received) == 1
    assert len(await branch(chat, both[0].session_id)) == 2


async def _send_twice(chat: Chat) -> list:
    async with asyncio.TaskGroup() as group:
        sending = [
            group.create_task(chat.send("Once", client_message_id="from-the-browser"))
            for _ in range(2)
        ]
    return [task.result() for task in sending]


async def test_a_follower_who_comes_late_or_back_gets_every_event_once(chat: Chat) -> None:
    gate = Gate()
    chat.fake.script(text("Before. ", gate, "After."))
    turn = await chat.send("Go on.")
    await gate.reached.wait()
    seen = []
    async for event in chat.follow(turn.id):
        seen.append(event)
        if event.type == "text_delta":
            break
    gate.open()
    rest = await chat.events(turn.id, after=seen[-1].seq)
    assert text_of(seen + rest) == "Before. After."
    assert [event.seq for event in seen + rest] == list(range(1, rest[-1].seq + 1))
    assert await chat.events(turn.id) == seen + rest


async def test_a_client_ahead_of_the_log_is_told_to_reload(chat: Chat) -> None:
    chat.fake.script(text("Short."))
    turn = await chat.send("Hello")
    last = (await chat.events(turn.id))[-1].seq
    with pytest.raises(EventLogBehind):
        await chat.events(turn.id, after=last + 1)


async def test_another_owner_finds_nothing(chat: Chat) -> None:
    chat.fake.script(text("Mine."))
    turn = await chat.send("Hello")
    await chat.events(turn.id)
    for ask in (
        chat.orchestrator.cancel("own_other", turn.id),
        chat.orchestrator.continue_turn("own_other", turn.id, None),
        chat.orchestrator.follow("own_other", turn.id, 0, idle_s=1),
    ):
        with pytest.raises(NotFound):
            await ask


async def test_stop_keeps_the_partial_answer_and_hangs_up_on_the_model(chat: Chat) -> None:
    gate = Gate()
    chat.fake.script(text("Half of ", gate, "it."))
    turn = await chat.send("Tell me all.")
    await chat.until(turn.id, "text_delta")
    stopped = await chat.orchestrator.cancel(chat.owner_id, turn.id)
    assert stopped.state == "cancelled"
    await chat.fake.received[0].hung_up.wait()
    events = await chat.events(turn.id)
    assert events[-1]["finish_reason"] == "cancelled"
    assert await branch(chat, turn.session_id) == [
        ("user", "Tell me all."),
        ("assistant", "Half of "),
    ]


async def test_stop_ends_a_running_tool_and_leaves_a_valid_history(chat: Chat, toy) -> None:
    chat.fake.script(calls(Call("toy__slow", {"seconds": 30})), text("Fine."))
    turn = await chat.send("Be slow.")
    await chat.until(turn.id, "tool_call_progress")
    await chat.orchestrator.cancel(chat.owner_id, turn.id)
    events = await chat.events(turn.id)
    assert types(events)[-2:] == ["tool_call_finished", "turn_finished"]
    assert events[-2]["status"] == "cancelled"
    await toy_says(toy, "slow cancelled")
    next_turn = await chat.send("And now?", session_id=turn.session_id)
    assert text_of(await chat.events(next_turn.id)) == "Fine."


async def toy_says(toy, line: str) -> None:
    async with asyncio.timeout(5):
        while line not in toy.journal_lines():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.02)


async def test_stopping_a_call_that_changes_things_says_that_its_outcome_is_unknown(
    chat: Chat, toy
) -> None:
    chat.fake.script(calls(Call("toy__write_note", {"text": "stop me", "seconds": 30})))
    turn = await chat.send("Write.")
    await toy_says(toy, "note stop me")
    await chat.orchestrator.cancel(chat.owner_id, turn.id)
    events = await chat.events(turn.id)
    assert types(events)[-3:] == ["tool_call_finished", "notice", "turn_finished"]
    assert events[-3]["status"] == "unknown"
    assert "0 changes were made; the outcome of 1 is unknown" in events[-2]["message"]
    calls_stored = await chat.database.read(tool_calls.of_turn, chat.owner_id, turn.id)
    assert [call.state for call in calls_stored] == ["unknown"]


async def test_an_error_in_the_middle_keeps_the_text_and_can_be_continued(chat: Chat) -> None:
    chat.fake.script(Round(steps=("Half ", Failure(502, "Provider disconnected"))), text("whole."))
    turn = await chat.send("Say it.")
    events = await chat.events(turn.id)
    assert events[-1].type == "turn_failed"
    assert events[-1]["retryable"] is True
    again = await chat.orchestrator.continue_turn(chat.owner_id, turn.id, None)
    assert text_of(await chat.events(again.id)) == "whole."
    assert chat.fake.received[-1].messages[-2]["content"] == "Half "
    assert chat.fake.received[-1].messages[-1]["role"] == "user"
    assert await branch(chat, turn.session_id) == [
        ("user", "Say it."),
        ("assistant", "Half "),
        ("assistant", "whole."),
    ]


async def test_a_turn_that_failed_before_its_first_token_is_retried_from_the_message(
    chat: Chat,
) -> None:
    chat.fake.script(Round(status=402), text("Paid."))
    turn = await chat.send("Buy.")
    events = await chat.events(turn.id)
    assert (events[-1].type, events[-1]["code"]) == ("turn_failed", "model_payment_required")
    again = await chat.orchestrator.continue_turn(chat.owner_id, turn.id, "retry-1")
    assert text_of(await chat.events(again.id)) == "Paid."
    assert [role for role, _ in await branch(chat, turn.session_id)] == ["user", "assistant"]


async def test_a_finished_turn_cannot_be_continued_and_a_busy_session_takes_no_message(
    chat: Chat,
) -> None:
    gate = Gate()
    chat.fake.script(text("a"), text("b", gate))
    first = await chat.send("One")
    await chat.events(first.id)
    with pytest.raises(Conflict):
        await chat.orchestrator.continue_turn(chat.owner_id, first.id, None)
    second = await chat.send("Two", session_id=first.session_id)
    with pytest.raises(Conflict):
        await chat.send("Three", session_id=first.session_id)
    gate.open()
    await chat.events(second.id)


async def test_an_empty_answer_is_an_error_not_silence(chat: Chat) -> None:
    chat.fake.script(text(""))
    turn = await chat.send("Say nothing.")
    events = await chat.events(turn.id)
    assert (events[-1].type, events[-1]["code"]) == ("turn_failed", "model_unavailable")


async def test_a_branch_starts_under_the_end_of_the_answer_it_names(chat: Chat) -> None:
    chat.fake.script(text("a"), text("b"), text("c"))
    first = await chat.send("One")
    await chat.events(first.id)
    second = await chat.send("Two", session_id=first.session_id)
    await chat.events(second.id)
    third = await chat.send(
        "Other", session_id=first.session_id, parent_message_id=first.assistant_message_id
    )
    await chat.events(third.id)
    assert await branch(chat, first.session_id) == [
        ("user", "One"),
        ("assistant", "a"),
        ("user", "Other"),
        ("assistant", "c"),
    ]


async def test_a_tool_name_that_no_provider_accepts_never_gets_into_the_history(
    chat: Chat,
) -> None:
    chat.fake.script(calls(Call("toy.add numbers", {}), Call("x" * 80, {})), text("Sorry."))
    turn = await chat.send("Add.")
    await chat.events(turn.id)
    sent = chat.fake.received[1].messages[-3:]
    names = [call["function"]["name"] for call in sent[0]["tool_calls"]]
    assert names == ["toy_add_numbers", "x" * 64]
    assert [message["name"] for message in sent[1:]] == names


async def test_calls_that_a_stop_left_open_are_answered_in_the_order_of_asking(chat: Chat) -> None:
    wanted = [Call("toy__write_note", {"text": f"order {n}", "seconds": 30}) for n in range(6)]
    chat.fake.script(calls(*wanted), text("Fine."))
    turn = await chat.send("Write six.")
    await chat.until(turn.id, "tool_call_started")
    await chat.orchestrator.cancel(chat.owner_id, turn.id)
    after = await chat.send("And now?", session_id=turn.session_id)
    await chat.events(after.id)
    sent = chat.fake.received[1].messages
    asked = [call["id"] for message in sent for call in message.get("tool_calls", [])]
    assert [m["tool_call_id"] for m in sent if m["role"] == "tool"] == asked
