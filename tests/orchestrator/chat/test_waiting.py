"""Turns that wait for the owner while the process ends, by order or by a crash."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, select, update

from orchestrator.chat.closing import INTERRUPTED, close_live_turn
from orchestrator.chat.turn_clock import TurnClock
from orchestrator.domain.approvals import Decision
from orchestrator.domain.times import to_rfc3339
from orchestrator.store import approvals, schema, turns
from tests.fakes.effects import EffectsServer
from tests.fakes.effects_server import MAIL_SENDER
from tests.fakes.openrouter import FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, calls, text
from tests.orchestrator.chat.conftest import Chat, running_chat
from tests.orchestrator.chat.stream import Event, text_of, types

MAIL = {"to": "ann@example.org", "subject": "Hi", "body": "See you."}
SEND = Call("effects__send_message", MAIL)
NOTE = Call("effects__read_note", {"item_id": "1"})
YES = Decision(approve=True, by="terminal")


def crashed(folder: Path) -> Path:
    """Return a copy of the folder as a crash would leave it now."""
    copy = folder.with_name(f"{folder.name}-crashed")
    copy.mkdir()
    for file in [*folder.glob("chat_sessions.db*"), *folder.glob("*.spill")]:
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


async def test_a_waiting_turn_survives_a_restart_and_runs_on_as_if_nothing_had_happened(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> None:
    fake.script(calls(NOTE, SEND, NOTE, steps=("I write now.",)))
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        turn = await chat.send("Read, write to Ann, read.")
        [approval_id] = await chat.asked(turn.id)
        await chat.until(turn.id, "tool_call_finished")
        await _until_waiting(chat, turn.id)
        before = await _stored(chat, turn.id)
        following = asyncio.create_task(chat.events(turn.id))
    assert (await following)[-1].type == "tool_call_finished", "nobody follows a process that ended"
    fake.script(text("Sent."))
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        assert (await chat.state(turn.id)).state == "running"
        following = asyncio.create_task(chat.events(turn.id))
        assert effects.effects() == []
        await chat.decide(approval_id)
        events = await following
        assert (await chat.state(turn.id)).state == "finished"
        records = await chat.calls(turn.id)
    assert [(e.seq, e.type) for e in events[: len(before)]] == [(e.seq, e.type) for e in before]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert types(events).count("tool_call_started") == 3
    assert sum(event.type == "approval_resolved" for event in events) == 1
    assert [effect.arguments for effect in effects.effects()] == [MAIL]
    assert [record.state for record in records] == ["done"] * 3
    sent = fake.received[-1].messages
    assert [message["role"] for message in sent[-4:]] == ["assistant", "tool", "tool", "tool"]
    assert sent[-4]["content"] == "I write now."
    assert text_of(events) == "I write now.Sent."


async def test_a_decision_before_a_crash_is_carried_out_once_after_it(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> None:
    fake.script(calls(SEND))
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        turn = await chat.send("Write to Ann.")
        [approval_id] = await chat.asked(turn.id)
        await _until_waiting(chat, turn.id)
        await chat.database.write(approvals.decide, chat.owner_id, approval_id, YES)
        copy = crashed(tmp_path)
    fake.script(text("Sent."))
    async with running_chat(copy, fake, None, effects=effects) as chat:
        events = await chat.events(turn.id)
    assert len(effects.effects()) == 1
    assert [e["by"] for e in events if e.type == "approval_resolved"] == ["terminal"]
    assert events[-1]["finish_reason"] == "stop"


async def test_a_decision_that_followers_saw_before_a_crash_is_not_told_twice(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> None:
    post = Call("effects__post_update", {"channel": "#team", "body": "News."})
    fake.script(calls(SEND, post))
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        turn = await chat.send("Write to Ann, then post.")
        first, second = await chat.asked(turn.id, 2)
        await _until_waiting(chat, turn.id)
        await chat.decide(second)
        seen = await chat.until(turn.id, "approval_resolved")
        copy = crashed(tmp_path)
    fake.script(text("Both."))
    async with running_chat(copy, fake, None, effects=effects) as chat:
        await chat.decide(first, approve=False)
        events = await chat.events(turn.id)
    assert events[seen.seq - 1] == seen
    resolved = [e["approval_id"] for e in events if e.type == "approval_resolved"]
    assert resolved == [second, first]
    assert [effect.tool for effect in effects.effects()] == ["post_update"]


async def test_half_a_day_later_the_same_bytes_run(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> None:
    fake.script(calls(SEND))
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        turn = await chat.send("Write to Ann.")
        [approval_id] = await chat.asked(turn.id)
        await _until_waiting(chat, turn.id)
    fake.script(text("Sent."))
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        await chat.database.write(_half_a_day_earlier, approval_id)
        effects.restart()
        await chat.decide(approval_id)
        events = await chat.events(turn.id)
    assert events[-1]["finish_reason"] == "stop"
    assert [effect.arguments for effect in effects.effects()] == [MAIL]


async def test_a_waiting_turn_can_be_stopped_after_a_restart_and_is_not_revived_again(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> None:
    fake.script(calls(SEND))
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        turn = await chat.send("Write to Ann.")
        await chat.asked(turn.id)
        await _until_waiting(chat, turn.id)
    async with running_chat(tmp_path, fake, None, effects=effects):
        pass
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        assert (await chat.orchestrator.cancel(chat.owner_id, turn.id)).state == "cancelled"
        events = await chat.events(turn.id)
        assert events[-1]["finish_reason"] == "cancelled"
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        assert await chat.events(turn.id) == events
    assert effects.effects() == []


async def test_what_a_turn_used_before_a_restart_counts_after_it(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> None:
    fake.script(calls(NOTE), calls(NOTE), calls(NOTE), calls(NOTE, SEND))
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        turn = await chat.send("Read again and again, then write.")
        [approval_id] = await chat.asked(turn.id)
        await _until_waiting(chat, turn.id)
    fake.script(text("Sent."))
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        await chat.decide(approval_id)
        events = await chat.events(turn.id)
    status = [event["status"] for event in events if event.type == "tool_call_finished"]
    assert status == ["done", "done", "done", "failed", "done"]
    assert events[-1]["cost_microusd"] == 5 * 120
    rounds = [event["round"] for event in events if event.type == "usage_recorded"]
    assert rounds == [1, 2, 3, 4, 5]


async def test_foreign_text_read_before_a_restart_taints_the_turn_after_it(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> None:
    read = Call("effects__read_mail", {"item_id": "1"})
    fake.script(calls(read, SEND))
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        turn = await chat.send("Read my mail, then write to Ann.")
        [approval_id] = await chat.asked(turn.id)
        await _until_waiting(chat, turn.id)
    label = Call("effects__add_label", {"item_id": "1", "label": "seen"})
    fake.script(calls(label), text("Labelled."))
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        await chat.decide(approval_id, approve=False)
        _, second = await chat.asked(turn.id, 2)
        asked = await chat.database.read(approvals.get, chat.owner_id, second)
        await chat.decide(second, approve=False)
        await chat.events(turn.id)
    assert asked.taint == [MAIL_SENDER]
    assert effects.effects() == []


async def test_a_turn_that_cannot_be_taken_up_keeps_no_other_from_going_on(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> None:
    fake.script(calls(SEND), calls(SEND))
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        broken, whole = await chat.send("Write to Ann."), await chat.send("Write to Ann.")
        for turn in (broken, whole):
            await chat.asked(turn.id)
            await _until_waiting(chat, turn.id)
        await chat.database.write(_lose_messages, broken.session_id)
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        assert (await chat.events(broken.id))[-1]["code"] == "interrupted"
        assert (await chat.state(broken.id)).state == "interrupted"
        assert (await chat.state(whole.id)).state == "running"
        await chat.orchestrator.cancel(chat.owner_id, whole.id)
    assert effects.effects() == []


async def test_the_clock_of_a_turn_stands_while_it_waits() -> None:
    clock = TurnClock(0.05)
    async with clock.running():
        with clock.paused():
            await asyncio.sleep(0.1)
        assert clock.elapsed_s < 0.05
    with pytest.raises(TimeoutError):
        async with clock.running():
            await asyncio.sleep(5)


def _lose_messages(conn: Connection, session_id: str) -> None:
    """Leave a session as a damaged file or an older version might."""
    messages = schema.messages
    conn.execute(delete(messages).where(messages.c.session_id == session_id))


def _half_a_day_earlier(conn: Connection, approval_id: str) -> None:
    """Move what is stored of an approval, as if it had been asked twelve hours before."""
    table = schema.approvals
    row = conn.execute(select(table).where(table.c.id == approval_id)).one()
    moved = {
        name: to_rfc3339(datetime.fromisoformat(getattr(row, name)) - timedelta(hours=12))
        for name in ("created_at", "expires_at")
    }
    conn.execute(update(table).where(table.c.id == approval_id).values(moved))


async def _stored(chat: Chat, turn_id: str) -> list[Event]:
    seen: list[Event] = []
    async for event in chat.follow(turn_id):
        seen.append(event)
        if event.type == "tool_call_finished":
            return seen
    return seen


async def _until_waiting(chat: Chat, turn_id: str) -> None:
    async with asyncio.timeout(10):
        while (await chat.state(turn_id)).waiting_since is None:  # noqa: ASYNC110 - no event says it
            await asyncio.sleep(0.01)


async def test_a_turn_whose_row_waits_outlives_a_stop_at_any_moment(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> None:
    fake.script(calls(SEND))
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        turn = await chat.send("Write to Ann.")
        [approval_id] = await chat.asked(turn.id)
        await _until_waiting(chat, turn.id)
        # The moment between the commit that stores the wait and the pause of the clock.
        stored = await chat.database.read(turns.get, chat.owner_id, turn.id)
        closed = await chat.database.write(close_live_turn, chat.owner_id, stored, [], INTERRUPTED)
    assert closed == []
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        kept = await chat.database.read(approvals.get, chat.owner_id, approval_id)
    assert kept.state == "pending"
