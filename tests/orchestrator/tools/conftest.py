"""Real toy servers, one per protocol era, and an aggregator over any of them."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from orchestrator.domain.servers import ServerConfig
from orchestrator.tools.addresses import AddressRule
from orchestrator.tools.aggregator import MCPToolAggregator
from tests.fakes.mcp_pins import PinsInMemory
from tests.fakes.mcp_servers import ServerProcess, toy_server

Aggregate = Callable[..., AbstractAsyncContextManager[MCPToolAggregator]]


@pytest.fixture(scope="session")
def modern_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with toy_server(tmp_path_factory.mktemp("modern") / "journal") as server:
        yield server


@pytest.fixture(scope="session")
def legacy_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with toy_server(tmp_path_factory.mktemp("legacy") / "journal", "--legacy") as server:
        yield server


@pytest.fixture(params=["modern", "legacy"])
def server(request: pytest.FixtureRequest) -> ServerProcess:
    """The same toy server, once in each protocol era."""
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
def pins() -> PinsInMemory:
    return PinsInMemory()


@pytest.fixture
def aggregate(tmp_path: Path, pins: PinsInMemory) -> Aggregate:
    """Open an aggregator over some configurations and wait until all have settled."""

    @asynccontextmanager
    async def opened(*configs: ServerConfig, **options: object) -> AsyncIterator[MCPToolAggregator]:
        arguments = {"token_for": lambda _: None, "cache_dir": tmp_path / "cache", "pins": pins}
        arguments["addresses"] = AddressRule(["127.0.0.1"])
        async with MCPToolAggregator(configs, **(arguments | options)) as aggregator:
            assert await aggregator.wait_until_settled(30)
            yield aggregator

    return opened
