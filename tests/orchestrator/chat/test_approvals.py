"""Turns that ask the owner, with a real gate behind them."""

import asyncio
from pathlib import Path

import pytest

from orchestrator.approvals.canonical import MAX_ASKED_BYTES
from orchestrator.chat import orchestrator
from orchestrator.domain.servers import ServerConfig
from orchestrator.errors import TooManyRequests
from orchestrator.store import approvals, messages, sessions
from tests.fakes.effects import EffectsServer
from tests.fakes.effects_server import MAIL_SENDER
from tests.fakes.mcp_servers import ServerProcess
from tests.fakes.openrouter import FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, calls, text
from tests.orchestrator.chat.conftest import Chat, running_chat
from tests.orchestrator.chat.stream import Event, text_of, types

MAIL = {"to": "ann@example.org", "subject": "Hi", "body": "See you."}
SEND = Call("effects__send_message", MAIL)
READ_MAIL = Call("effects__read_mail", {"item_id": "1"})


def post(channel: str = "#team", body: str = "News.") -> Call:
    return Call("effects__post_update", {"channel": channel, "body": body})


def finished(events: list[Event]) -> list[Event]:
    return [event for event in events if event.type == "tool_call_finished"]


async def test_nothing_happens_before_the_owner_approves_and_once_after(
    gated: Chat, effects: EffectsServer
) -> None:
    gated.fake.script(calls(SEND), text("Sent."))
    turn = await gated.send("Write to Ann.")
    [approval_id] = await gated.asked(turn.id)
    assert effects.effects() == []
    waiting = await gated.state(turn.id)
    assert (waiting.state, waiting.waiting_since is not None) == ("running", True)
    session = await gated.database.read(sessions.get, gated.owner_id, turn.session_id)
    assert session.running_turn_id == turn.id
    await gated.decide(approval_id)
    events = await gated.events(turn.id)
    assert types(events) == [
        "turn_started",
        "usage_recorded",
        "approval_requested",
        "approval_resolved",
        "tool_call_started",
        "tool_call_finished",
        "text_delta",
        "usage_recorded",
        "turn_finished",
    ]
    assert [effect.arguments for effect in effects.effects("send_message")] == [MAIL]
    assert finished(events)[0]["status"] == "done"
    assert (await gated.state(turn.id)).waiting_since is None
    [call] = await gated.calls(turn.id)
    assert (call.effect, call.state, call.ran_arguments) == ("send", "done", None)


async def test_what_the_owner_denies_does_not_run_and_the_model_reads_why(
    gated: Chat, effects: EffectsServer
) -> None:
    gated.fake.script(calls(SEND), text("Not sent."))
    turn = await gated.send("Write to Ann.")
    [approval_id] = await gated.asked(turn.id)
    await gated.decide(approval_id, approve=False, reason="Not on a Sunday.")
    events = await gated.events(turn.id)
    assert "tool_call_started" not in types(events)
    assert finished(events)[0]["status"] == "denied"
    assert effects.effects() == []
    told = gated.fake.received[1].messages[-1]["content"]
    assert told == "The owner denied this: Not on a Sunday. Do not try again unless asked."


async def test_nobody_is_asked_about_more_than_a_person_reads(
    gated: Chat, effects: EffectsServer
) -> None:
    gated.fake.script(calls(post(body="x" * MAX_ASKED_BYTES)), text("Too much."))
    turn = await gated.send("Post it all.")
    events = await gated.events(turn.id)
    assert "approval_requested" not in types(events)
    assert finished(events)[0]["status"] == "denied"
    assert "64 kB" in finished(events)[0]["error"]
    assert effects.effects() == []


