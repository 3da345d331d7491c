"""What `flotilla connect` prints for Claude Desktop, run as printed by a program of others."""

import asyncio
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from orchestrator.domain.client_configs import MCP_REMOTE
from orchestrator.store.client_tokens import TOKEN_TEXT
from tests.fakes.effects import EffectsServer, running_effects
from tests.fakes.effects_server import MANIFEST
from tests.fakes.npm_registry import npm_registry
from tests.node.programs import FOLDER, npx_folder, run_program
from tests.servers.kit.process import running_server
from tests.servers.kit.raw import raw_request

pytestmark = pytest.mark.node

REVOKED_WITHIN_S = 1.0


@dataclass
class Desk:
    """A data folder with one server in its document, and a user who connects clients to it."""

    folder: Path
    server: str
    more: dict[str, str] = field(default_factory=dict[str, str])

    def flotilla(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "orchestrator", *arguments],
            env={**os.environ, "FLOTILLA_DATA_DIR": str(self.folder), **self.more},
            capture_output=True,
            text=True,
            check=True,
        )

    def connect(self, *arguments: str) -> dict[str, Any]:
        done = self.flotilla("connect", "claude-desktop", "--server", self.server, *arguments)
        return json.loads(done.stdout)

    def client(self, config: dict[str, Any]) -> Client[StdioTransport]:
        """A client that starts what `config` says."""
        entry = config["mcpServers"][f"flotilla-{self.server}"]
        return Client(
            StdioTransport(
                entry["command"],
                entry["args"],
                env={**os.environ, **self.more, **entry["env"], "npm_config_offline": "true"},
                cwd=str(FOLDER),
                keep_alive=False,
            )
        )

    def inspect(self, config: dict[str, Any], *arguments: str) -> Any:
        """What the Inspector gets from the server that `config` describes."""
        file = self.folder / "claude_desktop_config.json"
        file.write_text(json.dumps(config))
        done = run_program(
            "@modelcontextprotocol/inspector",
            *("--cli", "--config", str(file), "--server", f"flotilla-{self.server}"),
            *("--format", "json", *arguments),
            home=self.folder,
            # There npx finds the very version that the configuration names, without a network.
            cwd=FOLDER,
            environment={"npm_config_offline": "true", **self.more},
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["result"]


def desk(folder: Path, server: str, url: str) -> Desk:
    document = {"version": 1, "servers": [{"id": server, "url": url, "trust": "fleet"}]}
    (folder / "mcp_servers.json").write_text(json.dumps(document))
    path = f"{npx_folder(folder / 'bin')}{os.pathsep}{os.environ['PATH']}"
    return Desk(folder, server, {"PATH": path})


@pytest.fixture(scope="module")
def calculator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("calculator")
    with running_server("calculator", folder) as server:
        yield desk(folder, "calculator", server.url)


@pytest.fixture(scope="module")
def effects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EffectsServer]:
    with running_effects(tmp_path_factory.mktemp("effects")) as server:
        yield server


@pytest.fixture(scope="module")
def effects_desk(effects: EffectsServer) -> Desk:
    return desk(effects.data_dir, effects.name, effects.url)


@pytest.mark.parametrize("way", [(), ("--stdio",)], ids=["mcp-remote", "stdio"])
async def test_the_printed_configuration_lists_and_calls(
    calculator: Desk, way: tuple[str, ...]
) -> None:
    config = calculator.connect(*way)

    async with calculator.client(config) as client:
        assert "evaluate" in {tool.name for tool in await client.list_tools()}
    called = await asyncio.to_thread(
        calculator.inspect,
        config,
        *("--method", "tools/call", "--tool-name", "evaluate"),
        *("--tool-args-json", '{"expression": "17% * 2340"}'),
    )
    assert "397.8" in json.dumps(called["structuredContent"])


async def test_the_server_itself_keeps_a_reader_behind_the_bridge_from_writing(
    effects: EffectsServer, effects_desk: Desk
) -> None:
    async with effects_desk.client(effects_desk.connect()) as client:
        listed = {tool.name for tool in await client.list_tools()}
        assert listed == {name for name, tool in MANIFEST.tools.items() if tool.is_read_only}
        refused = await client.call_tool_mcp("add_label", {"item_id": "one", "label": "x"})
    assert refused.structured_content is not None
    assert refused.structured_content["error"]["code"] == "read_only_token"
    assert effects.effects() == []


def test_a_disconnected_client_is_refused_within_a_second(
    effects: EffectsServer, effects_desk: Desk
) -> None:
    done = effects_desk.flotilla("connect", "cursor", "--server", "effects", "--scope", "full")
    (token,) = TOKEN_TEXT.findall(done.stdout)
    (token_id,) = [word.strip("`") for word in done.stderr.split() if word.startswith("ctok_")]
    request = raw_request("tools/list", headers={"Authorization": f"Bearer {token}"})
    with httpx2.Client(trust_env=False) as http:
        assert http.post(effects.url, **request).status_code == 200
        effects_desk.flotilla("disconnect", token_id)
        revoked_at = time.monotonic()
        while http.post(effects.url, **request).status_code == 200:
            assert time.monotonic() - revoked_at < REVOKED_WITHIN_S
        assert http.post(effects.url, **request).status_code == 401


async def test_an_extension_is_what_its_schema_says_holds_no_token_and_works(
    calculator: Desk, tmp_path: Path
) -> None:
    bundle, content = tmp_path / "calculator.mcpb", tmp_path / "content"
    command = ("connect", "claude-desktop", "--server", "calculator", "--bundle", str(bundle))
    with npm_registry(FOLDER / "node_modules") as registry:
        npm = {"npm_config_registry": registry, "npm_config_cache": str(tmp_path / "npm")}
        made = replace(calculator, more={**calculator.more, **npm}).flotilla(*command)
    token = made.stdout.strip()

    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(content)
    assert TOKEN_TEXT.fullmatch(token)
    assert not [file for file in content.rglob("*.json") if token in file.read_text("utf-8")]
    validated = run_program(
        "@anthropic-ai/mcpb", "validate", str(content / "manifest.json"), home=tmp_path
    )
    assert validated.returncode == 0, validated.stdout + validated.stderr
    entry = installed_as(content, token)
    async with calculator.client({"mcpServers": {"flotilla-calculator": entry}}) as client:
        called = await client.call_tool("evaluate", {"expression": "6 * 7"})
    assert "42" in json.dumps(called.structured_content)


def installed_as(content: Path, token: str) -> dict[str, Any]:
    """What Claude Desktop starts once its user has given the token."""
    manifest = json.loads((content / "manifest.json").read_text("utf-8"))
    text = json.dumps(manifest["server"]["mcp_config"])
    values = {
        "${__dirname}": str(content),
        "${user_config.url}": manifest["user_config"]["url"]["default"],
        "${user_config.token}": token,
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return json.loads(text)


def test_the_bridge_that_is_tested_is_the_one_that_is_named() -> None:
    pinned = json.loads((FOLDER / "package.json").read_text())["dependencies"]["mcp-remote"]

    assert f"mcp-remote@{pinned}" == MCP_REMOTE
