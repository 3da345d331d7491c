"""What the owner is shown of a call before he approves it, told by a real server."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from orchestrator.approvals.grants import GrantKeys
from orchestrator.chat.direct_calls import DirectCalls, Waiting
from orchestrator.chat.limits import TurnLimits
from orchestrator.chat.resources import ChatSettings
from orchestrator.domain.previews import Preview, PreviewLine
from orchestrator.store import approvals
from tests.fakes.google import FakeGoogle
from tests.fakes.openrouter import FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, calls, text
from tests.fakes.sign_in import ANNA, SignInServer, running_sign_in
from tests.orchestrator.chat.conftest import Chat, running_chat
from tests.orchestrator.chat.stream import Event

PLAN = Call("effects__plan_errand", {"errand": "milk"})
DELETE = Call("effects__delete_errand", {"errand": "bread"})
ENDLESS = Call("effects__plan_errand", {"errand": "endless"})
READ = Call("effects__read_errand", {"errand": "eggs"})


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignInServer]:
    with FakeGoogle() as google:
        google.person(ANNA)
        with running_sign_in(tmp_path_factory.mktemp("errands"), google) as server:
            server.sign_in("read", "write")
            yield server


@pytest.fixture
def errands(shared: SignInServer) -> SignInServer:
    """The server, signed in to, as if it had done nothing yet."""
    shared.effects_file.unlink(missing_ok=True)
    return shared


@pytest.fixture
async def chat(tmp_path: Path, fake: FakeOpenRouter, errands: SignInServer) -> AsyncIterator[Chat]:
    async with running_chat(tmp_path, fake, None, effects=errands) as chat:
        yield chat


async def requested(chat: Chat, turn_id: str, tool: str) -> Event:
    async for event in chat.follow(turn_id):
        if event.type == "approval_requested" and event["tool"] == tool:
            return event
    raise AssertionError(f"{turn_id} ended without asking about {tool}")


async def test_the_owner_sees_what_a_call_would_do(
    chat: Chat, fake: FakeOpenRouter, errands: SignInServer
) -> None:
    fake.script(calls(PLAN), text("Planned."))
    turn = await chat.send("Plan it.")
    asked = await requested(chat, turn.id, PLAN.name)
    [line] = asked["preview"]["lines"]
    assert (line["name"], line["value"].lower()) == ("For", ANNA)
    assert (asked["preview"]["text"], asked["preview"]["problem"]) == ("Fetch milk.", None)
    stored = await chat.database.read(approvals.get, chat.owner_id, asked["approval_id"])
    assert stored.preview == Preview(
        lines=(PreviewLine(name="For", value=line["value"]),), text="Fetch milk."
    )
    await chat.decide(asked["approval_id"])
    await chat.events(turn.id)
    assert [effect.tool for effect in errands.effects()] == ["plan_errand"]


async def test_a_call_without_a_preview_shows_none(chat: Chat, fake: FakeOpenRouter) -> None:
    fake.script(calls(DELETE), text("Not deleted."))
    turn = await chat.send("Delete it.")
    asked = await requested(chat, turn.id, DELETE.name)
    assert asked["preview"] is None
    await chat.decide(asked["approval_id"], approve=False)
    await chat.events(turn.id)


async def test_a_preview_that_takes_too_long_holds_up_no_other_call(
    chat: Chat, fake: FakeOpenRouter, errands: SignInServer
) -> None:
    fake.script(calls(READ, DELETE, ENDLESS), text("Done."))
    turn = await chat.send("Read, delete, plan.")
    asked = await requested(chat, turn.id, DELETE.name)
    await chat.decide(asked["approval_id"])
    seen: list[Event] = []
    async for event in chat.follow(turn.id):
        seen.append(event)
        if event.type == "approval_requested" and event["tool"] == ENDLESS.name:
            break
    ended = [event["tool_call_id"] for event in seen if event.type == "tool_call_finished"]
    assert len(ended) == 2, "the others ended before anybody knew what the last would do"
    preview = seen[-1]["preview"]
    assert (preview["lines"], preview["text"]) == ([], None)
    assert preview["problem"]
    await chat.decide(seen[-1]["approval_id"], approve=False)
    await chat.events(turn.id)
    assert [effect.tool for effect in errands.effects()] == ["delete_errand"]


async def test_a_stop_while_the_preview_is_fetched_leaves_nothing_open(
    chat: Chat, fake: FakeOpenRouter
) -> None:
    fake.script(calls(READ, ENDLESS))
    turn = await chat.send("Read, then plan.")
    await chat.until(turn.id, "tool_call_finished")
    await chat.orchestrator.cancel(chat.owner_id, turn.id)
    events = await chat.events(turn.id)
    assert [e["status"] for e in events if e.type == "tool_call_finished"] == ["done", "cancelled"]
    assert await chat.database.read(approvals.of_turn, chat.owner_id, turn.id) == []


async def test_a_restart_while_the_preview_is_fetched_asks_afterwards(
    tmp_path: Path, fake: FakeOpenRouter, errands: SignInServer
) -> None:
    fake.script(calls(READ, ENDLESS))
    async with running_chat(tmp_path, fake, None, effects=errands) as chat:
        turn = await chat.send("Read, then plan.")
        await chat.until(turn.id, "tool_call_finished")
    fake.script(text("Not planned."))
    async with running_chat(tmp_path, fake, None, effects=errands) as chat:
        assert (await chat.state(turn.id)).state == "running"
        asked = await requested(chat, turn.id, ENDLESS.name)
        await chat.decide(asked["approval_id"], approve=False)
        events = await chat.events(turn.id)
    assert [e["status"] for e in events if e.type == "tool_call_finished"] == ["done", "denied"]
    assert (asked["preview"]["problem"] is not None, errands.effects()) == (True, [])


async def test_a_program_is_shown_it_too(tmp_path: Path, chat: Chat, errands: SignInServer) -> None:
    settings = ChatSettings(model_layers=lambda: (), timezone="UTC", limits=TurnLimits())
    rooms = (chat.database, chat.aggregator, chat.inbox, GrantKeys(errands.data_dir), chat.files)
    async with DirectCalls(settings, *rooms) as direct:
        waiting = await direct.call(chat.owner_id, PLAN.name, {"errand": "milk"}, call_id="one")
        again = await direct.call(chat.owner_id, PLAN.name, {"errand": "milk"}, call_id="one")
    assert isinstance(waiting, Waiting)
    assert waiting.approval.preview is not None
    assert waiting.approval.preview.text == "Fetch milk."
    assert again == waiting
