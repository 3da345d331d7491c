"""Permission by the orchestrator's grants, as its own code signs them."""

from typing import Any

import pytest

from tests.servers.kit.gate.in_memory import MESSAGE, EffectsInMemory, error_of


async def sent(
    effects: EffectsInMemory,
    meta: dict[str, Any],
    tool: str = "send_message",
    arguments: dict[str, Any] = MESSAGE,
) -> Any:
    async with effects.client() as client:
        return await client.call_tool(tool, arguments, raise_on_error=False, meta=meta)


async def test_a_grant_lets_the_call_run_once(effects: EffectsInMemory) -> None:
    meta = effects.granted("send_message", MESSAGE, turn_id="turn_1", taint=["mail from x"])
    first = await sent(effects, meta)
    second = await sent(effects, meta)

    assert first.structured_content == second.structured_content
    assert second.meta["flotilla/replayed"] is True
    assert len(effects.effects()) == 1
    [row] = await effects.audit()
    names = ("decision", "decided_by", "outcome", "turn_id", "taint", "call_id")
    assert {name: row[name] for name in names} == {
        "decision": "approved",
        "decided_by": "web",
        "outcome": "done",
        "turn_id": "turn_1",
        "taint": ["mail from x"],
        "call_id": "call_1",
    }


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"arguments": {**MESSAGE, "to": "eve@example.org"}}, "The grant is for other arguments."),
        ({"tool": "share_item"}, "The grant is for another tool."),
        ({"call_id": "call_2"}, "The grant is for another call."),
    ],
    ids=["arguments", "tool", "call"],
)
async def test_a_grant_for_something_else_is_refused(
    effects: EffectsInMemory, changed: dict[str, Any], why: str
) -> None:
    granted = {"tool": "send_message", "arguments": MESSAGE, "call_id": "call_1", **changed}
    meta = effects.granted(**granted) | {"flotilla/call_id": "call_1"}
    error = error_of(await sent(effects, meta))

    assert error == {"code": "grant_refused", "message": f"{why} Nothing was done."}
    assert effects.effects() == []


async def test_a_grant_serves_no_second_call(effects: EffectsInMemory) -> None:
    assert not (await sent(effects, effects.granted("send_message", MESSAGE))).is_error
    meta = effects.granted("send_message", MESSAGE, call_id="call_2")
    error = error_of(await sent(effects, meta))

    assert error["code"] == "grant_refused"
    assert "Another call has used this grant." in error["message"]
    assert len(effects.effects()) == 1


async def test_a_call_that_ran_is_told_again_whatever_its_grant(effects: EffectsInMemory) -> None:
    meta = effects.granted("send_message", MESSAGE)
    await sent(effects, meta)
    again = await sent(effects, {**meta, "flotilla/grant": "worn.out"})

    assert not again.is_error
    assert again.meta["flotilla/replayed"] is True
    assert len(effects.effects()) == 1


@pytest.mark.parametrize(("tool", "runs"), [("send_message", False), ("delete_item", True)])
async def test_a_standing_grant_opens_level_2_only(
    effects: EffectsInMemory, tool: str, runs: bool
) -> None:
    arguments = MESSAGE if tool == "send_message" else {"item_id": "i1"}
    meta = effects.granted(tool, arguments, scope="standing", by="standing approval")
    result = await sent(effects, meta, tool, arguments)

    assert result.is_error != runs
    assert len(effects.effects()) == int(runs)
    if not runs:
        assert error_of(result)["reason"] == "level"


async def test_a_grant_is_recorded_where_none_was_needed(effects: EffectsInMemory) -> None:
    arguments = {"item_id": "i1", "label": "red"}
    meta = effects.granted("add_label", arguments, by="undo")
    assert not (await sent(effects, meta, "add_label", arguments)).is_error

    [row] = await effects.audit()
    assert (row["decision"], row["decided_by"]) == ("approved", "undo")


@pytest.mark.parametrize(("scope", "runs"), [("once", True), ("standing", False)])
async def test_only_an_approval_of_this_call_passes_a_limit(
    effects: EffectsInMemory, scope: Any, runs: bool
) -> None:
    effects.use_settings(turn_max_deletes=3)
    arguments = {"ids": [f"i{number}" for number in range(4)]}
    meta = effects.granted("delete_many", arguments, scope=scope, turn_id="turn_1")
    result = await sent(effects, meta, "delete_many", arguments)

    assert result.is_error != runs
    if not runs:
        error = error_of(result)
        assert (error["code"], error["reason"]) == ("approval_required", "limit")
        assert "3 deletes in this turn" in error["why"]


async def test_a_limit_asks_for_what_needs_no_approval_otherwise(effects: EffectsInMemory) -> None:
    effects.use_settings(day_max_sends=0)
    arguments = {"channel": "c", "body": "b"}
    meta = effects.granted("post_update", arguments, scope="standing", by="standing approval")
    error = error_of(await sent(effects, meta, "post_update", arguments))

    assert (error["code"], error["reason"]) == ("approval_required", "limit")
    assert effects.effects() == []
