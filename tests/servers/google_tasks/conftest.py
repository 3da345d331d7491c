"""Google Tasks in front of the fake Google, signed in as Anna."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult
from mcp.types import ElicitRequestURLParams, ElicitResult

from servers.google_tasks.server import mcp
from servers.kit.settings import KitSettings, SystemdSettings
from tests.fakes.google import FakeGoogle
from tests.servers.kit.google.conftest import ANNA, sign_in


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Generator[FakeGoogle]:
    with FakeGoogle() as fake:
        for name, value in fake.environment.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def tasks(google: FakeGoogle) -> Any:
    return google.person(ANNA).tasks


@pytest.fixture
async def client(
    google: FakeGoogle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Client[Any]]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    # The server is one for all tests, and each has a Google of its own.
    monkeypatch.delitem(mcp.accounts.__dict__, "provider", raising=False)
    nowhere = KitSettings(data_dir=tmp_path / "data", orchestrator_url="http://127.0.0.1:9")
    mcp.use_settings(nowhere, SystemdSettings())
    async with Client(mcp, elicitation_handler=agreeing) as client:
        await sign_in(mcp.accounts, "read", "write")
        agreeing.asked.clear()
        yield client


class Agreeing:
    """A person who says yes to everything, signs in where they are sent, and what they read."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, message: str, _: Any, params: Any, __: Any) -> ElicitResult:
        self.asked.append(message)
        if isinstance(params, ElicitRequestURLParams):
            page = await asyncio.to_thread(httpx2.get, params.url, follow_redirects=True)
            assert page.status_code == 200, page.text
            return ElicitResult(action="accept")
        return ElicitResult(action="accept", content={"approve": True})


agreeing = Agreeing()


@pytest.fixture
def asked() -> list[str]:
    """What the person was asked."""
    return agreeing.asked


async def undone(client: Client[Any], result: CallToolResult) -> CallToolResult:
    """Makes the call that a result says reverses it."""
    undo = (result.meta or {})["flotilla/undo"]
    return await client.call_tool(undo["tool"], undo["arguments"])
