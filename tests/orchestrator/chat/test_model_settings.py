"""The settings in force as they reach the model: over turns, sessions, changes and restarts."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.chat.tool_menu import ToolMenu
from orchestrator.domain.model_settings import ModelSettings, SessionSettings
from orchestrator.store import sessions
from orchestrator.store.in_force import SettingsLayer, document_layer
from tests.fakes.effects import EffectsServer
from tests.fakes.mcp_servers import ServerProcess
from tests.fakes.openrouter import SCRIPT_MODEL, FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, Drop, Round, calls, text
from tests.orchestrator.chat.conftest import Chat, running_chat
from tests.orchestrator.chat.stream import text_of

UNLISTED = "fake/request"
"""The list of models does not tell what it takes, so it gets everything."""
PARAMETERS: dict[str, Any] = {
    "temperature": 0.3,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.05,
    "top_a": 0.1,
    "max_tokens": 900,
    "frequency_penalty": -0.5,
    "presence_penalty": 0.5,
    "repetition_penalty": 1.1,
    "seed": 7,
    "stop": ["END", "STOP"],
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "top_logprobs": 5,
    "parallel_tool_calls": False,
    "tool_choice": "auto",
    "response_format": {"type": "json_object"},
    "structured_outputs": True,
    "verbosity": "low",
    "reasoning": {"effort": "low", "exclude": True},
}
PROVIDER: dict[str, Any] = {
    "order": ["anthropic", "together"],
    "only": ["anthropic", "together", "groq"],
    "ignore": ["deepinfra"],
    "allow_fallbacks": False,
    "require_parameters": True,
    "data_collection": "deny",
    "zdr": True,
    "quantizations": ["fp8", "bf16"],
    "sort": "throughput",
    "max_price": {"prompt": 1, "completion": 2.5},
}


@dataclass
class Document:
    """The owner's document, changed at will."""

    content: dict[str, Any] = field(default_factory=lambda: {"model": SCRIPT_MODEL})

    def layers(self) -> tuple[SettingsLayer, ...]:
        return (document_layer(ModelSettings.model_validate(self.content)),)


@pytest.fixture
def document() -> Document:
    return Document()


@pytest.fixture
async def chat(
    tmp_path: Path, fake: FakeOpenRouter, toy: ServerProcess, document: Document
) -> AsyncIterator[Chat]:
    async with running_chat(tmp_path, fake, toy.url, model_layers=document.layers) as chat:
        yield chat


def differently(**settings: Any) -> SessionSettings:
    return SessionSettings.model_validate(settings)


async def settle(chat: Chat, session_id: str, **settings: Any) -> None:
    settled = differently(**settings)
    await chat.database.write(sessions.settle, chat.owner_id, session_id, settled)


async def test_every_parameter_and_all_routing_reach_the_model(
    chat: Chat, document: Document
) -> None:
    document.content = {"model": UNLISTED, "parameters": PARAMETERS, "provider": PROVIDER}
    turn = await chat.send("Hi")
    await chat.events(turn.id)
    body = chat.fake.received[0].body
    assert {name: body[name] for name in PARAMETERS} == PARAMETERS
    assert body["provider"] == PROVIDER
    assert {*PARAMETERS} == {*ModelSettings.model_fields["parameters"].default.model_dump()}


async def test_what_a_model_does_not_take_is_left_out_and_told_once(
    chat: Chat, document: Document
) -> None:
    await chat.llm.refresh()
    document.content |= {"parameters": {"temperature": 0.4, "top_k": 5, "min_p": 0.1}}
    chat.fake.script(calls(Call("toy__add", {"a": 1, "b": 2})), text("Three."))
    turn = await chat.send("Add.")
    events = await chat.events(turn.id)
    told = [event["message"] for event in events if event.type == "notice"]
    assert told == [f"{SCRIPT_MODEL} does not take top_k, min_p: left out of the request."]
    assert len(chat.fake.received) == 2
    for request in chat.fake.received:
        assert request.body["temperature"] == 0.4
        assert not {"top_k", "min_p"} & set(request.body)


async def test_nothing_is_sent_that_nobody_set(chat: Chat) -> None:
    chat.fake.script(text("Hello."))
    turn = await chat.send("Hi")
    await chat.events(turn.id)
    ours = {"model", "messages", "stream", "stream_options", "tools", "usage", "session_id"}
    assert {*chat.fake.received[0].body} == ours


async def test_a_changed_document_counts_from_the_next_turn(chat: Chat, document: Document) -> None:
    chat.fake.script(text("One."))
    first = await chat.send("First")
    await chat.events(first.id)
    document.content = {"model": "other/model", "system_prompt": "Speak Portuguese."}
    chat.fake.script(text("Dois."), model="other/model")
    second = await chat.send("Second", session_id=first.session_id)
    assert text_of(await chat.events(second.id)) == "Dois."
    assert (first.model, second.model) == (SCRIPT_MODEL, "other/model")
    assert "Speak Portuguese." in chat.fake.received[1].messages[0]["content"]
    assert "Speak Portuguese." not in chat.fake.received[0].messages[0]["content"]


