"""`flotilla connect` prints or installs what other MCP clients need; nothing of ours runs."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.connect_files import config_file
from orchestrator.store.client_tokens import TOKEN_TEXT, ClientTokens
from tests.orchestrator.cli.conftest import Terminal

URL = "http://127.0.0.1:9101/mcp"
PATHS = {
    "claude-desktop": "home/.config/Claude/claude_desktop_config.json",
    "cursor": "home/.cursor/mcp.json",
    "vscode": ".vscode/mcp.json",
    "claude-code": ".mcp.json",
}


@pytest.fixture
def place(terminal: Terminal) -> Terminal:
    """A terminal of a user whose only server in the document is the calculator."""
    terminal.extra |= {"HOME": str(terminal.folder / "home"), "XDG_CONFIG_HOME": ""}
    calculator = {"id": "calculator", "url": URL, "trust": "fleet"}
    foreign = {"id": "foreign", "url": "https://mcp.example.org/", "trust": "third_party"}
    document = {"version": 1, "servers": [calculator, foreign]}
    (terminal.folder / "data").mkdir()
    (terminal.folder / "data" / "mcp_servers.json").write_text(json.dumps(document))
    return terminal


def in_force(place: Terminal) -> list[tuple[str, str, str]]:
    tokens = ClientTokens(place.folder / "data").all()
    return [(server, token.name, token.scope) for server, token in tokens]


def printed(place: Terminal, *arguments: str) -> Any:
    done = place.run("connect", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("client", "key", "entry"),
    [
        ("claude-code", "mcpServers", {"type": "http", "url": URL}),
        ("vscode", "servers", {"type": "http", "url": URL}),
        ("cursor", "mcpServers", {"url": URL}),
    ],
)
def test_clients_that_speak_http_get_the_address_and_a_header(
    place: Terminal, client: str, key: str, entry: dict[str, str]
) -> None:
    config = printed(place, client, "--server", "calculator", "--scope", "full")

    (token,) = TOKEN_TEXT.findall(json.dumps(config))
    headers = {"Authorization": f"Bearer {token}"}
    assert config == {key: {"flotilla-calculator": {**entry, "headers": headers}}}
    assert [(server, scope) for server, _, scope in in_force(place)] == [("calculator", "full")]


def test_claude_desktop_gets_a_bridge_without_a_space_in_its_arguments(place: Terminal) -> None:
    entry = printed(place, "claude-desktop", "--all")["mcpServers"]["flotilla-calculator"]

    assert entry["command"] == "npx"
    assert not [word for word in entry["args"] if " " in word or "flc_" in word]
    assert TOKEN_TEXT.fullmatch(entry["env"]["AUTH_HEADER"].removeprefix("Bearer "))
    assert in_force(place) == [("calculator", "Claude Desktop", "read")]


@pytest.mark.parametrize("scope", ["read", "full"])
def test_a_server_that_the_client_starts_needs_no_token(place: Terminal, scope: str) -> None:
    config = printed(place, "vscode", "--server", "calculator", "--stdio", "--scope", scope)

    entry = config["servers"]["flotilla-calculator"]
    assert entry["command"] == sys.executable
    assert ("--read-only" in entry["args"]) == (scope == "read")
    assert entry["env"]["FLOTILLA_DATA_DIR"] == str(place.folder / "data")
    assert in_force(place) == []


def test_a_server_that_was_never_started_is_known_all_the_same(place: Terminal) -> None:
    (place.folder / "data" / "mcp_servers.json").unlink()

    config = printed(place, "cursor", "--server", "housekeeping")
    assert config["mcpServers"]["flotilla-housekeeping"]["url"].endswith(":9102/mcp")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["cursor"], "--server NAME, or --all"),
        (["cursor", "--server", "gone"], "There is no server 'gone'. There are: calculator"),
        (["cursor", "--server", "foreign"], "not ours to connect"),
        (["cursor", "--server", "calculator", "--bundle", "x.mcpb"], "--bundle is for claude"),
    ],
)
def test_what_cannot_be_done_is_said_and_makes_no_token(
    place: Terminal, arguments: list[str], complaint: str
) -> None:
    done = place.run("connect", *arguments)

    assert (done.returncode, done.stdout) == (1, "")
    assert complaint in done.stderr
    assert in_force(place) == []


@pytest.mark.parametrize("client", PATHS)
def test_writing_keeps_all_else_and_tells_no_token(place: Terminal, client: str) -> None:
    path = place.folder / PATHS[client]
    path.parent.mkdir(parents=True, exist_ok=True)
    key = "servers" if client == "vscode" else "mcpServers"
    before = {"zoom": 1.5, key: {"mine": {"command": "näh"}}, "more": [1, {"a": None}]}
    path.write_text(json.dumps(before), encoding="utf-8")

    done = place.run("connect", client, "--server", "calculator", "--write")

    assert done.returncode == 0, done.stderr
    after = json.loads(path.read_text(encoding="utf-8"))
    entry = after[key].pop("flotilla-calculator")
    assert after == before
    assert list(after) == list(before)
    (token,) = TOKEN_TEXT.findall(json.dumps(entry))
    assert token not in done.stdout + done.stderr
    assert json.loads(path.with_name(path.name + ".bak").read_text(encoding="utf-8")) == before
    assert path.stat().st_mode & 0o777 == 0o600
    left = {file.name for file in path.parent.iterdir() if file.is_file()}
    assert left == {path.name, f"{path.name}.bak"}


def test_writing_again_ends_the_token_that_was_there(place: Terminal) -> None:
    command = ("connect", "cursor", "--server", "calculator", "--write")
    assert place.run(*command).returncode == 0
    ((_, first),) = ClientTokens(place.folder / "data").all()

    again = place.run(*command, "--scope", "full")

    assert "revoked" in again.stdout
    ((_, second),) = ClientTokens(place.folder / "data").all()
    assert (second.scope, second.id == first.id) == ("full", False)
    path = place.folder / PATHS["cursor"]
    (text,) = TOKEN_TEXT.findall(path.read_text())
    assert ClientTokens(place.folder / "data").revoke_text(text)


@pytest.mark.parametrize("text", ['{// mine\n"servers": {}}', "[]", '{"servers": []}', "{"])
def test_a_file_that_cannot_be_understood_stays_as_it_is(place: Terminal, text: str) -> None:
    path = place.folder / PATHS["vscode"]
    path.parent.mkdir()
    path.write_text(text)

    done = place.run("connect", "vscode", "--server", "calculator", "--write")

    assert done.returncode == 1
    assert (str(path) in done.stderr, "flc_" in done.stderr) == (True, False)
    assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]
    assert in_force(place) == []


def test_a_file_that_is_nested_beyond_reason_or_no_file_stays_as_it_is(place: Terminal) -> None:
    path = place.folder / PATHS["vscode"]
    path.parent.mkdir()
    path.write_text("[" * 200_000)
    done = place.run("connect", "vscode", "--server", "calculator", "--write")
    assert (done.returncode, "put in by hand" in done.stderr) == (1, True), done.stderr
    path.unlink()
    os.mkfifo(path)
    done = place.run("connect", "vscode", "--server", "calculator", "--write")
    assert (done.returncode, "is no file" in done.stderr) == (1, True), done.stderr
    assert in_force(place) == []


def test_half_characters_in_a_file_of_others_stay(place: Terminal) -> None:
    path = place.folder / PATHS["vscode"]
    path.parent.mkdir()
    path.write_text('{"theirs": "\\ud800"}')
    assert place.run("connect", "vscode", "--server", "calculator", "--write").returncode == 0
    assert json.loads(path.read_bytes())["theirs"] == "\ud800"


def test_a_link_to_a_file_elsewhere_stays_a_link(place: Terminal) -> None:
    target = place.folder / "dotfiles.json"
    target.write_text("{}")
    path = place.folder / PATHS["claude-code"]
    path.symlink_to(target)

    assert place.run("connect", "claude-code", "--all", "--write").returncode == 0
    assert path.is_symlink()
    assert "flotilla-calculator" in target.read_text()


def test_connections_are_listed_and_ended(place: Terminal) -> None:
    printed(place, "cursor", "--server", "calculator")
    ((_, token),) = ClientTokens(place.folder / "data").all()

    listed = place.run("connections").stdout
    assert listed.splitlines()[1].split() == [
        token.id, "calculator", "read", "Cursor", token.created_at,
    ]  # fmt: skip
    assert place.run("disconnect", token.id).returncode == 0
    assert in_force(place) == []
    again = place.run("disconnect", token.id)
    assert (again.returncode, "No client has the token" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("platform", "path"),
    [
        ("darwin", "Library/Application Support/Claude/claude_desktop_config.json"),
        ("win32", "roaming/Claude/claude_desktop_config.json"),
        ("linux", ".config/Claude/claude_desktop_config.json"),
    ],
)
def test_each_system_has_its_place_for_claude_desktop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, path: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path / "roaming"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)

    assert config_file("claude-desktop") == tmp_path / path


def test_without_a_network_a_bundle_is_not_made_and_says_why(place: Terminal) -> None:
    place.extra |= {
        "npm_config_registry": "http://127.0.0.1:9/",
        "npm_config_fetch_retries": "0",
        "npm_config_cache": str(place.folder / "npm"),
    }
    bundle = place.folder / "calculator.mcpb"

    done = place.run("connect", "claude-desktop", "--server", "calculator", "--bundle", str(bundle))

    assert done.returncode == 1
    assert "could not be fetched from npm" in done.stderr
    assert "flc_" not in done.stdout + done.stderr
    assert not os.path.lexists(bundle)
    assert in_force(place) == []
