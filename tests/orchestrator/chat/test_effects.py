"""What a turn changed: counted when it stops, kept within limits, reversed on a click."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orchestrator.chat.limits import TurnLimits
from orchestrator.errors import Conflict, NotFound
from orchestrator.store import approvals
from tests.fakes.effects import EffectsServer
from tests.fakes.openrouter import FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, calls, text
from tests.orchestrator.chat.conftest import Chat, running_chat
from tests.orchestrator.chat.stream import Event, types

NOTE = Call("effects__read_note", {"item_id": "1"})


def label(item_id: str) -> Call:
    return Call("effects__add_label", {"item_id": item_id, "label": "x"})


def remove(item_id: str) -> Call:
    return Call("effects__delete_item", {"item_id": item_id})


def slow(seconds: float) -> Call:
    arguments = {"to": "ann@example.org", "body": "Hi.", "seconds": seconds}
    return Call("effects__slow_send", arguments)


def effects_said(events: list[Event]) -> list[str]:
    return [e["message"] for e in events if e.type == "notice" and e["code"] == "effects"]


async def test_a_stop_waits_a_moment_for_a_call_that_changes_something_and_counts_it(
    gated: Chat, effects: EffectsServer
) -> None:
    await gated.let_stand("effects__slow_send")
    gated.fake.script(calls(label("a"), slow(0.3), label("b")))
    turn = await gated.send("Label and send.")
    await gated.until(turn.id, "tool_call_progress")
    await gated.orchestrator.cancel(gated.owner_id, turn.id)
    events = await gated.events(turn.id)
    assert [call.state for call in await gated.calls(turn.id)] == ["done", "done", "cancelled"]
    assert effects_said(events) == ["Stopped. 2 changes were made."]
    assert [effect.tool for effect in effects.effects()] == ["add_label", "slow_send"]


async def test_a_stop_tells_what_it_does_not_know(gated: Chat, effects: EffectsServer) -> None:
    await gated.let_stand("effects__slow_send")
    gated.fake.script(calls(label("a"), slow(20)))
    turn = await gated.send("Label and send.")
    await gated.until(turn.id, "tool_call_progress")
    await gated.orchestrator.cancel(gated.owner_id, turn.id)
    events = await gated.events(turn.id)
    assert [call.state for call in await gated.calls(turn.id)] == ["done", "unknown"]
    assert effects_said(events) == ["Stopped. 1 change was made; the outcome of 1 is unknown."]


async def test_a_turn_that_reaches_its_limit_tells_what_it_changed(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> None:
    fake.script(calls(label("a"), NOTE), calls(label("b")))
    limits = TurnLimits(max_rounds=2)
    async with running_chat(tmp_path, fake, None, limits, effects=effects) as chat:
        turn = await chat.send("Label.")
        events = await chat.events(turn.id)
    assert types(events)[-3:] == ["notice", "notice", "turn_finished"]
    assert effects_said(events) == ["Stopped. 2 changes were made."]


async def test_what_one_call_did_many_times_is_counted_as_often(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> None:
    fake.script(calls(Call("effects__delete_many", {"ids": ["a", "b", "c"]}), label("a")))
    limits = TurnLimits(max_rounds=1)
    async with running_chat(tmp_path, fake, None, limits, effects=effects) as chat:
        await chat.let_stand("effects__delete_many")
        turn = await chat.send("Delete.")
        events = await chat.events(turn.id)
    assert effects_said(events) == ["Stopped. 4 changes were made."]


async def test_a_change_whose_result_cannot_be_sent_is_shown_as_done(
    gated: Chat, effects: EffectsServer
) -> None:
    fail = Call("effects__fail_label", {"item_id": "i1", "how": "long"})
    gated.fake.script(calls(fail), text("Done."))
    turn = await gated.send("Label.")
    await gated.events(turn.id)
    [call] = await gated.calls(turn.id)
    assert (call.state, call.effects, call.error) == ("done", 1, None)
    assert call.text.startswith("It was done; do not call it again.")


async def test_at_the_limit_of_the_server_the_rest_waits_for_the_owner(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> None:
    fake.script(calls(*(remove(f"item {n}") for n in range(500))))
    limits = TurnLimits(max_tool_calls=600)
    async with running_chat(tmp_path, fake, None, limits, effects=effects) as chat:
        await chat.let_stand("effects__delete_item")
        turn = await chat.send("Delete everything.")
        [first] = await chat.asked(turn.id)
        assert len(effects.effects("delete_item")) == 10
        asked = await chat.database.read(approvals.get, chat.owner_id, first)
        assert "10" in asked.reason
        await chat.decide(first)
        await chat.asked(turn.id, 2)
        assert len(effects.effects("delete_item")) == 11
        await chat.orchestrator.cancel(chat.owner_id, turn.id)
        events = await chat.events(turn.id)
    assert effects_said(events) == ["Stopped. 11 changes were made."]
    started = [event["tool_call_id"] for event in events if event.type == "tool_call_started"]
    assert len(started) == len(set(started)) == 12
    assert len(effects.effects("delete_item")) == 11


async def undo(chat: Chat, call_id: str) -> Any:
    return await chat.orchestrator.undoing.undo_call(chat.owner_id, call_id, actor="browser")


async def test_one_click_reverses_a_call_and_the_model_learns_of_it(
    gated: Chat, effects: EffectsServer
) -> None:
    gated.fake.script(calls(label("a")), text("Labelled."), text("I see."))
    turn = await gated.send("Label a.")
    events = await gated.events(turn.id)
    assert [e["undoable"] for e in events if e.type == "tool_call_finished"] == [True]
    [call] = await gated.calls(turn.id)
    assert call.undoable
    async with asyncio.TaskGroup() as group:
        clicks = [group.create_task(undo(gated, call.tool_call_id)) for _ in range(2)]
    assert [click.result().status for click in clicks] == ["undone", "undone"]
    assert [effect.tool for effect in effects.effects()] == ["add_label", "remove_label"]
    [call] = await gated.calls(turn.id)
    assert (call.undoable, call.undone_at is not None) == (False, True)
    with pytest.raises(Conflict, match="undone at"):
        await undo(gated, call.tool_call_id)
    after = await gated.send("And now?", session_id=turn.session_id)
    await gated.events(after.id)
    assert "undid this" in gated.fake.received[-1].messages[-3]["content"]


async def test_a_whole_turn_is_reversed_newest_first(gated: Chat, effects: EffectsServer) -> None:
    await gated.let_stand("effects__delete_item")
    move = Call("effects__move_file", {"path": "a", "to": "b"})
    gated.fake.script(calls(label("a"), NOTE, remove("c"), move), text("Done."))
    turn = await gated.send("Label, read, delete, move.")
    [approval_id] = await gated.asked(turn.id)
    await gated.decide(approval_id)
    await gated.events(turn.id)
    undone = await gated.orchestrator.undoing.undo_turn(gated.owner_id, turn.id, actor="browser")
    assert [(u.tool, u.status) for u in undone] == [
        ("effects__move_file", "undone"),
        ("effects__delete_item", "undone"),
        ("effects__add_label", "undone"),
    ]
    reversals = [(effect.tool, effect.arguments) for effect in effects.effects()[-3:]]
    assert [tool for tool, _ in reversals] == ["move_file", "restore_item", "remove_label"]
    assert reversals[0][1] == {"path": "b", "to": "a"}
    with pytest.raises(Conflict):
        await gated.orchestrator.undoing.undo_turn(gated.owner_id, turn.id, actor="browser")


async def test_what_could_not_be_reversed_can_be_tried_again(
    gated: Chat, effects: EffectsServer
) -> None:
    await gated.let_stand("effects__delete_item")
    gated.fake.script(calls(remove("c")), text("Done."))
    turn = await gated.send("Delete.")
    await gated.events(turn.id)
    [call] = await gated.calls(turn.id)
    lock = effects.data_dir / "locked"
    lock.touch()
    failed = [await undo(gated, call.tool_call_id) for _ in range(2)]
    lock.unlink()
    assert [(f.status, f.error) for f in failed] == [("failed", "The trash is locked.")] * 2
    async with asyncio.TaskGroup() as group:
        clicks = [group.create_task(undo(gated, call.tool_call_id)) for _ in range(2)]
    assert [click.result().status for click in clicks] == ["undone", "undone"]
    assert len(effects.effects("restore_item")) == 1


async def test_what_cannot_be_reversed_says_why(gated: Chat, effects: EffectsServer) -> None:
    gated.fake.script(calls(NOTE, label("a")), text("Done."))
    turn = await gated.send("Read and label.")
    await gated.events(turn.id)
    read, labelled = await gated.calls(turn.id)
    with pytest.raises(Conflict, match="cannot be undone"):
        await undo(gated, read.tool_call_id)
    with pytest.raises(NotFound):
        await undo(gated, "call_unknown")
    key = effects.data_dir / "grant_keys" / effects.name
    key.chmod(0o644)
    try:
        failed = await undo(gated, labelled.tool_call_id)
    finally:
        key.chmod(0o600)
    assert failed.status == "failed"
    assert "can be read by other users" in failed.error
    assert (await gated.calls(turn.id))[1].undoable
