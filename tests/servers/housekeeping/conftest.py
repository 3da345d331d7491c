"""Housekeeping in front of a fake orchestrator, with the token where the orchestrator puts it."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client

from servers.housekeeping.server import mcp
from tests.fakes.orchestrator_api import TOKEN, FakeOrchestrator, running_orchestrator


@pytest.fixture
async def orchestrator() -> AsyncGenerator[FakeOrchestrator]:
    async with running_orchestrator() as fake:
        yield fake


@pytest.fixture
def token_path(tmp_path: Path) -> Path:
    path = tmp_path / "tokens" / "housekeeping.api"
    path.parent.mkdir()
    path.write_text(f"{TOKEN}\n", encoding="ascii")
    return path


@pytest.fixture
async def client(
    orchestrator: FakeOrchestrator,
    token_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncGenerator[Client[Any]]:
    monkeypatch.setenv("FLOTILLA_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HOUSEKEEPING_ORCHESTRATOR_URL", orchestrator.url)
    monkeypatch.setenv("HOUSEKEEPING_ZONE", "Europe/Lisbon")
    monkeypatch.delenv("HOUSEKEEPING_API_TOKEN", raising=False)
    async with Client(mcp) as client:
        yield client
