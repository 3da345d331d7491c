"""Every server as its owner runs it: a real process, over sockets and over stdio."""

import sys
from pathlib import Path
from typing import Literal

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from servers.kit.manifest import Manifest, load_manifest
from tests.servers.kit.process import ServerProcess
from tests.servers.kit.raw import raw_request


async def post(server: ServerProcess, path: str = "/mcp", **headers: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {server.token}"} | headers
    async with httpx2.AsyncClient(verify=False) as client:
        return await client.post(
            f"{server.origin}{path}", **raw_request("tools/list", headers=headers)
        )


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:1234", 200),
        ("[::1]:9101", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1:p@evil", 421),
        ("[::1].evil", 421),
        ("localhost:99999", 421),
        ("", 421),
    ],
)
async def test_only_requests_to_a_known_host_are_served(
    server_process: ServerProcess, host: str, status: int
) -> None:
    assert (await post(server_process, Host=host)).status_code == status


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1:p.evil", "http://localhost:1", "file://"],
)
async def test_web_pages_of_another_origin_are_refused(
    server_process: ServerProcess, origin: str
) -> None:
    assert (await post(server_process, Origin=origin)).status_code == 403


async def test_the_servers_own_origin_is_served(server_process: ServerProcess) -> None:
    assert (await post(server_process, Origin=server_process.origin)).status_code == 200


async def test_a_missing_token_is_asked_for(server_process: ServerProcess) -> None:
    async with httpx2.AsyncClient(verify=False) as client:
        answer = await client.post(server_process.url, **raw_request("tools/list"))

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "tools" not in answer.text


@pytest.mark.parametrize("shown", ["Bearer wrong", "Basic {token}", "Bearer {token}x", "{token}"])
async def test_a_wrong_token_is_refused(server_process: ServerProcess, shown: str) -> None:
    answer = await post(server_process, Authorization=shown.format(token=server_process.token))

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_the_path_may_end_in_a_slash(server_process: ServerProcess) -> None:
    assert (await post(server_process, path="/mcp/")).status_code == 200
    assert (await post(server_process, path="/")).status_code == 404


async def test_health_needs_no_token_and_tells_no_secret(server_process: ServerProcess) -> None:
    async with httpx2.AsyncClient(verify=False) as client:
        answer = await client.get(f"{server_process.origin}/health")
        foreign = await client.get(
            f"{server_process.origin}/health", headers={"Host": "evil.example"}
        )

    assert answer.status_code == 200
    assert set(answer.json()) == {"name", "version", "status"}
    assert server_process.token not in answer.text
    assert foreign.status_code == 421


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
async def test_clients_of_both_eras_list_the_tools(
    server_process: ServerProcess, mode: Literal["auto", "legacy"], version: str
) -> None:
    async with server_process.client(mode) as client:
        name = client.server_info.name if client.server_info else ""
        tools = await client.list_tools()

        assert client.protocol_version == version
        assert {tool.name for tool in tools} == set(load_manifest(name).tools)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_stdio_serves_clients_of_both_eras(
    manifest: Manifest, mode: Literal["auto", "legacy"], tmp_path: Path
) -> None:
    transport = StdioTransport(
        sys.executable,
        ["-m", "servers", "run", manifest.name, "--stdio"],
        env={"FLOTILLA_DATA_DIR": str(tmp_path)},
        keep_alive=False,
        log_file=tmp_path / "stderr.log",
    )
    async with Client(transport, mode=mode) as client:
        assert {tool.name for tool in await client.list_tools()} == set(manifest.tools)

    assert list(tmp_path.glob("tokens/*")) == []
