"""Google Calendar in front of the fake Google, signed in as Anna, in front of a person."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from mcp.types import ElicitResult

from servers.google_calendar.server import mcp
from servers.kit.settings import KitSettings, SystemdSettings
from tests.fakes.google import FakeGoogle
from tests.servers.kit.google.conftest import ANNA, sign_in

Call = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Generator[FakeGoogle]:
    with FakeGoogle() as fake:
        for name, value in fake.environment.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def calendar(google: FakeGoogle) -> Any:
    """Anna's calendars; her zone is Europe/Berlin."""
    return google.person(ANNA).calendar


@pytest.fixture
def asked() -> list[str]:
    """What the person was asked, who says yes to everything."""
    return []


@pytest.fixture
async def client(
    google: FakeGoogle, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Client[Any]]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("GOOGLE_CALENDAR_ZONE", raising=False)
    # The server is one for all tests, and each has a Google of its own.
    monkeypatch.delitem(mcp.accounts.__dict__, "provider", raising=False)
    nowhere = KitSettings(data_dir=tmp_path / "data", orchestrator_url="http://127.0.0.1:9")
    mcp.use_settings(nowhere, SystemdSettings())

    async def agree(message: str, *_: Any) -> ElicitResult:
        asked.append(message)
        return ElicitResult(action="accept", content={"approve": True})

    async with Client(mcp, elicitation_handler=agree) as client:
        await sign_in(mcp.accounts, "read", "write")
        yield client


@pytest.fixture
def call(client: Client[Any]) -> Call:
    """Calls a tool; its result as an object."""

    async def called(tool: str, **arguments: Any) -> dict[str, Any]:
        found = (await client.call_tool(tool, arguments)).structured_content
        assert found is not None
        return found

    return called
