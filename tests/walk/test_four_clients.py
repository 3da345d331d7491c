"""Whoever calls a tool of level 3 meets the same gate: nothing before a yes, then once."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from orchestrator.approvals.grants import GrantKeys
from tests.gated_house import GatedHouse, audit_rows, error_of, gated_house, raw_call

TOOL = "send_message"
ARGUMENTS = {"to": "ada@example.org", "subject": "Lunch", "body": "At noon?"}
OWN_TO_EACH_ROW = {
    *("position", "at", "call_id", "turn_id", "client", "decided_by", "previous_hash", "hash"),
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[GatedHouse]:
    with gated_house(tmp_path) as house:
        yield house


def sent(house: GatedHouse) -> int:
    return len(house.effects.effects(TOOL))


def by_a_client_that_cannot_ask(house: GatedHouse, before: int) -> None:
    assert error_of(raw_call(house.effects, TOOL, ARGUMENTS))["code"] == "approval_required"
    assert error_of(raw_call(house.effects, TOOL, ARGUMENTS))["code"] == "approval_required"
    (approval,) = house.pending()
    assert (approval["origin"], approval["arguments"]) == ("client", ARGUMENTS)
    assert sent(house) == before
    assert house.approve(approval["id"]).status_code == 200
    house.wait_until(lambda: sent(house) > before and house.outcome(approval["id"]) == "done")
    result = raw_call(house.effects, TOOL, ARGUMENTS)
    assert not result.get("isError"), result
    assert result["structuredContent"] == {"message_id": "message to ada@example.org"}


def by_the_chat(house: GatedHouse, before: int) -> None:
    turn = house.say([(TOOL, ARGUMENTS)])
    asked = turn.wait_for("approval_requested")
    assert asked["arguments"] == ARGUMENTS
    assert sent(house) == before
    assert house.approve(asked["approval_id"]).status_code == 200
    assert turn.finish().all_of("tool_call_finished")[0]["status"] == "done"


def by_the_api(house: GatedHouse, before: int) -> None:
    path = f"/api/mcp/tools/effects__{TOOL}/call"
    answer = house.ask("POST", path, {"arguments": ARGUMENTS})
    assert answer.status_code == 202, answer.text
    (approval,) = house.pending()
    assert (approval["origin"], approval["arguments"]) == ("api", ARGUMENTS)
    assert sent(house) == before
    assert house.approve(approval["id"]).status_code == 200


async def by_a_form(house: GatedHouse, before: int, mode: Literal["auto", "legacy"]) -> None:
    async def answer(message: str, *_: object) -> dict[str, bool]:
        assert "ada@example.org" in message
        assert sent(house) == before
        return {"approve": True}

    async with house.effects.client(mode, elicitation_handler=answer) as client:
        result = await client.call_tool(TOOL, ARGUMENTS)
    assert not result.is_error


async def test_all_clients_meet_the_same_gate(house: GatedHouse) -> None:
    walks: list[Callable[[GatedHouse, int], None]] = [
        by_a_client_that_cannot_ask,
        by_the_chat,
        by_the_api,
    ]
    for number, walk in enumerate(walks):
        walk(house, number)
        house.wait_until(lambda number=number: sent(house) == number + 1)
    for number, mode in enumerate(("auto", "legacy"), len(walks)):
        await by_a_form(house, number, mode)
        assert sent(house) == number + 1
    rows = audit_rows(house.effects)
    assert len(rows) == sent(house) == 5
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
    alike = [{name: row[name] for name in row.keys() - OWN_TO_EACH_ROW} for row in rows]
    assert alike == [alike[0]] * 5
    assert (alike[0]["decision"], alike[0]["outcome"]) == ("approved", "done")
    assert [row["decided_by"] for row in rows] == [*["terminal"] * 3, *["elicitation"] * 2]


async def test_a_server_on_stdio_shares_journal_and_tickets_with_the_one_on_http(
    house: GatedHouse,
) -> None:
    label = {"item_id": "one", "label": "x"}
    meta = {"flotilla/call_id": "call-one"}
    assert error_of(raw_call(house.effects, TOOL, ARGUMENTS))["code"] == "approval_required"
    async with house.effects.stdio_client() as stdio:
        for _ in range(2):
            result = await stdio.call_tool_mcp("add_label", label, meta=meta)
            assert not result.is_error
        assert not raw_call(house.effects, "add_label", label, call_id="call-one").get("isError")
        other = {**label, "label": "y"}
        result = raw_call(house.effects, "add_label", other, call_id="call-one")
        assert error_of(result)["code"] == "arguments_differ"
        asked = await stdio.call_tool_mcp(TOOL, ARGUMENTS)
        assert asked.structured_content is not None
        assert asked.structured_content["error"]["code"] == "approval_required"
        (approval,) = house.pending()
        assert house.approve(approval["id"]).status_code == 200
        house.wait_until(lambda: house.outcome(approval["id"]) == "done")
        result = await stdio.call_tool_mcp(TOOL, ARGUMENTS)
        assert not result.is_error
    assert len(house.effects.effects()) == 2


async def test_what_runs_in_one_process_is_not_run_in_the_other(house: GatedHouse) -> None:
    slow = {"to": "ada@example.org", "body": "Hello", "seconds": 1.0}
    keys = GrantKeys(house.installation.data_dir)
    grant = keys.mint(
        *("effects", "slow_send"),
        owner="owner",
        call_id="call-slow",
        arguments=slow,
        scope="once",
        by="api",
        grant_id="grant-slow",
    )
    meta = {"flotilla/call_id": "call-slow", "flotilla/grant": grant}
    async with house.effects.stdio_client() as stdio:
        first = asyncio.create_task(
            asyncio.to_thread(
                raw_call, house.effects, "slow_send", slow, call_id="call-slow", grant=grant
            )
        )
        await asyncio.to_thread(house.wait_until, lambda: bool(house.effects.effects()))
        beside = await stdio.call_tool_mcp("slow_send", slow, meta=meta)
        assert beside.structured_content is not None
        assert beside.structured_content["error"]["code"] == "in_progress"
        assert not (await first).get("isError")
        again = await stdio.call_tool_mcp("slow_send", slow, meta=meta)
        assert again.structured_content == (await first)["structuredContent"]
    assert len(house.effects.effects()) == 1
