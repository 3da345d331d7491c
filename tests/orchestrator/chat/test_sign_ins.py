"""Calls that need a sign-in: a real server with accounts, whose vendor is a fake Google."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from orchestrator.approvals.grants import GrantKeys
from orchestrator.approvals.question_desk import QuestionDesk
from orchestrator.chat.direct_calls import DirectCalls, Ended, Waiting
from orchestrator.chat.limits import TurnLimits
from orchestrator.chat.resources import ChatSettings
from orchestrator.chat.signing_in import MAX_QUESTIONS_PER_CALL
from orchestrator.domain.questions import Question
from orchestrator.store import approvals, questions
from tests.fakes.google import FakeGoogle
from tests.fakes.mcp_servers import toy_server
from tests.fakes.openrouter import FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, calls, text
from tests.fakes.sign_in import ANNA, SignInServer, running_sign_in
from tests.orchestrator.chat.conftest import Chat, running_chat
from tests.orchestrator.chat.stream import Event, types
from tests.orchestrator.chat.test_waiting import crashed

READ = Call("effects__read_errand", {"errand": "milk"})
SEND = Call("effects__send_errand", {"errand": "milk", "to": "bo@example.org"})
TELL = Call("effects__tell_time", {"to": "bo"})
SENT = {"errand": "milk", "to": "bo@example.org"}


@pytest.fixture(scope="module")
def google() -> Iterator[FakeGoogle]:
    with FakeGoogle() as google:
        google.person(ANNA)
        yield google


@pytest.fixture
def errands(tmp_path_factory: pytest.TempPathFactory, google: FakeGoogle) -> Iterator[SignInServer]:
    """The server, to which nobody has signed in."""
    with running_sign_in(tmp_path_factory.mktemp("errands"), google) as server:
        yield server


@pytest.fixture
async def chat(tmp_path: Path, fake: FakeOpenRouter, errands: SignInServer) -> AsyncIterator[Chat]:
    async with running_chat(tmp_path, fake, None, effects=errands) as chat:
        yield chat


async def asked(chat: Chat, turn_id: str, number: int = 1) -> list[Event]:
    """Return the questions of a turn once there are so many."""
    found: list[Event] = []
    async for event in chat.follow(turn_id):
        if event.type == "question_asked":
            found.append(event)
            if len(found) == number:
                return found
    raise AssertionError(f"{turn_id} asked {len(found)} times only")


async def until_waiting(chat: Chat, turn_id: str) -> None:
    async with asyncio.timeout(10):
        while (await chat.state(turn_id)).waiting_since is None:  # noqa: ASYNC110 - no event says it
            await asyncio.sleep(0.01)


async def sign_in(chat: Chat, errands: SignInServer, *capabilities: str) -> None:
    """Sign in as the page does: the desk is told at once."""
    account = await asyncio.to_thread(errands.sign_in, *capabilities)
    told = await chat.aggregator.accounts.read("effects")
    assert [found.account for found in told.accounts] == [account["account"]]
    await desk_of(chat).signed_in(chat.owner_id, "effects", told.accounts)


def desk_of(chat: Chat) -> QuestionDesk:
    return chat.orchestrator._resources.questions


async def stored(chat: Chat, question_id: str) -> Question:
    return await chat.database.read(questions.get, chat.owner_id, question_id)


def answers(events: list[Event]) -> list[str]:
    return [event["answer"] for event in events if event.type == "question_answered"]


async def test_a_call_waits_for_the_sign_in_and_goes_on_without_anything_typed_again(
    chat: Chat, fake: FakeOpenRouter, errands: SignInServer
) -> None:
    fake.script(calls(READ), text("Milk."))
    turn = await chat.send("What shall I fetch?")
    [question] = await asked(chat, turn.id)
    await until_waiting(chat, turn.id)
    [record] = await chat.calls(turn.id)
    path = f"/oauth/effects/start?question={question['question_id']}"
    told = {name: question[name] for name in ("mode", "server", "url", "capability", "reason")}
    assert told == {
        "mode": "url",
        "server": "effects",
        "url": path,
        "capability": "read",
        "reason": "no_account",
    }
    assert (question["title"], question["account"]) == ("Sign in to Google", None)
    assert question["tool_call_id"] == record.tool_call_id
    assert record.state == "planned"
    await sign_in(chat, errands, "read")
    events = await chat.events(turn.id)
    assert types(events)[1:] == [
        "usage_recorded",
        "tool_call_started",
        "question_asked",
        "question_answered",
        "tool_call_finished",
        "text_delta",
        "usage_recorded",
        "turn_finished",
    ]
    assert answers(events) == ["done"]
    [record] = await chat.calls(turn.id)
    assert (record.state, record.structured["account"].lower()) == ("done", ANNA)
    sent = fake.received[-1].messages
    assert [message["role"] for message in sent[-2:]] == ["assistant", "tool"]
    assert (await chat.state(turn.id)).waiting_since is None


async def test_a_sign_in_elsewhere_is_seen(
    chat: Chat, fake: FakeOpenRouter, errands: SignInServer
) -> None:
    fake.script(calls(READ), text("Milk."))
    turn = await chat.send("What shall I fetch?")
    await asked(chat, turn.id)
    await asyncio.to_thread(errands.sign_in, "read")
    events = await chat.events(turn.id)
    assert answers(events) == ["done"]
    assert (await chat.state(turn.id)).state == "finished"


async def test_one_sign_in_answers_all_calls_that_need_it(
    chat: Chat, fake: FakeOpenRouter, errands: SignInServer
) -> None:
    reads = [Call("effects__read_errand", {"errand": f"errand {n}"}) for n in range(8)]
    fake.script(calls(*reads), text("All."))
    turn = await chat.send("What shall I fetch?")
    found = await asked(chat, turn.id, len(reads))
    assert len({event["tool_call_id"] for event in found}) == len(reads)
    await sign_in(chat, errands, "read")
    events = await chat.events(turn.id)
    assert answers(events) == ["done"] * len(reads)
    records = await chat.calls(turn.id)
    assert [record.structured["errand"] for record in records] == [
        f"errand {n}" for n in range(len(reads))
    ]
    assert [event["status"] for event in events if event.type == "tool_call_finished"] == [
        "done"
    ] * len(reads)


async def test_a_sign_in_that_permits_too_little_answers_nothing(
    chat: Chat, fake: FakeOpenRouter, errands: SignInServer
) -> None:
    await sign_in(chat, errands, "read")
    add = Call("effects__add_errand", {"errand": "salt"})
    fake.script(calls(add), text("Added."))
    turn = await chat.send("Add salt.")
    [question] = await asked(chat, turn.id)
    assert (question["reason"], question["account"]) == ("scope", ANNA)
    assert question["title"] == "Allow more at Google"
    told = await chat.aggregator.accounts.read("effects")
    await desk_of(chat).signed_in(chat.owner_id, "effects", told.accounts)
    assert (await stored(chat, question["question_id"])).state == "pending"
    await sign_in(chat, errands, "write")
    assert answers(await chat.events(turn.id)) == ["done"]
    assert [effect.arguments for effect in errands.effects()] == [{"errand": "salt"}]


async def test_an_account_that_was_signed_out_in_the_middle_is_asked_about_by_its_name(
    chat: Chat, fake: FakeOpenRouter, errands: SignInServer, google: FakeGoogle
) -> None:
    await sign_in(chat, errands, "read")
    google.oauth.revoke(ANNA)
    fake.script(calls(READ), text("Milk."))
    turn = await chat.send("What shall I fetch?")
    [question] = await asked(chat, turn.id)
    assert (question["reason"], question["account"]) == ("ended", ANNA)
    assert question["title"] == "Sign in to Google again"
    await sign_in(chat, errands, "read")
    assert answers(await chat.events(turn.id)) == ["done"]


async def test_what_was_approved_runs_once_on_that_approval_after_the_sign_in(
    chat: Chat, fake: FakeOpenRouter, errands: SignInServer, google: FakeGoogle
) -> None:
    await sign_in(chat, errands, "write")
    fake.script(calls(SEND), text("Sent."))
    turn = await chat.send("Send Bo the milk.")
    [approval_id] = await chat.asked(turn.id)
    google.oauth.revoke(ANNA)
    await chat.decide(approval_id, arguments=SENT | {"errand": "oat milk"})
    [question] = await asked(chat, turn.id)
    assert errands.effects() == []
    await sign_in(chat, errands, "write")
    events = await chat.events(turn.id)
    assert [effect.arguments["errand"] for effect in errands.effects()] == ["oat milk"]
    assert types(events).count("approval_requested") == 1
    [record] = await chat.calls(turn.id)
    assert record.tool_call_id == question["tool_call_id"]
    assert (record.state, record.ran_arguments) == ("done", SENT | {"errand": "oat milk"})


async def test_a_crash_between_question_and_sign_in_loses_nothing(
    tmp_path: Path, fake: FakeOpenRouter, errands: SignInServer, google: FakeGoogle
) -> None:
    fake.script(calls(SEND))
    async with running_chat(tmp_path, fake, None, effects=errands) as chat:
        await sign_in(chat, errands, "write")
        turn = await chat.send("Send Bo the milk.")
        [approval_id] = await chat.asked(turn.id)
        google.oauth.revoke(ANNA)
        await chat.decide(approval_id)
        [question] = await asked(chat, turn.id)
        await until_waiting(chat, turn.id)
        copy = crashed(tmp_path)
    await asyncio.to_thread(errands.sign_in, "write")
    errands.restart()
    fake.script(text("Sent."))
    async with running_chat(copy, fake, None, effects=errands) as chat:
        events = await chat.events(turn.id)
        kept = await chat.database.read(approvals.of_turn, chat.owner_id, turn.id)
        asked_of = await chat.database.read(questions.of_turn, chat.owner_id, turn.id)
    assert [effect.arguments for effect in errands.effects()] == [SENT]
    assert [approval.id for approval in kept] == [approval_id]
    assert [(q.id, q.state) for q in asked_of] == [(question["question_id"], "done")]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert types(events).count("tool_call_started") == 1
    assert (answers(events), events[-1]["finish_reason"]) == (["done"], "stop")


async def test_an_answer_that_followers_saw_before_a_crash_is_not_told_twice(
    tmp_path: Path, fake: FakeOpenRouter, errands: SignInServer
) -> None:
    fake.script(calls(READ, TELL))
    async with running_chat(tmp_path, fake, None, effects=errands) as chat:
        turn = await chat.send("Read, then send.")
        [question] = await asked(chat, turn.id)
        await desk_of(chat).decline(chat.owner_id, question["question_id"], by="web")
        await chat.until(turn.id, "tool_call_finished")
        await until_waiting(chat, turn.id)
        copy = crashed(tmp_path)
    fake.script(text("Neither."))
    async with running_chat(copy, fake, None, effects=errands) as chat:
        [approval_id] = await chat.asked(turn.id)
        await chat.decide(approval_id, approve=False)
        events = await chat.events(turn.id)
    assert answers(events) == ["declined"]
    finished = [event["status"] for event in events if event.type == "tool_call_finished"]
    assert finished == ["denied", "denied"]


async def test_what_the_owner_declines_fails_and_the_turn_goes_on(
    chat: Chat, fake: FakeOpenRouter
) -> None:
    fake.script(calls(READ), text("Then not."))
    turn = await chat.send("What shall I fetch?")
    [question] = await asked(chat, turn.id)
    await desk_of(chat).decline(chat.owner_id, question["question_id"], by="web")
    events = await chat.events(turn.id)
    assert (answers(events), events[-1]["finish_reason"]) == (["declined"], "stop")
    [record] = await chat.calls(turn.id)
    assert (record.state, record.error) == ("denied", "You did not sign in.")
    assert "did not want to sign in" in fake.received[-1].messages[-1]["content"]


async def test_a_question_that_nobody_answers_in_time_ends_by_itself(
    tmp_path: Path, fake: FakeOpenRouter, errands: SignInServer
) -> None:
    fake.script(calls(READ), text("Too late."))
    async with running_chat(tmp_path, fake, None, effects=errands, approval_lifetime_h=1e-4) as c:
        turn = await c.send("What shall I fetch?")
        events = await c.events(turn.id)
        [record] = await c.calls(turn.id)
    assert (answers(events), events[-1]["finish_reason"]) == (["expired"], "stop")
    assert record.state == "denied"


async def test_stop_ends_the_wait_and_leaves_a_valid_history(
    chat: Chat, fake: FakeOpenRouter, errands: SignInServer
) -> None:
    fake.script(calls(READ, TELL))
    turn = await chat.send("Read, then send.")
    [question] = await asked(chat, turn.id)
    await until_waiting(chat, turn.id)
    assert (await chat.orchestrator.cancel(chat.owner_id, turn.id)).state == "cancelled"
    events = await chat.events(turn.id)
    assert answers(events) == ["cancelled"]
    finished = [event for event in events if event.type == "tool_call_finished"]
    assert [event["status"] for event in finished] == ["cancelled", "cancelled"]
    assert (await stored(chat, question["question_id"])).state == "cancelled"
    await sign_in(chat, errands, "read", "write")
    fake.script(text("Hello."))
    again = await chat.send("Hello?", session_id=turn.session_id)
    assert (await chat.events(again.id))[-1]["finish_reason"] == "stop"
    roles = [message["role"] for message in fake.received[-1].messages]
    assert roles[-5:] == ["user", "assistant", "tool", "tool", "user"]
    assert errands.effects() == []


async def test_a_server_that_is_never_content_is_asked_only_so_often(
    tmp_path: Path, fake: FakeOpenRouter
) -> None:
    fake.script(calls(Call("toy__unsigned")), text("It cannot be had."))
    with toy_server(tmp_path / "notes.txt", "--never-signed-in") as toy:
        async with running_chat(tmp_path, fake, toy.url) as chat:
            turn = await chat.send("Try it.")
            events = await chat.events(turn.id)
            [record] = await chat.calls(turn.id)
    assert answers(events) == ["done"] * MAX_QUESTIONS_PER_CALL
    assert (record.state, record.error) == ("failed", "Nobody has signed in.")


async def test_a_program_is_told_where_to_sign_in_and_may_call_again(
    tmp_path: Path, chat: Chat, errands: SignInServer, google: FakeGoogle
) -> None:
    settings = ChatSettings(model_layers=lambda: (), timezone="UTC", limits=TurnLimits())
    rooms = (chat.database, chat.aggregator, chat.inbox, GrantKeys(errands.data_dir), chat.files)
    async with DirectCalls(settings, *rooms) as direct:
        ended = await direct.call(chat.owner_id, READ.name, {"errand": "milk"}, call_id="one")
        assert isinstance(ended, Ended)
        assert (ended.outcome.status, ended.outcome.error_code) == ("failed", "sign_in_required")
        url = ended.outcome.structured["error"]["sign_in_url"]
        assert url.endswith("/oauth/effects/start?capability=read")

        unasked = await direct.call(chat.owner_id, SEND.name, SENT, call_id="two")
        assert isinstance(unasked, Ended)
        assert (unasked.outcome.status, unasked.outcome.error_code) == (
            "failed",
            "sign_in_required",
        )
        url = unasked.outcome.structured["error"]["sign_in_url"]
        assert url.endswith("/oauth/effects/start?capability=write")
        await sign_in(chat, errands, "read", "write")
        waiting = await direct.call(chat.owner_id, SEND.name, SENT, call_id="two")
        assert isinstance(waiting, Waiting)
        assert waiting.approval.account == ANNA
        google.oauth.revoke(ANNA)
        await chat.decide(waiting.approval.id)
        await sign_in(chat, errands, "read", "write")
        again = await direct.call(chat.owner_id, READ.name, {"errand": "milk"}, call_id="one")
        assert isinstance(again, Ended)
        assert again.outcome.status == "done"
        async with asyncio.timeout(20):
            while True:
                sent = await direct.call(chat.owner_id, SEND.name, SENT, call_id="two")
                if isinstance(sent, Ended):
                    break
                await asyncio.sleep(0.02)
    assert sent.outcome.status == "done"
    assert [effect.arguments for effect in errands.effects()] == [SENT]
