"""The list of servers over HTTP: how each stands, and changes that take effect at once."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.store import audit
from tests.fakes.effects import EffectsServer, running_effects
from tests.fakes.mcp_servers import ServerProcess, closed_port, toy_server
from tests.orchestrator.api.doorway import Answer, Door
from tests.orchestrator.api.house import owner_of, token_of, whole_house

SERVERS = "/api/mcp/servers"
LIMIT_S = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    (folder / "data").mkdir()
    return folder


@pytest.fixture(scope="module")
def effects(folder: Path) -> Iterator[EffectsServer]:
    with running_effects(folder / "data") as server:
        yield server


@pytest.fixture(scope="module")
def toy(folder: Path) -> Iterator[ServerProcess]:
    with toy_server(folder / "notes.txt", "--token", "right", "--with-greet") as server:
        yield server


@pytest.fixture(scope="module")
def house(folder: Path, monkeypatch_module: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch_module.setenv("TOY_TOKEN", "right")
    with whole_house(folder, vault_key_file=folder / "vault.key") as door:
        yield door


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture
def listed(house: Door, effects: EffectsServer, toy: ServerProcess) -> list[dict[str, Any]]:
    """Both servers, configured as they are at the start of each test, and ready."""
    bodies = [
        {"id": "effects", "url": effects.url, "token_file": "tokens/effects", "trust": "fleet"},
        {"id": "toy", "title": "The toy", "url": toy.url, "token_env": "TOY_TOKEN"},
    ]
    assert put(house, bodies).status == 200
    assert until(house, "toy", "ready")["last_error"] is None
    until(house, "effects", "ready")
    return bodies


def ask(house: Door, method: str, path: str = "", body: Any = None) -> Answer:
    return house.ask(method, f"{SERVERS}{path}", house.bearer, body)


def put(house: Door, servers: list[dict[str, Any]]) -> Answer:
    return ask(house, "PUT", "", {"servers": servers})


def entries(house: Door) -> dict[str, dict[str, Any]]:
    return {entry["id"]: entry for entry in ask(house, "GET").json["items"]}


def until(house: Door, server: str, state: str) -> dict[str, Any]:
    """Return the entry of a server once it has that state."""
    deadline_s = time.monotonic() + LIMIT_S
    while (entry := entries(house)[server])["state"] != state:
        assert time.monotonic() < deadline_s, entry
        time.sleep(0.02)
    return entry


def call(house: Door, tool: str, arguments: Any) -> Answer:
    return house.ask("POST", f"/api/mcp/tools/{tool}/call", house.bearer, {"arguments": arguments})


def audited(house: Door, action: str) -> list[dict[str, Any]]:
    rows = house.run(house.api.state.database.read(audit.page, owner_of(house), None, 100))
    return [dict(row) for row in rows if row["action"] == action]


def document(house: Door) -> Any:
    return json.loads((house.data_dir / "mcp_servers.json").read_text())


@pytest.mark.usefixtures("listed")
def test_a_server_is_shown_with_all_that_is_known_of_it(house: Door, effects: EffectsServer):
    call(house, "effects__read_note", {"item_id": "7"})
    entry = entries(house)["effects"]
    assert entry["latency_ms"]["calls"] >= 1
    assert 0 < entry["latency_ms"]["p50"] <= entry["latency_ms"]["p95"]
    assert entry["tools_on"] == entry["tools_total"] == entry["tool_count"] > 5
    assert entry["schema_bytes"] / 4 <= entry["schema_tokens"] <= entry["schema_bytes"] / 4 + 1
    assert (entry["sign_in"], entry["token_source"]) == ("signed_in", "file")
    assert entries(house)["toy"]["token_source"] == "env TOY_TOKEN"
    assert effects.token not in ask(house, "GET").body.decode()


@pytest.mark.usefixtures("listed")
def test_the_memory_of_a_server_on_this_machine_is_shown(house: Door, effects: EffectsServer):
    deadline_s = time.monotonic() + LIMIT_S
    while (pss := entries(house)["effects"]["pss_bytes"]) is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    rollup = Path(f"/proc/{effects.process.pid}/smaps_rollup").read_text()
    (now,) = (int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    assert pss == pytest.approx(now * 1024, rel=0.3)
    assert entries(house)["toy"]["pss_bytes"] is None


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("slash", ["", "/"])
def test_the_collection_answers_with_and_without_a_slash(
    house: Door, listed: list[dict[str, Any]], slash: str
):
    assert ask(house, "GET", slash).status == 200
    assert ask(house, "PUT", slash, {"servers": listed}).status == 200


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "ftp://toy.example/mcp"}, "url"),
        ({"url": "http://user:pass@toy.example/mcp"}, "url"),
        ({"url": "http://localhost:1/mcp"}, "url"),
        ({"url": "http://192.168.1.20/mcp"}, "url"),
        ({"url": "http://169.254.169.254/latest"}, "url"),
        ({"url": "http://0x7f.1/mcp"}, "url"),
        ({"url": "http://[::ffff:10.0.0.1]/mcp"}, "url"),
        ({"url": "http://printer.local/mcp"}, "url"),
        ({"command": "rm"}, "command"),
        ({"id": "a__b"}, "id"),
        ({"call_timeout_s": 0}, "call_timeout_s"),
        ({"token_file": "tokens/cli"}, "token_file"),
        ({"trust": "fleet", "token_file": "tokens/cli"}, "token_file"),
        ({"token_env": "OPENROUTER_API_KEY"}, "token_env"),
        ({"token_env": "FLOTILLA_SERVER_TOKEN"}, "token_env"),
        ({"token_env": "A", "token_secret": "b"}, "token_secret"),
        ({"token_secret": "mcp.other"}, "token_secret"),
        ({"token": "two words"}, "token"),
        ({"url": "http://toy.example/mcp", "token": "seen-by-all"}, "url"),
        ({"disabled_tools": ["x"] * 1001}, "disabled_tools"),
    ],
)
def test_what_may_not_be_is_refused_by_name_and_nothing_changes(
    house: Door, listed: list[dict[str, Any]], changes: dict[str, Any], field: str
):
    before = document(house)
    bad = {"id": "bad", "url": "https://toy.example/mcp"} | changes
    answer = put(house, [listed[0], bad])
    assert (answer.status, answer.json["code"]) == (422, "invalid_request")
    assert [problem["field"] for problem in answer.json["errors"]] == [f"servers.1.{field}"]
    assert document(house) == before
    assert set(entries(house)) == {"effects", "toy"}


def test_a_token_is_not_taken_along_to_another_place(house: Door, toy: ServerProcess):
    body = {"id": "toy", "url": toy.url, "token": "right"}
    assert put(house, [body]).status == 200
    until(house, "toy", "ready")
    elsewhere = {"url": "https://elsewhere.example/mcp", "enabled": False}
    in_list = {"id": "toy", **elsewhere, "token_secret": "mcp.toy"}
    for answer in (
        ask(house, "PATCH", "/toy", elsewhere),
        ask(house, "PATCH", "/toy", elsewhere | {"token_secret": "mcp.toy"}),
        put(house, [in_list]),
    ):
        assert answer.status == 422
        assert [problem["field"].split(".")[-1] for problem in answer.json["errors"]] == ["url"]
        assert "`token`" in answer.json["detail"]
    assert ask(house, "PATCH", "/toy", elsewhere | {"token": "for-elsewhere"}).status == 200
    back = {"url": toy.url, "token_secret": None, "enabled": True}
    assert ask(house, "PATCH", "/toy", back).status == 200


@pytest.mark.usefixtures("listed")
def test_the_token_of_a_server_is_no_key_of_a_model(house: Door):
    body = {"base_url": "https://models.example/v1", "api_key_env": "TOY_TOKEN"}
    answer = house.ask("PUT", "/api/settings/endpoints/models", house.bearer, body)
    assert answer.status == 422
    assert answer.json["detail"] == "api_key_env: is the token of the server toy"


def test_a_token_that_came_with_a_change_that_fails_is_not_kept(house: Door, toy: ServerProcess):
    assert put(house, [{"id": "toy", "url": toy.url, "token": "right"}]).status == 200
    backup = house.data_dir / "mcp_servers.json.bak"
    backup.unlink()
    backup.mkdir()
    before, new = document(house), {"id": "new", "url": toy.url, "token": "other"}
    answers = [
        ask(house, "PATCH", "/toy", {"title": "No", "token": "wrong"}),
        put(house, [{"id": "toy", "url": toy.url, "token": "wrong"}, new]),
    ]
    backup.rmdir()
    assert [answer.status for answer in answers] == [507, 507]
    assert document(house) == before
    vault = house.api.state.vault
    assert (vault.secret("mcp.toy"), vault.secret("mcp.new")) == ("right", None)


def test_an_id_that_occurs_twice_is_a_conflict(house: Door, listed: list[dict[str, Any]]):
    answer = put(house, [*listed, listed[0]])
    assert (answer.status, answer.json["code"]) == (409, "conflict")
    assert "servers.2.id" in answer.json["detail"]
    assert set(entries(house)) == {"effects", "toy"}


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("changes", "field"),
    [({"url": "http://10.0.0.1/mcp"}, "url"), ({"title": None}, "title"), ({"id": "x"}, "id")],
)
def test_a_change_that_may_not_be_is_refused_by_name(
    house: Door, changes: dict[str, Any], field: str
):
    answer = ask(house, "PATCH", "/toy", changes)
    assert answer.status == 422
    assert [problem["field"] for problem in answer.json["errors"]] == [field]


@pytest.mark.usefixtures("listed")
def test_a_server_is_switched_off_and_on(house: Door):
    assert ask(house, "PATCH", "/effects", {"enabled": False}).json["state"] == "disabled"
    assert call(house, "effects__read_note", {"item_id": "7"}).status == 503
    assert ask(house, "PATCH", "/effects", {"enabled": True}).status == 200
    until(house, "effects", "ready")
    assert call(house, "effects__read_note", {"item_id": "7"}).status == 200
    fields = [row["details"]["fields"] for row in audited(house, "server_changed")]
    assert fields[:2] == [["enabled"], ["enabled"]]
    assert audited(house, "server_changed")[0]["actor"].startswith("token:")


@pytest.mark.usefixtures("listed")
def test_a_tool_is_switched_off_and_on(house: Door):
    path = "/effects/tools/read_note"
    before = entries(house)["effects"]
    off = ask(house, "PUT", path, {"enabled": False}).json
    assert off["disabled_tools"] == ["read_note"]
    assert (off["tools_on"], off["tools_total"]) == (before["tools_on"] - 1, before["tools_total"])
    assert off["schema_bytes"] < before["schema_bytes"]
    assert call(house, "effects__read_note", {"item_id": "7"}).json["code"] == "tool_not_found"
    tools = {tool["name"]: tool for tool in ask(house, "GET", "/effects").json["tools"]}
    assert [tools[name]["enabled"] for name in ("read_note", "send_message")] == [False, True]
    assert (tools["read_note"]["read_only"], tools["read_note"]["labels"]) == (True, ["read"])
    assert ask(house, "PUT", path, {"enabled": True}).json["disabled_tools"] == []
    assert call(house, "effects__read_note", {"item_id": "7"}).status == 200
    assert ask(house, "PUT", "/effects/tools/nothing", {"enabled": False}).status == 404


@pytest.mark.usefixtures("listed")
def test_a_token_that_is_given_is_used_and_never_shown(house: Door, folder: Path):
    assert ask(house, "PATCH", "/toy", {"token_env": None}).status == 200
    assert until(house, "toy", "needs_sign_in")["sign_in"] == "needs_sign_in"
    answer = ask(house, "PATCH", "/toy", {"token": "right"})
    assert answer.json["token_source"] == "secret mcp.toy"
    assert until(house, "toy", "ready")["sign_in"] == "signed_in"
    assert document(house)["servers"][1]["token_secret"] == "mcp.toy"
    assert "right" not in (folder / "data" / "mcp_servers.json").read_text()
    assert ask(house, "DELETE", "/toy").status == 204
    secrets = house.ask("GET", "/api/secrets", house.bearer).json["items"]
    assert "mcp.toy" not in [secret["name"] for secret in secrets]


def test_a_server_that_goes_takes_its_token_with_it(house: Door, listed: list[dict[str, Any]]):
    token = token_of(house, "effects")
    assert house.ask("GET", "/api/approvals/appr_unknown", token).status == 404
    assert ask(house, "DELETE", "/effects").status == 204
    assert house.ask("GET", "/api/approvals/appr_unknown", token).status == 401
    assert not (house.data_dir / "tokens" / "effects.api").exists()
    assert document(house)["known_fleet"] == ["effects"]
    assert audited(house, "server_removed")[0]["subject"] == "effects"
    assert put(house, listed).status == 200
    assert house.ask("GET", "/api/approvals/appr_unknown", token).status == 401
    assert audited(house, "server_added")[0]["details"] == {
        "host": "127.0.0.1",
        "enabled": True,
        "trust": "fleet",
        "disabled_tools": [],
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nobody"),
        ("PATCH", "/nobody"),
        ("DELETE", "/nobody"),
        ("GET", "/nobody/changes"),
        ("PUT", "/nobody/tools/x"),
        ("POST", "/nobody/changes/x/accept"),
    ],
)
def test_a_server_that_is_not_there_is_not_found(house: Door, method: str, path: str):
    bodies = {"PATCH": {"enabled": True}, "PUT": {"enabled": True}, "POST": {"sha256": "0" * 64}}
    answer = ask(house, method, path, bodies.get(method))
    assert (answer.status, answer.json["code"]) == (404, "not_found")


def test_the_token_of_a_server_changes_nothing(house: Door, listed: list[dict[str, Any]]):
    token = token_of(house, "effects")
    answers = [
        house.ask("GET", SERVERS, token),
        house.ask("PUT", SERVERS, token, {"servers": []}),
        house.ask("PATCH", f"{SERVERS}/toy", token, {"trust": "fleet"}),
        house.ask("POST", f"{SERVERS}/refresh", token),
    ]
    assert [answer.status for answer in answers] == [403] * 4


def test_a_refresh_answers_when_each_server_did(house: Door, listed: list[dict[str, Any]]):
    dead = {"id": "dead", "url": f"http://127.0.0.1:{closed_port()}/mcp"}
    assert put(house, [*listed, dead]).status == 200
    states = {entry["id"]: entry["state"] for entry in ask(house, "POST", "/refresh").json["items"]}
    assert states == {"effects": "ready", "toy": "ready", "dead": "unavailable"}
    assert entries(house)["dead"]["last_error"] == "could not connect (ConnectError)"


def test_an_edit_by_hand_is_followed_and_a_corrupt_one_is_told(
    house: Door, listed: list[dict[str, Any]]
):
    path = house.data_dir / "mcp_servers.json"
    good = path.read_text()
    path.write_text(good.replace("The toy", "My toy"))
    deadline_s = time.monotonic() + LIMIT_S
    while entries(house)["toy"]["title"] != "My toy":
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert audited(house, "server_changed")[0]["actor"] == "settings"
    path.write_text("{")
    while not (problems := ask(house, "GET").json["problems"]):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert problems[0].startswith("mcp_servers.json was not taken over")
    assert entries(house)["toy"]["title"] == "My toy"
