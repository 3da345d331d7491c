"""The tools and their calls over HTTP, with a real gate behind them."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.ids import new_id
from tests.fakes.effects import EffectsServer, running_effects
from tests.fakes.mcp_servers import ServerProcess, toy_server
from tests.orchestrator.api.doorway import Answer, Door
from tests.orchestrator.api.house import token_of, whole_house

TOOLS = "/api/mcp/tools"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    (folder / "data").mkdir()
    return folder


@pytest.fixture(scope="module")
def shared_effects(folder: Path) -> Iterator[EffectsServer]:
    with running_effects(folder / "data") as server:
        yield server


@pytest.fixture(scope="module")
def toy(folder: Path) -> Iterator[ServerProcess]:
    with toy_server(folder / "notes.txt") as server:
        yield server


@pytest.fixture(scope="module")
def house(folder: Path, shared_effects: EffectsServer, toy: ServerProcess) -> Iterator[Door]:
    servers = [
        {
            "id": "effects",
            "url": shared_effects.url,
            "token_file": "tokens/effects",
            "trust": "fleet",
        },
        {"id": "toy", "url": toy.url, "trust": "third_party", "disabled_tools": ["big"]},
    ]
    with whole_house(folder, servers) as door:
        yield door


@pytest.fixture
def effects(shared_effects: EffectsServer, house: Door) -> EffectsServer:
    if shared_effects.process.poll() is not None:
        shared_effects.restart()
    house.run(house.api.state.aggregator.refresh())
    return shared_effects


@pytest.fixture
def mail() -> dict[str, Any]:
    """A mail to somebody no other test writes to."""
    return {"to": new_id("msg"), "subject": "Hi", "body": "See you."}


def call(house: Door, tool: str, arguments: Any, **more: Any) -> Answer:
    body = {"arguments": arguments, **more}
    return house.ask("POST", f"{TOOLS}/{tool}/call", house.bearer, body)


def decide(house: Door, approval: dict[str, Any], how: str, **body: Any) -> Answer:
    return house.ask("POST", f"/api/approvals/{approval['id']}/{how}", house.bearer, body)


def ended(house: Door, tool: str, arguments: Any, call_id: str) -> dict[str, Any]:
    """How a call ended that was approved, once it has."""
    deadline_s = time.monotonic() + 20
    while (answer := call(house, tool, arguments, call_id=call_id)).status == 202:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    assert answer.status == 200
    return answer.json


def sent(effects: EffectsServer, mail: dict[str, Any]) -> int:
    return [e.arguments for e in effects.effects("send_message")].count(mail)


def test_the_tools_are_listed_with_what_they_do(house: Door, effects: EffectsServer):
    answer = house.ask("GET", TOOLS, house.bearer)
    tools = {tool["qualified_name"]: tool for tool in answer.json["items"]}
    post = tools["effects__post_update"]
    assert (post["labels"], post["level"], post["effect"]) == (["egress", "write"], 2, "send")
    assert (post["destinations"], post["undoable"], post["available"]) == (["channel"], False, True)
    assert set(post["input_schema"]["properties"]) == {"channel", "body", "account"}
    assert tools["effects__move_file"]["undoable"]
    assert tools["toy__echo"]["labels"] == ["egress", "untrusted", "write"]
    assert [tools[f"toy__{name}"]["enabled"] for name in ("echo", "big")] == [True, False]
    assert not any(tool["held_back"] for tool in tools.values())


def test_a_call_that_needs_nobody_is_answered_at_once(house: Door, effects: EffectsServer):
    answer = call(house, "effects__read_note", {"item_id": "7"})
    assert answer.status == 200
    assert answer.json["call_id"].startswith("call_")
    assert answer.json | {"call_id": "", "text": ""} == {
        "call_id": "",
        "text": "",
        "status": "done",
        "structured": {"text": "note 7"},
        "error": None,
        "error_code": None,
        "undoable": False,
        "attachments": [],
    }


def test_a_call_that_asks_waits_and_runs_once(
    house: Door, effects: EffectsServer, mail: dict[str, Any]
):
    call_id = mail["to"]
    waiting = call(house, "effects__send_message", mail, call_id=call_id)
    assert (waiting.status, waiting.json["status"]) == (202, "waiting")
    approval = waiting.json["approval"]
    assert (approval["state"], approval["arguments"], approval["origin"]) == (
        "pending",
        mail,
        "api",
    )
    assert sent(effects, mail) == 0
    for _ in range(2):
        assert decide(house, approval, "approve").status == 200
    assert ended(house, "effects__send_message", mail, call_id)["status"] == "done"
    assert sent(effects, mail) == 1


def test_a_denied_call_is_told_so(house: Door, effects: EffectsServer, mail: dict[str, Any]):
    waiting = call(house, "effects__send_message", mail, call_id=mail["to"])
    assert decide(house, waiting.json["approval"], "deny", reason="Not to her.").status == 200
    answer = call(house, "effects__send_message", mail, call_id=mail["to"])
    assert (answer.status, answer.json["status"]) == (200, "denied")
    assert "Not to her." in answer.json["error"]
    assert sent(effects, mail) == 0


def test_an_error_of_the_tool_is_an_answer(house: Door, effects: EffectsServer):
    answer = call(house, "effects__fail_label", {"item_id": "1", "how": "refused"})
    assert (answer.status, answer.json["status"]) == (200, "failed")
    assert answer.json["error"] == "There is no item '1'."


def test_a_call_id_with_other_arguments_is_a_conflict(
    house: Door, effects: EffectsServer, mail: dict[str, Any]
):
    assert call(house, "effects__send_message", mail, call_id=mail["to"]).status == 202
    other = call(house, "effects__send_message", mail | {"body": "x"}, call_id=mail["to"])
    assert (other.status, other.json["code"]) == (409, "conflict")


@pytest.mark.parametrize("tool", ["effects__launch", "nobody__echo", "toy__big", "x"])
def test_a_tool_that_cannot_be_called_is_not_found(house: Door, tool: str):
    answer = call(house, tool, {})
    assert (answer.status, answer.json["code"]) == (404, "tool_not_found")


def test_a_server_that_is_away_is_a_503(house: Door, effects: EffectsServer):
    effects.kill()
    answer = call(house, "effects__add_label", {"item_id": "1", "label": "red"})
    assert (answer.status, answer.json["code"]) == (503, "server_unavailable")
    assert answer.json["retryable"]
    tools = house.ask("GET", TOOLS, house.bearer).json["items"]
    assert {tool["available"] for tool in tools if tool["server"] == "effects"} == {False}


@pytest.mark.parametrize(
    "body",
    [
        {"arguments": []},
        {"arguments": {"a": "\ud800"}},
        {"arguments": {}, "call_id": ""},
        {"arguments": {}, "call_id": "a b"},
        {"arguments": {}, "surely": True},
    ],
)
def test_a_body_that_is_no_call_is_refused(house: Door, body: Any):
    answer = house.ask("POST", f"{TOOLS}/effects__read_note/call", house.bearer, body)
    assert answer.status == 422


def test_the_token_of_a_server_calls_nothing(house: Door, effects: EffectsServer):
    token = token_of(house, "effects")
    listed = house.ask("GET", TOOLS, token)
    called = house.ask("POST", f"{TOOLS}/effects__read_note/call", token, {"arguments": {}})
    assert (listed.status, called.status) == (403, 403)
