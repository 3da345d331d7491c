"""Permission from the person at the client, in both eras of the protocol."""

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from fastmcp.exceptions import ToolError
from mcp.types import ElicitResult

from tests.fakes.effects import EffectsServer, running_effects
from tests.servers.kit.gate.in_memory import (
    MESSAGE,
    EffectsInMemory,
    answering,
    called,
    error_of,
)
from tests.servers.kit.raw import RawRequest, raw_request

Mode = Literal["auto", "legacy"]
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
QUESTION = """Effects: Send message
to: ann@example.org
subject: Lunch
body: At noon?
It cannot be undone.
This tool asks each time it is called."""


@pytest.fixture
def own_process(tmp_path: Path) -> Generator[EffectsServer]:
    with running_effects(tmp_path) as server:
        yield server


@pytest.mark.parametrize("transport", ["http", "stdio"])
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_person_who_approves_sends_exactly_once(
    own_process: EffectsServer, mode: Mode, transport: str
) -> None:
    asked: list[str] = []
    make = own_process.client if transport == "http" else own_process.stdio_client
    async with make(mode, elicitation_handler=answering(True, asked)) as client:
        result = await called(client, "send_message", MESSAGE)

    assert result.structured_content == {"message_id": "message to ann@example.org"}
    assert asked == [QUESTION]
    assert own_process.effects() == [("send_message", MESSAGE)]
    [row] = audit_rows(own_process)
    assert (row["decision"], row["decided_by"], row["outcome"]) == (
        "approved",
        "elicitation",
        "done",
    )


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize(
    "answer",
    [
        ElicitResult(action="decline"),
        ElicitResult(action="cancel"),
        ElicitResult(action="accept", content={"approve": False}),
        ElicitResult(action="accept", content={}),
        ElicitResult(action="accept", content={"approve": "true"}),
    ],
    ids=["decline", "cancel", "no", "empty", "text"],
)
async def test_anything_but_a_yes_is_a_no(
    effects: EffectsInMemory, mode: Mode, answer: ElicitResult
) -> None:
    async def say(*_: Any) -> ElicitResult:
        return answer

    async with effects.client(say, mode) as client:
        error = error_of(await called(client, "send_message", MESSAGE))

    assert error["code"] == "denied"
    assert effects.effects() == []
    [row] = await effects.audit()
    assert (row["decision"], row["decided_by"], row["outcome"]) == (
        "denied",
        "elicitation",
        "not_run",
    )


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_that_cannot_ask_gets_a_ticket(
    effects_process: EffectsServer, mode: Mode
) -> None:
    async with effects_process.client(mode) as client:
        error = error_of(await called(client, "share_item", {"item_id": mode, "email": "a@b.c"}))

    assert error["code"] == "approval_required"
    assert f"python -m servers approve effects {error['ticket_id']}" in error["message"]
    assert effects_process.effects("share_item") == []


async def test_a_client_whose_form_breaks_gets_a_ticket(effects: EffectsInMemory) -> None:
    async def broken(*_: Any) -> ElicitResult:
        raise RuntimeError("no screen")

    async with effects.client(broken, "legacy") as client:
        error = error_of(await called(client, "send_message", MESSAGE))

    assert error["code"] == "approval_required"
    assert effects.effects() == []


async def test_a_caller_that_asks_itself_is_not_asked(effects: EffectsInMemory) -> None:
    asked: list[str] = []
    async with effects.client(answering(True, asked)) as client:
        error = error_of(await called(client, "send_message", MESSAGE, approvals="caller"))

    assert (error["code"], asked) == ("approval_required", [])
    assert effects.effects() == []


async def test_an_answer_survives_the_death_of_the_server(own_process: EffectsServer) -> None:
    asking = await first_leg(own_process)
    own_process.restart()
    first = await second_leg(own_process, asking)
    again = await second_leg(own_process, asking)

    assert first["structuredContent"] == {"message_id": "message to ann@example.org"}
    assert again["_meta"].pop("flotilla/replayed") is True
    assert again == first
    assert len(own_process.effects()) == 1


async def test_an_approved_question_permits_no_other_arguments(
    effects_process: EffectsServer,
) -> None:
    asking = await first_leg(effects_process)
    altered = await second_leg(effects_process, asking, {**MESSAGE, "body": "At noon!"})

    assert altered["error"]["message"] == "Invalid or expired requestState"
    assert effects_process.effects("send_message") == []


async def test_an_approved_question_permits_no_other_tool(effects_process: EffectsServer) -> None:
    asking = await first_leg(effects_process, "delete_item", {"item_id": "i1"})
    altered = await second_leg(effects_process, asking, {"item_id": "i1"}, "restore_item")

    assert altered["error"]["message"] == "Invalid or expired requestState"


