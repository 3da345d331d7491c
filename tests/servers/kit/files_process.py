"""The files server as a process, over HTTP and over stdio."""

import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp.types import ResourceLink

from servers.kit.files.local import files_folder
from servers.kit.orchestrator import api_token_file
from tests.fakes.files_server import NAME
from tests.fakes.orchestrator_api import TOKEN, FakeOrchestrator
from tests.processes import ROOT
from tests.servers.kit.process import ServerProcess, running_program

COMMAND = [sys.executable, "-m", "tests.fakes.files_server"]


@contextmanager
def running_files(
    data_dir: Path, environment: Mapping[str, str] | None = None
) -> Generator[ServerProcess]:
    """The server over HTTP, on a port of its own."""
    with running_program(COMMAND, NAME, data_dir, environment, cwd=ROOT) as server:
        yield server


def stdio_client(data_dir: Path) -> Client[StdioTransport]:
    """A client that starts the server itself."""
    environment = {**os.environ, "FLOTILLA_DATA_DIR": str(data_dir)}
    command, *args = [*COMMAND, "--stdio"]
    transport = StdioTransport(command, args, env=environment, cwd=str(ROOT), keep_alive=False)
    return Client(transport)


def belongs_to(orchestrator: FakeOrchestrator, data_dir: Path) -> dict[str, str]:
    """Gives the server its token; returns what its environment has to say."""
    path = data_dir / api_token_file(NAME)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(TOKEN, encoding="ascii")
    return {"FLOTILLA_ORCHESTRATOR_URL": orchestrator.url}


async def called(client: Client[Any], tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured result of a call, with its link as `link`."""
    result = await client.call_tool(tool, arguments)
    assert result.structured_content is not None
    links = [block for block in result.content if isinstance(block, ResourceLink)]
    assert len(links) <= 1
    return {**result.structured_content, "link": links[0] if links else None}


async def refusal(client: Client[Any], tool: str, **arguments: Any) -> str:
    """The error of a call that must fail."""
    try:
        result = await client.call_tool(tool, arguments)
    except ToolError as error:
        return str(error)
    raise AssertionError(f"{tool} gave {result.structured_content}")


async def kill_in_the_middle(server: ServerProcess) -> None:
    """Kills the server while a tool of it saves a file."""

    async def kill(progress: float, total: float | None, message: str | None) -> None:
        server.process.kill()

    with pytest.raises((httpx2.HTTPError, MCPError, RuntimeError)):
        async with server.client() as client:
            await client.call_tool("stall_upload", {"name": "x"}, progress_handler=kill)
    server.process.wait()


def kept_in(data_dir: Path) -> list[str]:
    """Every file and half-written file the server keeps itself."""
    folder = data_dir / files_folder(NAME)
    return sorted(path.name for path in folder.rglob("file_*"))


def resident_bytes(server: ServerProcess) -> int:
    """The most memory the process ever had."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
