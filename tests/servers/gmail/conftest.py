"""Gmail in front of the fake Google, signed in as Anna, with a person who is asked."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from mcp.types import ElicitRequestURLParams, ElicitResult

from servers.gmail.server import mcp
from servers.kit.settings import KitSettings, SystemdSettings
from tests.fakes.google import FakeGoogle
from tests.fakes.google.mailbox import Mailbox
from tests.servers.kit.google.conftest import ANNA, sign_in

Call = Callable[..., Awaitable[dict[str, Any]]]


class Person:
    """Says yes to everything, unless told otherwise, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.agrees = True

    async def __call__(self, message: str, _: Any, params: Any, __: Any) -> ElicitResult:
        self.asked.append(message)
        if isinstance(params, ElicitRequestURLParams):
            page = await asyncio.to_thread(httpx2.get, params.url, follow_redirects=True)
            assert page.status_code == 200, page.text
            return ElicitResult(action="accept")
        return ElicitResult(action="accept", content={"approve": self.agrees})


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Generator[FakeGoogle]:
    with FakeGoogle() as fake:
        for name, value in fake.environment.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def box(google: FakeGoogle) -> Mailbox:
    return google.person(ANNA).mail


@pytest.fixture
def person() -> Person:
    return Person()


@pytest.fixture
async def client(
    google: FakeGoogle, person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Client[Any]]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("GMAIL_ZONE", "Europe/Lisbon")
    # The server is one for all tests, and each has a Google and files of its own.
    monkeypatch.delitem(mcp.accounts.__dict__, "provider", raising=False)
    for name in ("_used_settings", "_local", "_link_key", "_orchestrator", "_remote"):
        monkeypatch.delitem(mcp.files.__dict__, name, raising=False)
    nowhere = KitSettings(data_dir=tmp_path / "data", orchestrator_url="http://127.0.0.1:9")
    mcp.use_settings(nowhere, SystemdSettings())
    async with Client(mcp, elicitation_handler=person) as client:
        await sign_in(mcp.accounts, "read", "organise", "write")
        yield client


@pytest.fixture
def call(client: Client[Any]) -> Call:
    """Calls a tool; gives its result, and raises ToolError for an error."""

    async def called(tool: str, **arguments: Any) -> dict[str, Any]:
        result = await client.call_tool(tool, arguments)
        return result.structured_content or {}

    return called


@pytest.fixture
def undo(client: Client[Any]) -> Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]:
    """Calls a tool and then what its result says reverses it; gives the result of that."""

    async def done_and_undone(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        result = await client.call_tool(tool, arguments)
        call = (result.meta or {})["flotilla/undo"]
        return (await client.call_tool(call["tool"], call["arguments"])).structured_content or {}

    return done_and_undone
