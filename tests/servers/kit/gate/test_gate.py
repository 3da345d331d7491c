"""What the gate does with each call, whoever makes it."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError
from fastmcp.tools import Tool
from mcp.shared.exceptions import MCPError

from servers.kit.gate import audit
from servers.kit.gate.ledger import Ledger, ledger_file
from servers.kit.server import FleetServer
from servers.kit.settings import KitSettings, SystemdSettings
from tests.fakes.effects import EffectsServer, granted, running_effects
from tests.fakes.effects_server import MANIFEST, NAME, Labelled
from tests.servers.kit.gate.in_memory import (
    MESSAGE,
    EffectsInMemory,
    answering,
    called,
    error_of,
)
from tests.servers.kit.process import running_server


async def test_a_tool_that_only_looks_leaves_no_trace(effects: EffectsInMemory) -> None:
    async with effects.client() as client:
        result = await called(client, "read_mail", {"item_id": "m1"}, call_id="call_1")

    assert result.structured_content is not None
    assert result.structured_content["source"] == "mallory@example.org"
    assert await effects.audit() == []
    assert (await effects.record("call_1"))["state"] == "absent"


async def test_a_tool_that_writes_at_level_1_runs_and_is_audited(effects: EffectsInMemory) -> None:
    async with effects.client() as client:
        result = await called(
            client,
            "add_label",
            {"item_id": "i1", "label": "red"},
            turn_id="turn_1",
            taint=["mail from x@example.org"],
        )

    assert not result.is_error
    assert len(effects.effects("add_label")) == 1
    [row] = await effects.audit()
    assert {name: row[name] for name in ("tool", "level", "decision", "outcome", "turn_id")} == {
        "tool": "add_label",
        "level": 1,
        "decision": "not_needed",
        "outcome": "done",
        "turn_id": "turn_1",
    }
    assert row["taint"] == ["mail from x@example.org"]
    assert row["client"].startswith("mcp ")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("move_file", {"path": "a", "to": "b"}),
        ("delete_item", {"item_id": "i1"}),
        ("delete_many", {"ids": ["i1", "i2"]}),
        ("send_message", MESSAGE),
        ("post_update", {"channel": "c", "body": "b"}),
        ("share_item", {"item_id": "i1", "email": "ann@example.org"}),
        ("slow_send", {"to": "ann", "body": "b", "seconds": 0}),
    ],
)
async def test_what_asks_does_not_run_without_an_answer(
    effects: EffectsInMemory, tool: str, arguments: dict[str, Any]
) -> None:
    async with effects.client() as client:
        error = error_of(await called(client, tool, arguments, approvals="caller"))
        again = error_of(await called(client, tool, arguments))

    assert (error["code"], error["reason"]) == ("approval_required", "level")
    assert "ticket_id" not in error
    assert again["code"] == "approval_required"
    assert again["ticket_id"].startswith("ticket_")
    assert effects.effects() == []
    assert await effects.audit() == []


async def test_nobody_is_asked_about_more_than_a_person_reads(effects: EffectsInMemory) -> None:
    asked: list[str] = []
    arguments = {"ids": ["i" * 100] * 650}
    async with effects.client(answering(True, asked)) as client:
        by_form = error_of(await called(client, "delete_many", arguments))
    async with effects.client() as client:
        by_ticket = error_of(await called(client, "delete_many", arguments))
        by_caller = error_of(await called(client, "delete_many", arguments, approvals="caller"))

    errors = by_form, by_ticket, by_caller
    assert {error["code"] for error in errors} == {"arguments_too_large"}
    assert asked == []
    assert effects.effects() == []


async def test_nobody_is_asked_about_a_call_that_cannot_be_made(effects: EffectsInMemory) -> None:
    asked: list[str] = []
    async with effects.client(answering(True, asked)) as client:
        result = await called(client, "send_message", {"to": "ann", "subject": "s"})

    assert result.content[0].text == "Invalid arguments for send_message: body is required."
    assert asked == []
    assert effects.effects() == []


async def test_the_same_call_id_runs_once_and_has_the_same_result(
    effects: EffectsInMemory,
) -> None:
    arguments = {"item_id": "i1", "label": "red"}
    async with effects.client() as client:
        first = await called(client, "add_label", arguments, call_id="call_1")
        second = await called(client, "add_label", arguments, call_id="call_1")
        other = error_of(
            await called(client, "add_label", {**arguments, "label": "blue"}, call_id="call_1")
        )

    assert len(effects.effects()) == 1
    assert second.content == first.content
    assert second.structured_content == first.structured_content
    assert first.meta is not None
    assert second.meta == {**first.meta, "flotilla/replayed": True}
    assert other["code"] == "arguments_differ"
    assert len(await effects.audit()) == 1


async def test_concurrent_calls_of_one_id_run_once(effects: EffectsInMemory) -> None:
    arguments = {"item_id": "i1", "label": "red"}
    async with effects.client() as client, asyncio.TaskGroup() as group:
        calls = [
            group.create_task(called(client, "add_label", arguments, call_id="call_1"))
            for _ in range(10)
        ]

    assert len(effects.effects()) == 1
    assert {call.result().content[0].text for call in calls} == {'{"item_id":"i1","label":"red"}'}


async def test_calls_without_an_id_are_calls_of_their_own(effects: EffectsInMemory) -> None:
    async with effects.client() as client:
        for _ in range(2):
            await called(client, "add_label", {"item_id": "i1", "label": "red"})

    assert len(effects.effects()) == 2
    assert len({row["call_id"] for row in await effects.audit()}) == 2


async def test_a_refusal_by_the_tool_is_a_failed_call_and_stays_one(
    effects: EffectsInMemory,
) -> None:
    arguments = {"item_id": "i1", "how": "refused"}
    async with effects.client() as client:
        first = await called(client, "fail_label", arguments, call_id="call_1")
        second = await called(client, "fail_label", arguments, call_id="call_1")

    assert first.is_error
    assert second.is_error
    assert first.content[0].text == second.content[0].text == "There is no item 'i1'."
    assert [row["outcome"] for row in await effects.audit()] == ["failed"]


async def test_a_tool_that_breaks_may_have_had_its_effect(effects: EffectsInMemory) -> None:
    arguments = {"item_id": "i1", "how": "crash"}
    async with effects.client() as client:
        first = error_of(await called(client, "fail_label", arguments, call_id="call_1"))
        second = error_of(await called(client, "fail_label", arguments, call_id="call_1"))

    assert first["code"] == second["code"] == "outcome_unknown"
    assert "the connection broke" not in json.dumps(first)
    assert len(effects.effects()) == 1
    assert [row["outcome"] for row in await effects.audit()] == ["unknown"]


async def test_a_call_around_which_something_breaks_has_an_end(tmp_path: Path) -> None:
    mcp = FleetServer[object](MANIFEST, instructions="For tests.")
    mcp.use_settings(KitSettings(data_dir=tmp_path), SystemdSettings())

    @mcp.fleet_tool
    async def add_label(item_id: str, label: str) -> Labelled:  # pyright: ignore[reportUnusedFunction]  # it is a tool
        """Label, while the tool that undoes it is missing."""
        return Labelled(item_id=item_id, label=label)

    async with Client(mcp) as client:
        result = await called(client, "add_label", {"item_id": "1", "label": "a"}, call_id="c")
    assert error_of(result)["code"] == "outcome_unknown"
    async with Ledger(tmp_path / ledger_file(NAME)) as ledger:
        [row] = await ledger.read(audit.rows_after, 0, 10)
    assert row["outcome"] == "unknown"


async def test_a_result_over_the_ceiling_is_told_as_done(effects: EffectsInMemory) -> None:
    async with effects.client() as client:
        result = await called(client, "fail_label", {"item_id": "i1", "how": "long"})

    assert result.is_error
    assert error_of(result)["code"] == "result_too_large"
    assert result.content[0].text.startswith("It was done; do not call it again. The result is")
    assert [row["outcome"] for row in await effects.audit()] == ["done"]


@pytest.mark.parametrize(
    ("tool", "arguments", "undo"),
    [
        (
            "add_label",
            {"item_id": "i1", "label": "red"},
            {"tool": "remove_label", "arguments": {"item_id": "i1", "label": "red"}},
        ),
        (
            "move_file",
            {"path": "a", "to": "b"},
            {"tool": "move_file", "arguments": {"path": "b", "to": "a"}},
        ),
        (
            "delete_item",
            {"item_id": "i1"},
            {"tool": "restore_item", "arguments": {"item_id": "i1"}},
        ),
        ("restore_item", {"item_id": "i1"}, None),
        ("fail_label", {"item_id": "i1", "how": "refused"}, None),
    ],
)
async def test_a_result_says_how_to_undo_it(
    effects: EffectsInMemory, tool: str, arguments: dict[str, Any], undo: dict[str, Any] | None
) -> None:
    async with effects.client(answering(True)) as client:
        result = await called(client, tool, arguments)

    assert (result.meta or {}).get("flotilla/undo") == undo


def test_only_a_running_tool_can_say_how_it_is_undone(effects: EffectsInMemory) -> None:
    with pytest.raises(RuntimeError, match="while it runs"):
        effects.server.undo_with(path="a")


async def test_a_tool_that_the_manifest_does_not_name_never_runs(
    effects: EffectsInMemory,
) -> None:
    async def unlabelled() -> dict[str, str]:
        raise AssertionError("it ran")

    effects.server.add_tool(Tool.from_function(unlabelled, description="Do anything."))
    async with effects.client() as client:
        with pytest.raises(ToolError, match="Unknown tool: 'unlabelled'"):
            await client.call_tool("unlabelled")


async def test_a_tool_put_beside_the_gate_never_runs(effects: EffectsInMemory) -> None:
    effects.server._gate._checks.pop("send_message")
    async with effects.client(answering(True)) as client:
        with pytest.raises(ToolError, match="Unknown tool: 'send_message'"):
            await client.call_tool("send_message", MESSAGE)


async def test_a_call_within_the_process_passes_the_gate_too(effects: EffectsInMemory) -> None:
    async with effects.client():
        refused = await effects.server.call_tool("send_message", MESSAGE)
        done = await effects.server.call_tool("add_label", {"item_id": "i1", "label": "red"})

    assert refused.is_error
    assert not done.is_error
    assert [effect.tool for effect in effects.effects()] == ["add_label"]
    assert [row["client"] for row in await effects.audit()] == ["unknown"]


async def test_without_a_ledger_only_looking_works(effects: EffectsInMemory) -> None:
    ledger = effects.data_dir / ledger_file(NAME)
    ledger.parent.mkdir(parents=True)
    ledger.write_bytes(b"this is no database, and never was one" * 100)
    async with effects.client(answering(True)) as client:
        read = await called(client, "read_note", {"item_id": "n1"})
        error = error_of(await called(client, "add_label", {"item_id": "i1", "label": "red"}))

    assert read.structured_content == {"text": "note n1"}
    assert error["code"] == "gate_unavailable"
    assert "is damaged" in error["message"]
    assert effects.effects() == []


@pytest.mark.parametrize(
    "meta", [{"call_id": "a/b"}, {"call_id": 7}, {"taint": "mail"}, {"turn_id": "t" * 300}]
)
async def test_meta_that_cannot_be_used_stops_the_call(
    effects: EffectsInMemory, meta: dict[str, Any]
) -> None:
    async with effects.client() as client:
        result = await called(client, "add_label", {"item_id": "i1", "label": "red"}, **meta)

    [name] = meta
    assert result.is_error
    assert f"flotilla/{name}" in result.content[0].text
    assert effects.effects() == []


async def test_listed_tools_carry_their_policy(effects: EffectsInMemory) -> None:
    async with effects.client() as client:
        tools = await client.list_tools()

    expected = {name: tool.policy for name, tool in MANIFEST.tools.items()}
    expected["share_item"]["preview"] = True
    assert {tool.name: (tool.meta or {})["flotilla/policy"] for tool in tools} == expected


def test_a_server_that_only_looks_has_neither_ledger_nor_key(tmp_path: Path) -> None:
    with running_server("calculator", tmp_path) as server:
        answers = [
            httpx2.get(
                f"{server.origin}/{path}", headers={"Authorization": f"Bearer {server.token}"}
            ).json()
            for path in ("audit", "calls/call_1")
        ]

    assert answers == [
        {"items": [], "head": {"position": 0, "hash": "0" * 64}},
        {"call_id": "call_1", "state": "absent", "result": None},
    ]
    assert not (tmp_path / "servers").exists()
    assert not (tmp_path / "grant_keys").exists()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_that_goes_away_stops_nothing_half_way(
    effects_process: EffectsServer, mode: Any
) -> None:
    call_id = f"call_{mode}"
    arguments = {"to": mode, "body": "b", "seconds": 0.4}
    begun = asyncio.Event()

    async def progress(*_: Any) -> None:
        begun.set()

    async with effects_process.client(mode, elicitation_handler=answering(True)) as client:
        call = asyncio.create_task(
            client.call_tool(
                "slow_send",
                arguments,
                progress_handler=progress,
                meta={"flotilla/call_id": call_id},
            )
        )
        await begun.wait()
        call.cancel()
        await asyncio.wait([call])
        told = await called(client, "slow_send", arguments, call_id=call_id)

    assert call.cancelled()
    assert told.structured_content == {"message_id": f"message to {mode}"}
    sent = [effect for effect in effects_process.effects("slow_send") if effect[1]["to"] == mode]
    assert len(sent) == 1


async def test_a_call_whose_server_died_is_unknown_and_never_runs_again(tmp_path: Path) -> None:
    arguments = {"to": "ann", "body": "b", "seconds": 60}
    meta = granted(tmp_path, "slow_send", arguments)
    begun = asyncio.Event()

    async def progress(*_: Any) -> None:
        begun.set()

    with running_effects(tmp_path) as server:
        async with server.client() as client:
            call = asyncio.create_task(
                client.call_tool("slow_send", arguments, progress_handler=progress, meta=meta)
            )
            await begun.wait()
            async with server.stdio_client() as other:
                elsewhere = error_of(await called(other, "slow_send", arguments, call_id="call_1"))
            server.restart()
            with pytest.raises(MCPError):
                await call
            again = error_of(await called(client, "slow_send", arguments, call_id="call_1"))

        assert (elsewhere["code"], again["code"]) == ("in_progress", "outcome_unknown")
        assert server.effects() == []


async def test_an_end_that_cannot_be_noted_is_told_once_and_unknown_after(
    effects: EffectsInMemory,
) -> None:
    # The ids come back in the result, which has to be stored.
    arguments = {"ids": [f"{number:020}" for number in range(1_000)]}
    meta = effects.granted("delete_many", arguments)

    def let_one_page_be_added(conn: sqlite3.Connection) -> None:
        (pages,) = conn.execute("PRAGMA page_count").fetchone()
        conn.execute(f"PRAGMA max_page_count = {pages + 1}")

    async with effects.client() as client:
        await effects.server._gate.read(let_one_page_be_added)
        first = await client.call_tool("delete_many", arguments, meta=meta)
        again = await client.call_tool("delete_many", arguments, raise_on_error=False, meta=meta)

    assert first.structured_content == arguments
    assert error_of(again)["code"] == "outcome_unknown"
    assert len(effects.effects()) == 1


async def test_a_stopping_server_waits_for_what_runs_and_gives_up_the_rest(
    effects: EffectsInMemory,
) -> None:
    quick = {"to": "ann", "body": "b", "seconds": 0.2}
    slow = {"to": "bob", "body": "b", "seconds": 30}
    begun: list[str] = []

    async def progress(*_: Any) -> None:
        begun.append("one")
        if len(begun) == 2:
            both.set()

    both = asyncio.Event()
    client = effects.client(answering(True))
    async with client:
        calls = [
            asyncio.create_task(
                client.call_tool(
                    "slow_send", arguments, progress_handler=progress,
                    meta={"flotilla/call_id": f"call_{arguments['to']}"},
                )
            )
            for arguments in (quick, slow)
        ]  # fmt: skip
        await both.wait()
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)

    assert (await effects.record("call_ann"))["state"] == "done"
    assert (await effects.record("call_bob"))["state"] == "unknown"
    assert [effect[1]["to"] for effect in effects.effects()] == ["ann"]
