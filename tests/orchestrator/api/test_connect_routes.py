"""Other MCP clients get their configuration, and tokens that are made once and can be ended."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.store import audit
from orchestrator.store.client_tokens import TOKEN_TEXT
from tests.orchestrator.api.doorway import Answer, Door
from tests.orchestrator.api.house import owner_of, token_of, whole_house

CONNECT = "/api/mcp/connect"
CONNECTIONS = "/api/mcp/connections"
URL = "http://127.0.0.1:9/mcp"
SERVERS = [
    {"id": "calculator", "url": URL, "trust": "fleet", "enabled": False},
    {"id": "notes", "url": URL, "trust": "fleet"},
    {"id": "foreign", "url": URL, "trust": "third_party"},
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with whole_house(tmp_path_factory.mktemp("house"), SERVERS) as door:
        yield door


def ask(house: Door, method: str, path: str, body: Any = None) -> Answer:
    return house.ask(method, path, house.bearer, body)


def ids(house: Door) -> set[str]:
    return {item["id"] for item in ask(house, "GET", CONNECTIONS).json["items"]}


@pytest.mark.parametrize("client", ["claude-desktop", "claude-code", "vscode", "cursor"])
def test_a_snippet_that_is_only_looked_at_holds_no_token(house: Door, client: str) -> None:
    before = ids(house)
    answer = ask(house, "GET", f"{CONNECT}/{client}?server=calculator&scope=full")

    assert answer.status == 200
    (entries,) = answer.json["config"].values()
    text = json.dumps(entries["flotilla-calculator"])
    assert URL in text
    assert "Bearer TOKEN" in text
    assert ids(house) == before


def test_without_a_server_the_snippet_is_for_all_that_are_switched_on(house: Door) -> None:
    config = ask(house, "GET", f"{CONNECT}/cursor").json["config"]

    assert list(config["mcpServers"]) == ["flotilla-notes"]


def test_the_same_snippet_comes_once_with_tokens(house: Door) -> None:
    body = {"servers": ["calculator", "notes"], "scope": "full"}
    made = ask(house, "POST", f"{CONNECT}/claude-code", body)
    shown = ask(house, "GET", f"{CONNECT}/claude-code?server=calculator&server=notes&scope=full")

    assert made.status == 201
    assert made.headers["cache-control"] == "no-store"
    texts = TOKEN_TEXT.findall(made.body.decode())
    assert len(set(texts)) == 2
    looked = TOKEN_TEXT.sub("TOKEN", json.dumps(made.json["config"]))
    assert looked == json.dumps(shown.json["config"])
    connections = made.json["connections"]
    assert [(one["server"], one["scope"]) for one in connections] == [
        ("calculator", "full"),
        ("notes", "full"),
    ]
    assert {one["id"] for one in connections} <= ids(house)
    listed = ask(house, "GET", CONNECTIONS).body.decode()
    assert not any(text in listed for text in texts)


def test_a_connection_can_be_ended_once(house: Door) -> None:
    made = ask(house, "POST", f"{CONNECT}/cursor", {"servers": ["notes"]})
    (connection,) = made.json["connections"]
    assert connection["scope"] == "read"
    path = f"{CONNECTIONS}/{connection['id']}"

    assert ask(house, "DELETE", path).status == 204
    assert connection["id"] not in ids(house)
    assert ask(house, "DELETE", path).status == 404
    owner = owner_of(house)
    rows = house.run(house.api.state.database.read(audit.page, owner, None, 2))
    assert [(row["action"], row["subject"]) for row in rows] == [
        ("client_disconnected", connection["id"]),
        ("client_connected", connection["id"]),
    ]
    assert {row["actor"].partition(":")[0] for row in rows} == {"token"}


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("cursor", {"servers": ["gone"]}, 404, "not_found"),
        ("cursor", {"servers": ["notes", "foreign"]}, 409, "conflict"),
        ("cursor", {"servers": []}, 422, "invalid_request"),
        ("cursor", {"servers": ["notes"], "scope": "owner"}, 422, "invalid_request"),
        ("cursor", {"servers": ["notes"], "more": 1}, 422, "invalid_request"),
        ("emacs", {"servers": ["notes"]}, 422, "invalid_request"),
    ],
)
def test_what_cannot_be_connected_makes_no_token(
    house: Door, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    before = ids(house)
    answer = ask(house, "POST", f"{CONNECT}/{path}", body)

    assert (answer.status, answer.json["code"]) == (status, code)
    assert ids(house) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{CONNECT}/cursor"),
        ("POST", f"{CONNECT}/cursor"),
        ("GET", CONNECTIONS),
        ("DELETE", f"{CONNECTIONS}/ctok_1"),
    ],
)
def test_only_the_owner_connects(house: Door, method: str, path: str) -> None:
    body = {"servers": ["notes"]} if method == "POST" else None

    assert house.ask(method, path, token_of(house, "notes"), body).status == 403
    assert house.ask(method, path, None, body).status == 401


def test_the_list_answers_with_and_without_a_slash(house: Door) -> None:
    assert ask(house, "GET", f"{CONNECTIONS}/").json == ask(house, "GET", CONNECTIONS).json


def test_a_broken_file_of_tokens_is_said_and_left_alone(house: Door) -> None:
    path: Path = house.data_dir / "tokens" / "broken.clients.json"
    path.write_text("{")
    try:
        answer = ask(house, "GET", CONNECTIONS)
        assert (answer.status, "broken.clients.json" in answer.json["detail"]) == (409, True)
        assert path.read_text() == "{"
    finally:
        path.unlink()