async def test_a_turn_beats_its_session_and_that_the_document_field_by_field(
    chat: Chat, document: Document
) -> None:
    document.content |= {"parameters": {"temperature": 0.1, "top_p": 0.1, "top_k": 1}}
    chat.fake.script(text("One."))
    first = await chat.send("First")
    await chat.events(first.id)
    await settle(
        chat, first.session_id, model=UNLISTED, parameters={"temperature": 0.5, "top_p": 0.5}
    )
    turn = differently(parameters={"temperature": 0.9}, provider={"sort": "price"})
    for more in ({"settings": turn}, {}):
        again = await chat.send("Again", session_id=first.session_id, **more)
        await chat.events(again.id)
    _, with_turn, without = (request.body for request in chat.fake.received)
    names = ("model", "temperature", "top_p", "top_k", "provider")
    assert [with_turn[name] for name in names] == [UNLISTED, 0.9, 0.5, 1, {"sort": "price"}]
    assert [without[name] for name in names[:-1]] == [UNLISTED, 0.5, 0.5, 1]
    assert "provider" not in without


async def test_fallback_models_of_the_session_answer_when_its_model_cannot(chat: Chat) -> None:
    chat.fake.script(text("One."))
    first = await chat.send("First")
    await chat.events(first.id)
    await settle(chat, first.session_id, model="fake/404", fallback_models=["spare/model"])
    chat.fake.script(text("Spare."), model="spare/model")
    second = await chat.send("Second", session_id=first.session_id)
    events = await chat.events(second.id)
    assert text_of(events) == "Spare."
    assert [event["code"] for event in events if event.type == "notice"] == ["model_switched"]


async def test_servers_that_a_session_does_without_are_neither_offered_nor_called(
    chat: Chat,
) -> None:
    chat.fake.script(text("One."))
    first = await chat.send("First")
    await chat.events(first.id)
    await settle(chat, first.session_id, disabled_servers=["toy"])
    chat.fake.script(calls(Call("toy__add", {"a": 1, "b": 2})), text("Then not."))
    second = await chat.send("Add.", session_id=first.session_id)
    events = await chat.events(second.id)
    [finished] = [event for event in events if event.type == "tool_call_finished"]
    assert finished["status"] == "failed"
    assert "switched the tools of this server off for this chat" in finished["error"]
    assert "tools" in chat.fake.received[0].body
    assert "tools" not in chat.fake.received[1].body
    assert "toy (Toy)" not in chat.fake.received[1].messages[0]["content"]
    chat.fake.script(calls(Call("toy__add", {"a": 1, "b": 2})), text("Three."))
    third = await chat.send(
        "Add now.", session_id=first.session_id, settings=differently(disabled_servers=[])
    )
    events = await chat.events(third.id)
    assert [e["status"] for e in events if e.type == "tool_call_finished"] == ["done"]


async def test_an_answer_that_goes_on_does_so_as_its_turn_was_asked_to(chat: Chat) -> None:
    chat.fake.script(Round(("Half", Drop())), model="other/model")
    own = differently(model="other/model", parameters={"temperature": 0.7})
    turn = await chat.send("Tell.", settings=own)
    await chat.events(turn.id)
    chat.fake.script(text(" and whole."), model="other/model")
    again = await chat.orchestrator.continue_turn(chat.owner_id, turn.id, None)
    await chat.events(again.id)
    assert again.model == "other/model"
    assert chat.fake.received[-1].body["temperature"] == 0.7


async def test_an_answer_goes_on_with_the_model_that_is_in_force_now(
    chat: Chat, document: Document
) -> None:
    chat.fake.script(Round(("Half", Drop())))
    turn = await chat.send("Tell.")
    await chat.events(turn.id)
    document.content = {"model": "better/model"}
    chat.fake.script(text(" and whole."), model="better/model")
    again = await chat.orchestrator.continue_turn(chat.owner_id, turn.id, None)
    assert text_of(await chat.events(again.id)) == " and whole."


async def test_a_turn_that_waits_through_a_restart_keeps_what_it_was_asked_to_do(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer, document: Document
) -> None:
    mail = {"to": "ann@example.org", "subject": "Hi", "body": "See you."}
    fake.script(calls(Call("effects__send_message", mail)), model="other/model")
    around = {"effects": effects, "model_layers": document.layers}
    own = differently(model="other/model", parameters={"temperature": 0.7})
    async with running_chat(tmp_path, fake, None, **around) as chat:
        turn = await chat.send("Write to Ann.", settings=own)
        [approval_id] = await chat.asked(turn.id)
        await settle(chat, turn.session_id, parameters={"temperature": 0.2, "max_tokens": 50})
    document.content |= {"provider": {"sort": "price"}}
    fake.script(text("Sent."), model="other/model")
    async with running_chat(tmp_path, fake, None, **around) as chat:
        await chat.decide(approval_id)
        await chat.events(turn.id)
    body = fake.received[-1].body
    assert (body["temperature"], body["max_tokens"]) == (0.7, 50)
    assert body["provider"] == {"sort": "price"}


async def test_schemas_are_built_once_for_each_set_of_servers(chat: Chat) -> None:
    menu = ToolMenu(chat.aggregator)
    off = frozenset({"toy"})
    assert menu.schemas(off) is menu.schemas(frozenset({"toy"}))
    assert menu.schemas() is menu.schemas(frozenset())
    assert (len(menu.schemas(off)), len(menu.schemas()) > 0) == (0, True)