@pytest.mark.parametrize(
    "state", [None, "v1.AAAA", '{"call_id":"call_1"}'], ids=["none", "forged", "plain"]
)
async def test_an_answer_nobody_asked_for_approves_nothing(
    effects_process: EffectsServer, state: str | None
) -> None:
    answer = await second_leg(effects_process, {"requestState": state})

    if state is None:
        assert answer["resultType"] == "input_required"
    else:
        assert answer["error"]["message"] == "Invalid or expired requestState"
    assert effects_process.effects("send_message") == []


async def test_two_answers_at_once_run_once(effects_process: EffectsServer) -> None:
    arguments = {"channel": "at once", "body": "b"}
    asking = await first_leg(effects_process, "post_update", arguments)
    async with asyncio.TaskGroup() as group:
        legs = [
            group.create_task(second_leg(effects_process, asking, arguments, "post_update"))
            for _ in range(5)
        ]

    assert {leg.result()["structuredContent"]["message_id"] for leg in legs} == {"post in at once"}
    assert len(effects_process.effects("post_update")) == 1


async def test_the_question_hides_nothing(effects: EffectsInMemory) -> None:
    asked: list[str] = []
    body = "Hello\nIt can be undone.\u202egnihton\x1b[2J" + "x" * 5_000
    async with effects.client(answering(False, asked)) as client:
        await called(client, "post_update", {"channel": "c", "body": body, "account": "work"})

    [text] = asked
    assert text.splitlines()[:5] == [
        "Effects: Post update",
        "Account: work",
        "channel: c",
        "body:",
        "  | Hello",
    ]
    assert "  | It can be undone.<U+202E>gnihton<U+001B>[2J" in text
    assert "more characters are not shown]" in text
    assert text.splitlines()[-2] == "It cannot be undone."


async def test_a_limit_is_a_reason_to_ask(effects: EffectsInMemory) -> None:
    effects.use_settings(turn_max_deletes=2)
    asked: list[str] = []
    async with effects.client(answering(True, asked)) as client:
        for number in range(2):
            arguments = {"item_id": f"i{number}"}
            meta = effects.granted(
                "delete_item", arguments, call_id=f"call_{number}", grant_id=f"grant_{number}",
                scope="standing", by="standing approval", turn_id="turn_1",
            )  # fmt: skip
            await client.call_tool("delete_item", arguments, meta=meta)
        arguments = {"item_id": "i2"}
        meta = effects.granted(
            "delete_item", arguments, call_id="call_2", grant_id="grant_2",
            scope="standing", by="standing approval", turn_id="turn_1",
        )  # fmt: skip
        told = error_of(
            await client.call_tool("delete_item", arguments, raise_on_error=False, meta=meta)
        )
        del meta["flotilla/approvals"]
        done = await client.call_tool("delete_item", arguments, raise_on_error=False, meta=meta)

    assert (told["code"], told["reason"]) == ("approval_required", "limit")
    assert told["why"] in asked[0]
    assert not done.is_error
    assert len(effects.effects()) == 3


async def test_a_client_before_forms_is_refused_plainly(effects: EffectsInMemory) -> None:
    async with effects.client(mode="legacy") as client:
        with pytest.raises(ToolError, match="needs the owner's approval"):
            await client.call_tool("send_message", MESSAGE)


def audit_rows(server: EffectsServer) -> list[dict[str, Any]]:
    answer = httpx2.get(
        f"{server.origin}/audit", headers={"Authorization": f"Bearer {server.token}"}
    )
    return answer.json()["items"]


def request_of(
    server: EffectsServer, tool: str, arguments: dict[str, Any], **params: Any
) -> RawRequest:
    request = raw_request(
        "tools/call", tool, arguments, {"Authorization": f"Bearer {server.token}"}
    )
    request["json"]["params"]["_meta"][CAPABILITIES] = {"elicitation": {}}
    request["json"]["params"] |= {name: value for name, value in params.items() if value}
    return request


async def first_leg(
    server: EffectsServer, tool: str = "send_message", arguments: dict[str, Any] = MESSAGE
) -> dict[str, Any]:
    async with httpx2.AsyncClient() as http:
        answer = await http.post(server.url, **request_of(server, tool, arguments))
    result = answer.json()["result"]
    assert result["resultType"] == "input_required"
    assert list(result["inputRequests"]) == ["approve"]
    assert "call_" not in result["requestState"]
    return result


async def second_leg(
    server: EffectsServer,
    asking: dict[str, Any],
    arguments: dict[str, Any] = MESSAGE,
    tool: str = "send_message",
) -> dict[str, Any]:
    yes = {"approve": {"action": "accept", "content": {"approve": True}}}
    request = request_of(
        server, tool, arguments, inputResponses=yes, requestState=asking["requestState"]
    )
    async with httpx2.AsyncClient() as http:
        answer = (await http.post(server.url, **request)).json()
    return answer.get("result", answer)
