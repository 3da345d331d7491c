"""An approval is asked for once its account is known, shows it, and is good for no other."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from orchestrator.store import approvals
from tests.fakes.google import FakeGoogle
from tests.fakes.openrouter import FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, calls, text
from tests.fakes.sign_in import ANNA, SignInServer, running_sign_in
from tests.orchestrator.chat.conftest import Chat, running_chat
from tests.orchestrator.chat.stream import Event, types
from tests.orchestrator.chat.test_sign_ins import SEND, SENT, asked, desk_of, sign_in
from tests.orchestrator.chat.test_waiting import crashed

BO = "bo@example.org"
PLAN = Call("effects__plan_errand", {"errand": "milk"})


@pytest.fixture(scope="module")
def google() -> Iterator[FakeGoogle]:
    with FakeGoogle() as google:
        for account in (ANNA, BO):
            google.person(account)
        yield google


@pytest.fixture
def errands(tmp_path_factory: pytest.TempPathFactory, google: FakeGoogle) -> Iterator[SignInServer]:
    """The server, to which nobody has signed in."""
    google.oauth.chosen = ANNA
    with running_sign_in(tmp_path_factory.mktemp("errands"), google) as server:
        yield server


@pytest.fixture
async def chat(tmp_path: Path, fake: FakeOpenRouter, errands: SignInServer) -> AsyncIterator[Chat]:
    async with running_chat(tmp_path, fake, None, effects=errands) as chat:
        yield chat


async def requested(chat: Chat, turn_id: str, number: int = 1) -> Event:
    found = 0
    async for event in chat.follow(turn_id):
        found += event.type == "approval_requested"
        if found == number:
            return event
    raise AssertionError(f"{turn_id} asked {found} times only")


async def test_the_sign_in_comes_first_and_then_the_approval_with_its_preview(
    chat: Chat, fake: FakeOpenRouter, errands: SignInServer
) -> None:
    fake.script(calls(PLAN, SEND), text("Both."))
    turn = await chat.send("Plan and send.")
    found = await asked(chat, turn.id, 2)
    assert [event["reason"] for event in found] == ["no_account"] * 2
    assert await chat.database.read(approvals.of_turn, chat.owner_id, turn.id) == []
    await sign_in(chat, errands, "read", "write")
    planned = await requested(chat, turn.id)
    assert (planned["account"], planned["preview"]["text"]) == (ANNA, "Fetch milk.")
    assert planned["preview"]["problem"] is None
    await chat.decide(planned["approval_id"])
    sent = await requested(chat, turn.id, 2)
    assert (sent["account"], sent["preview"]) == (ANNA, None)
    await chat.decide(sent["approval_id"])
    events = await chat.events(turn.id)
    assert [effect.tool for effect in errands.effects()] == ["plan_errand", "send_errand"]
    assert types(events).count("approval_requested") == 2
    assert events[-1]["finish_reason"] == "stop"


async def test_rights_that_are_too_narrow_are_asked_for_first(
    chat: Chat, fake: FakeOpenRouter, errands: SignInServer
) -> None:
    await sign_in(chat, errands, "read")
    fake.script(calls(SEND), text("Not sent."))
    turn = await chat.send("Send it.")
    [question] = await asked(chat, turn.id)
    assert (question["reason"], question["account"]) == ("scope", ANNA)
    await desk_of(chat).decline(chat.owner_id, question["question_id"], by="web")
    events = await chat.events(turn.id)
    assert "approval_requested" not in types(events)
    [record] = await chat.calls(turn.id)
    assert (record.state, record.error) == ("denied", "You did not sign in.")


async def test_a_call_that_cannot_be_made_fails_and_nobody_is_asked(
    chat: Chat, fake: FakeOpenRouter, errands: SignInServer
) -> None:
    await sign_in(chat, errands, "write")
    fake.script(calls(Call(SEND.name, SENT | {"account": BO})), text("Not sent."))
    turn = await chat.send("Send it as Bo.")
    events = await chat.events(turn.id)
    assert not {"approval_requested", "question_asked"} & set(types(events))
    [record] = await chat.calls(turn.id)
    assert record.state == "failed"
    assert record.error == f"Nobody signed in to {BO} here (there are: {ANNA})."
    assert errands.effects() == []


async def test_a_restart_between_question_and_approval_loses_nothing(
    tmp_path: Path, fake: FakeOpenRouter, errands: SignInServer
) -> None:
    fake.script(calls(SEND))
    async with running_chat(tmp_path, fake, None, effects=errands) as chat:
        turn = await chat.send("Send it.")
        await asked(chat, turn.id)
        copy = crashed(tmp_path)
    await asyncio.to_thread(errands.sign_in, "write")
    fake.script(text("Sent."))
    async with running_chat(copy, fake, None, effects=errands) as chat:
        approval = await requested(chat, turn.id)
        assert (approval["account"], errands.effects()) == (ANNA, [])
        await chat.decide(approval["approval_id"])
        events = await chat.events(turn.id)
    assert len(errands.effects()) == 1
    assert events[-1]["finish_reason"] == "stop"


async def test_another_account_than_the_approved_one_is_asked_about_anew(
    chat: Chat, fake: FakeOpenRouter, errands: SignInServer, google: FakeGoogle
) -> None:
    await sign_in(chat, errands, "write")
    google.oauth.chosen = BO
    await asyncio.to_thread(errands.sign_in, "write", account=BO)
    fake.script(calls(SEND), text("Sent."))
    turn = await chat.send("Send it.")
    first = await requested(chat, turn.id)
    assert first["account"] == ANNA
    made = errands.ask("PATCH", f"/accounts/{BO}", {"is_default": True})
    assert made.status_code == 200, made.text
    await chat.decide(first["approval_id"], arguments=SENT | {"errand": "oat milk"})
    second = await requested(chat, turn.id, 2)
    assert (second["account"], errands.effects()) == (BO, [])
    assert second["reason"].startswith(f"It was approved for {ANNA}, and it is for another")
    await chat.decide(second["approval_id"])
    await chat.events(turn.id)
    assert [effect.arguments for effect in errands.effects()] == [SENT]
    [record] = await chat.calls(turn.id)
    assert record.structured["account"].lower() == BO
    assert record.ran_arguments is None