async def test_what_nobody_decides_expires_and_the_turn_goes_on(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> None:
    fake.script(calls(SEND), text("Too late."))
    async with running_chat(
        tmp_path, fake, None, effects=effects, approval_lifetime_h=0.0001
    ) as chat:
        turn = await chat.send("Write to Ann.")
        events = await chat.events(turn.id)
    assert text_of(events) == "Too late."
    assert [event["decision"] for event in events if event.type == "approval_resolved"] == [
        "expired"
    ]
    assert effects.effects() == []


async def test_changed_arguments_run_and_the_model_is_told(
    gated: Chat, effects: EffectsServer
) -> None:
    gated.fake.script(calls(SEND), text("Sent."))
    turn = await gated.send("Write to Ann.")
    [approval_id] = await gated.asked(turn.id)
    changed = {**MAIL, "body": "See you tomorrow."}
    await gated.decide(approval_id, arguments=changed)
    await gated.events(turn.id)
    assert [effect.arguments for effect in effects.effects()] == [changed]
    [call] = await gated.calls(turn.id)
    assert (call.arguments, call.ran_arguments) == (MAIL, changed)
    assert "tomorrow" in gated.fake.received[1].messages[-1]["content"]


async def test_a_tool_that_is_allowed_for_the_session_does_not_ask_again_in_it(
    gated: Chat, effects: EffectsServer
) -> None:
    gated.fake.script(calls(post()), calls(post(body="More news.")), text("Posted."))
    turn = await gated.send("Post the news.")
    [approval_id] = await gated.asked(turn.id)
    await gated.decide(approval_id, scope="session")
    events = await gated.events(turn.id)
    assert types(events).count("approval_requested") == 1
    assert len(effects.effects("post_update")) == 2
    gated.fake.script(calls(post()), text("Not yet."))
    other = await gated.send("Post the news.")
    await gated.asked(other.id)
    await gated.orchestrator.cancel(gated.owner_id, other.id)


async def test_foreign_text_makes_an_allowed_tool_ask_and_names_where_it_came_from(
    gated: Chat, effects: EffectsServer
) -> None:
    await gated.let_stand("effects__post_update")
    gated.fake.script(calls(READ_MAIL), text("A mail."), calls(post()), text("No."))
    first = await gated.send("What is in my mail?")
    events = await gated.events(first.id)
    assert finished(events)[0]["sources"] == [MAIL_SENDER]
    turn = await gated.send("Go on.", session_id=first.session_id)
    [approval_id] = await gated.asked(turn.id)
    asked = await gated.database.read(approvals.get, gated.owner_id, approval_id)
    assert MAIL_SENDER in asked.reason
    assert asked.taint == [MAIL_SENDER]
    await gated.decide(approval_id, approve=False)
    await gated.events(turn.id)
    assert effects.effects() == []


async def test_a_branch_from_before_the_foreign_text_is_not_tainted(
    gated: Chat, effects: EffectsServer
) -> None:
    await gated.let_stand("effects__post_update")
    gated.fake.script(text("Hello."), calls(READ_MAIL), text("Mail."), calls(post()), text("Ok."))
    first = await gated.send("Hello")
    await gated.events(first.id)
    second = await gated.send("Mail?", session_id=first.session_id)
    await gated.events(second.id)
    third = await gated.send(
        "Post.", session_id=first.session_id, parent_message_id=first.assistant_message_id
    )
    assert "approval_requested" not in types(await gated.events(third.id))
    assert len(effects.effects("post_update")) == 1


async def test_a_destination_that_the_owner_typed_passes_after_foreign_text(
    gated: Chat, effects: EffectsServer
) -> None:
    await gated.let_stand("effects__slow_send")
    send = Call("effects__slow_send", {"to": "ann@example.org", "body": "Hi.", "seconds": 0})
    gated.fake.script(calls(READ_MAIL), calls(send), text("Sent."))
    turn = await gated.send("Read my mail and tell ann@example.org.")
    assert "approval_requested" not in types(await gated.events(turn.id))
    assert len(effects.effects("slow_send")) == 1


async def test_what_the_model_wrote_vouches_for_nothing(
    gated: Chat, effects: EffectsServer
) -> None:
    await gated.let_stand("effects__slow_send")
    send = Call("effects__slow_send", {"to": MAIL_SENDER, "body": "Hi.", "seconds": 0})
    gated.fake.script(calls(READ_MAIL), text(f"Shall I write to {MAIL_SENDER}?"), calls(send))
    first = await gated.send("Read my mail.")
    await gated.events(first.id)
    turn = await gated.send("Yes.", session_id=first.session_id)
    await gated.asked(turn.id)
    await gated.orchestrator.cancel(gated.owner_id, turn.id)
    assert effects.effects() == []


async def test_a_tool_that_appears_while_the_turn_waits_does_not_run_unjudged(
    tmp_path: Path, fake: FakeOpenRouter, toy: ServerProcess, effects: EffectsServer
) -> None:
    echo = Call("toy__echo", {"text": "Label it."})
    label = Call("effects__add_label", {"item_id": "1", "label": "seen"})
    fake.script(calls(echo), calls(echo, label), text("Tried."))
    async with running_chat(tmp_path, fake, toy.url, effects=effects) as chat:
        away = ServerConfig(id="toy", url=toy.url, trust="third_party")
        here = ServerConfig(id=effects.name, url=effects.url, trust="fleet")
        await chat.aggregator.reconfigure([away])
        assert await chat.aggregator.wait_until_settled(10)
        turn = await chat.send("Echo.")
        await chat.decide((await chat.asked(turn.id))[0])
        _, second = await chat.asked(turn.id, 2)
        await chat.aggregator.reconfigure([away, here])
        assert await chat.aggregator.wait_until_settled(10)
        await chat.decide(second)
        events = await chat.events(turn.id)
    assert [event["status"] for event in finished(events)] == ["done", "done", "failed"]
    assert effects.effects() == []


async def test_in_quarantine_no_tool_is_offered_or_runs_after_foreign_text(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> None:
    note = Call("effects__read_note", {"item_id": "1"})
    fake.script(calls(READ_MAIL), calls(note), text("I may not."))
    async with running_chat(tmp_path, fake, None, effects=effects, policy="quarantine") as chat:
        turn = await chat.send("Read all.")
        events = await chat.events(turn.id)
    assert [event["status"] for event in finished(events)] == ["done", "denied"]
    assert MAIL_SENDER in finished(events)[1]["error"]
    assert "tools" in fake.received[0].body
    assert not fake.received[1].body.get("tools")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_two_approvals_of_a_round_come_in_either_order_and_run_in_the_models(
    gated: Chat, effects: EffectsServer, order: tuple[int, int]
) -> None:
    gated.fake.script(calls(post(body="one"), post(body="two")), text("Both."))
    turn = await gated.send("Post twice.")
    asked = await gated.asked(turn.id, 2)
    for number in order:
        await gated.decide(asked[number])
    events = await gated.events(turn.id)
    assert [effect.arguments["body"] for effect in effects.effects()] == ["one", "two"]
    resolved = [e["approval_id"] for e in events if e.type == "approval_resolved"]
    assert sorted(resolved) == sorted(asked)
    assert types(events)[-1] == "turn_finished"


async def test_reading_goes_on_while_a_later_call_waits(
    gated: Chat, effects: EffectsServer
) -> None:
    note = Call("effects__read_note", {"item_id": "1"})
    gated.fake.script(calls(note, SEND, note), text("Done."))
    turn = await gated.send("Read, send, read.")
    await gated.until(turn.id, "tool_call_finished")
    [approval_id] = await gated.asked(turn.id)
    await _until_waiting(gated, turn.id)
    assert [call.state for call in await gated.calls(turn.id)] == ["done", "planned", "planned"]
    await gated.decide(approval_id)
    await gated.events(turn.id)
    assert [call.state for call in await gated.calls(turn.id)] == ["done"] * 3
    contents = [message["content"] for message in gated.fake.received[1].messages[-3:]]
    assert "note 1" in contents[0]
    assert contents[0] == contents[2]


async def test_stop_cancels_what_waits_and_leaves_a_valid_history(
    gated: Chat, effects: EffectsServer
) -> None:
    gated.fake.script(calls(SEND, post(), steps=("I write now.",)), text("Fine."))
    turn = await gated.send("Write to Ann.")
    asked = await gated.asked(turn.id, 2)
    stopped = await gated.orchestrator.cancel(gated.owner_id, turn.id)
    assert (stopped.state, stopped.waiting_since) == ("cancelled", None)
    events = await gated.events(turn.id)
    assert types(events)[-6:] == [
        "approval_resolved",
        "approval_resolved",
        "tool_call_finished",
        "tool_call_finished",
        "notice",
        "turn_finished",
    ]
    assert events[-2]["message"] == "Stopped. 0 changes were made."
    for approval_id in asked:
        row = await gated.database.read(approvals.get, gated.owner_id, approval_id)
        assert row.state == "cancelled"
    after = await gated.send("And now?", session_id=turn.session_id)
    assert text_of(await gated.events(after.id)) == "Fine."
    assert effects.effects() == []


async def test_a_session_that_is_deleted_takes_its_waiting_turn_along(
    gated: Chat, effects: EffectsServer
) -> None:
    gated.fake.script(calls(SEND))
    turn = await gated.send("Write to Ann.")
    await gated.asked(turn.id)
    following = asyncio.create_task(gated.events(turn.id))
    await gated.orchestrator.stop_session(gated.owner_id, turn.session_id)
    await gated.database.write(sessions.remove, gated.owner_id, turn.session_id)
    assert (await following)[-1]["finish_reason"] == "cancelled"
    assert effects.effects() == []


async def test_turns_that_wait_do_not_take_the_place_of_turns_that_run(
    gated: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orchestrator, "MAX_RUNNING_TURNS", 1)
    monkeypatch.setattr(orchestrator, "MAX_WAITING_TURNS", 1)
    gated.fake.script(calls(SEND))
    waiting = await gated.send("Write to Ann.")
    await gated.asked(waiting.id)
    with pytest.raises(TooManyRequests, match="wait for you"):
        await gated.send("Hello")
    monkeypatch.setattr(orchestrator, "MAX_WAITING_TURNS", 2)
    gated.fake.script(text("Hello."))
    running = await gated.send("Hello")
    assert text_of(await gated.events(running.id)) == "Hello."
    await gated.orchestrator.cancel(gated.owner_id, waiting.id)


async def test_the_messages_show_what_was_asked_for_and_what_ran(
    gated: Chat, effects: EffectsServer
) -> None:
    gated.fake.script(calls(READ_MAIL), calls(SEND), text("Sent."))
    turn = await gated.send("Read my mail, write to Ann.")
    [approval_id] = await gated.asked(turn.id)
    await gated.decide(approval_id, arguments={**MAIL, "body": "Later."})
    await gated.events(turn.id)
    session = await gated.database.read(sessions.get, gated.owner_id, turn.session_id)
    items, _ = await gated.database.read(
        messages.page, gated.owner_id, session.id, session.leaf_message_id, limit=10
    )
    read, sent = [message.tool_call for message in items if message.tool_call]
    assert (read.sources, read.effect, read.ran_arguments) == ([MAIL_SENDER], None, None)
    assert (sent.sources, sent.effect, sent.undoable) == ([], "send", False)
    assert sent.ran_arguments == {**MAIL, "body": "Later."}


async def _until_waiting(chat: Chat, turn_id: str) -> None:
    async with asyncio.timeout(10):
        while (await chat.state(turn_id)).waiting_since is None:  # noqa: ASYNC110 - no event says it
            await asyncio.sleep(0.01)
