"""What the holder of a client's token can do at a server: over HTTP in both eras, and on stdio."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport

from servers.kit.client_tokens import (
    Scope,
    add_client_token,
    client_tokens_file,
    revoke_client_token,
)
from tests.fakes.effects import EffectsServer, running_effects
from tests.fakes.effects_server import MANIFEST
from tests.processes import ROOT
from tests.servers.kit.raw import raw_request

Era = Literal["auto", "legacy"]
LABEL = {"item_id": "one", "label": "x"}
READING = {name for name, tool in MANIFEST.tools.items() if tool.is_read_only}


@pytest.fixture(scope="module")
def effects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EffectsServer]:
    with running_effects(tmp_path_factory.mktemp("effects")) as server:
        yield server


def tokens_file(server: EffectsServer) -> Path:
    return server.data_dir / client_tokens_file(server.name)


def new_token(server: EffectsServer, scope: Scope, name: str = "Claude Desktop") -> str:
    return add_client_token(tokens_file(server), name=name, scope=scope)[1]


def client(server: EffectsServer, token: str, era: Era) -> Client[Any]:
    return Client(StreamableHttpTransport(server.url, auth=token), mode=era)


def post(server: EffectsServer, token: str, *request: Any, **headers: str) -> httpx2.Response:
    sent = raw_request(*request, headers={"Authorization": f"Bearer {token}", **headers})
    with httpx2.Client(timeout=20, trust_env=False) as http:
        return http.post(server.url, **sent)


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_read_token_sees_and_calls_only_what_reads(
    effects: EffectsServer, era: Era
) -> None:
    before = len(effects.effects())
    async with client(effects, new_token(effects, "read"), era) as reader:
        assert {tool.name for tool in await reader.list_tools()} == READING
        assert (await reader.call_tool("read_note", {"item_id": "one"})).data.text == "note one"
        for name in MANIFEST.tools.keys() - READING:
            refused = await reader.call_tool_mcp(name, LABEL)
            assert refused.is_error
            assert refused.structured_content is not None
            assert refused.structured_content["error"]["code"] == "read_only_token"
    assert len(effects.effects()) == before


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_full_token_is_named_in_the_audit_trail(effects: EffectsServer, era: Era) -> None:
    token, text = add_client_token(tokens_file(effects), name=f"Desk {era}", scope="full")
    async with client(effects, text, era) as writer:
        assert len(await writer.list_tools()) == len(MANIFEST.tools)
        assert not (await writer.call_tool_mcp("add_label", LABEL)).is_error

    with httpx2.Client(trust_env=False) as http:
        headers = {"Authorization": f"Bearer {effects.token}"}
        rows = http.get(f"{effects.origin}/audit?limit=1000", headers=headers).json()["items"]
    assert rows[-1]["client"].endswith(f"(token {token.id}: Desk {era})")


def test_a_read_token_sends_nothing_by_hand_either(effects: EffectsServer) -> None:
    before = len(effects.effects())
    token = new_token(effects, "read")
    answer = post(effects, token, "tools/call", "add_label", LABEL)
    assert answer.json()["result"]["structuredContent"]["error"]["code"] == "read_only_token"
    answer = post(effects, token, "tools/call", "read_note", {"item_id": "two"})
    assert answer.json()["result"]["structuredContent"] == {"text": "note two"}
    assert len(effects.effects()) == before


@pytest.mark.parametrize("path", ["/audit", "/calls/call_1"])
@pytest.mark.parametrize("scope", ["read", "full"])
def test_the_ledger_is_not_for_clients(effects: EffectsServer, path: str, scope: Scope) -> None:
    headers = {"Authorization": f"Bearer {new_token(effects, scope)}"}
    with httpx2.Client(trust_env=False) as http:
        assert http.get(f"{effects.origin}{path}", headers=headers).status_code == 403


def test_a_revoked_token_is_refused_within_a_second(effects: EffectsServer) -> None:
    token, text = add_client_token(tokens_file(effects), name="soon gone", scope="full")
    assert post(effects, text, "tools/list").status_code == 200

    revoke_client_token(tokens_file(effects), token.id)
    revoked_at = time.monotonic()
    while (answer := post(effects, text, "tools/list")).status_code == 200:
        assert time.monotonic() - revoked_at < 1.5  # a second, and the way there and back
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def opened_session(server: EffectsServer, token: str) -> str:
    """The id of a session of the older era that the holder of `token` opened."""
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "by hand", "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    answer = legacy_post(server, token, body)
    assert answer.status_code == 200, answer.text
    return answer.headers["mcp-session-id"]


def legacy_post(
    server: EffectsServer, token: str, body: dict[str, Any], session: str | None = None
) -> httpx2.Response:
    headers = {
        "Accept": "application/json, text/event-stream",
        "Authorization": f"Bearer {token}",
        **({"Mcp-Session-Id": session} if session else {}),
    }
    with httpx2.Client(timeout=20, trust_env=False) as http:
        return http.post(server.url, json=body, headers=headers)


def test_a_session_serves_only_the_token_that_opened_it(effects: EffectsServer) -> None:
    call = {"name": "add_label", "arguments": LABEL}
    body = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}
    reader, writer = new_token(effects, "read"), new_token(effects, "full")
    before = len(effects.effects())
    for opener in (writer, effects.token):
        session = opened_session(effects, opener)
        for other in {reader, writer, effects.token} - {opener}:
            assert legacy_post(effects, other, body, session).status_code == 404
    session = opened_session(effects, reader)
    assert "read_only_token" in legacy_post(effects, reader, body, session).text
    assert len(effects.effects()) == before


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_server_on_stdio_can_be_for_reading_only(
    effects: EffectsServer, era: Era, tmp_path: Path
) -> None:
    done = tmp_path / "effects.txt"
    command = ["-m", "tests.fakes.effects_server", "--effects", str(done), "--stdio", "--read-only"]
    environment = {**os.environ, "FLOTILLA_DATA_DIR": str(tmp_path)}
    transport = StdioTransport(
        sys.executable, command, env=environment, cwd=str(ROOT), keep_alive=False
    )
    async with Client(transport, mode=era) as reader:
        assert {tool.name for tool in await reader.list_tools()} == READING
        refused = await reader.call_tool_mcp("add_label", LABEL)
    assert refused.structured_content is not None
    assert refused.structured_content["error"]["code"] == "read_only_token"
    assert not done.exists()
