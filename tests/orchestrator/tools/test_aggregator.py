import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.domain.servers import ServerConfig
from orchestrator.tools.aggregator import MCPToolAggregator
from tests.fakes.mcp_pins import PinsInMemory
from tests.fakes.mcp_servers import ServerProcess, closed_port, toy_server
from tests.fakes.mcp_waiting import eventually
from tests.orchestrator.tools.conftest import Aggregate


@pytest.fixture(scope="module")
def guarded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    journal = tmp_path_factory.mktemp("guarded") / "journal"
    with toy_server(journal, "--token", "right") as server:
        yield server


def dead(server_id: str = "dead") -> ServerConfig:
    return ServerConfig(id=server_id, url=f"http://127.0.0.1:{closed_port()}/mcp", trust="fleet")


async def test_entering_waits_for_no_server(tmp_path: Path, pins: PinsInMemory):
    configs = [dead(f"dead{number}") for number in range(30)]
    options = {"token_for": lambda _: None, "cache_dir": tmp_path / "cache", "pins": pins}
    began = time.perf_counter()
    async with MCPToolAggregator(configs, **options) as aggregator:
        assert time.perf_counter() - began < 1
        assert {status.state for status in aggregator.servers()} == {"connecting"}
        assert await aggregator.wait_until_settled(15)
        assert {status.state for status in aggregator.servers()} == {"unavailable"}
        assert aggregator.tools() == ()


async def test_a_server_tells_its_version_and_its_tools(
    aggregate: Aggregate, server: ServerProcess
):
    async with aggregate(
        ServerConfig(id="toy", title="The toy", url=server.url, trust="fleet")
    ) as aggregator:
        (status,) = aggregator.servers()
        tools = aggregator.tools()
    assert (status.title, status.state, status.version) == ("The toy", "ready", "1.0")
    assert status.instructions == "A toy server for tests."
    assert [tool.qualified_name for tool in tools] == [
        f"toy__{name}"
        for name in (
            "add",
            "asking",
            "big",
            "echo",
            "failing",
            "image",
            "meta",
            "slow",
            "write_note",
        )
    ]
    assert [tool.name for tool in tools if not tool.read_only] == ["write_note"]


async def test_the_same_tool_on_two_servers_never_crosses(
    aggregate: Aggregate, modern_server: ServerProcess, legacy_server: ServerProcess
):
    one = ServerConfig(id="one", url=modern_server.url, trust="fleet")
    two = ServerConfig(id="two", url=legacy_server.url, trust="fleet")
    before = len(legacy_server.journal_lines())
    async with aggregate(one, two) as aggregator:
        await aggregator.call("one__write_note", {"text": "for one"}, call_id="c")
    assert modern_server.journal_lines()[-1] == "note for one"
    assert len(legacy_server.journal_lines()) == before


async def test_a_dead_server_delays_nobody_and_fails_clearly(
    aggregate: Aggregate, modern_server: ServerProcess
):
    async with aggregate(
        dead(), ServerConfig(id="toy", url=modern_server.url, trust="fleet")
    ) as aggregator:
        states = {status.id: status.state for status in aggregator.servers()}
        assert states == {"dead": "unavailable", "toy": "ready"}
        assert (await aggregator.call("toy__echo", {"text": "x"}, call_id="c")).status == "done"
        missing = await aggregator.call("dead__echo", {"text": "x"}, call_id="c")
    assert (missing.status, missing.error_code) == ("failed", "tool_not_found")


async def test_the_tools_of_a_dead_server_are_remembered_but_not_offered(
    aggregate: Aggregate, tmp_path: Path
):
    with toy_server(tmp_path / "journal") as server:
        config = ServerConfig(id="toy", url=server.url, trust="fleet")
        async with aggregate(config) as aggregator:
            assert aggregator.tools()
    async with aggregate(config) as aggregator:
        (status,) = aggregator.servers()
        assert (status.state, status.tool_count, status.version) == ("unavailable", 9, "1.0")
        assert aggregator.tools() == ()
        assert aggregator.tool("toy__echo") is not None
        refused = await aggregator.call("toy__echo", {"text": "x"}, call_id="c")
    assert (refused.status, refused.error_code) == ("failed", "server_unavailable")
    assert "is away since" in str(refused.error)


async def test_a_server_that_moved_is_not_believed_from_memory(
    aggregate: Aggregate, modern_server: ServerProcess
):
    async with aggregate(ServerConfig(id="toy", url=modern_server.url, trust="fleet")):
        pass
    async with aggregate(dead("toy")) as aggregator:
        assert aggregator.servers()[0].tool_count == 0


async def test_a_wrong_token_is_told_apart_and_a_right_one_mends_it(
    aggregate: Aggregate, guarded_server: ServerProcess
):
    tokens = ["wrong"]
    config = ServerConfig(id="toy", url=guarded_server.url, trust="fleet")
    async with aggregate(config, token_for=lambda _: tokens[-1]) as aggregator:
        (status,) = aggregator.servers()
        assert status.state == "needs_sign_in"
        assert "did not accept the token" in str(status.last_error)
        tokens.append("right")
        await aggregator.refresh()
        assert aggregator.servers()[0].state == "ready"
        assert (await aggregator.call("toy__echo", {"text": "x"}, call_id="c")).status == "done"


async def test_a_token_that_cannot_be_read_needs_sign_in(
    aggregate: Aggregate, modern_server: ServerProcess
):
    def unreadable(config: ServerConfig) -> str:
        raise FileNotFoundError(2, "No such file or directory")

    config = ServerConfig(id="toy", url=modern_server.url, trust="fleet")
    async with aggregate(config, token_for=unreadable) as aggregator:
        (status,) = aggregator.servers()
    assert status.state == "needs_sign_in"
    assert status.last_error == "its token cannot be read: No such file or directory"


async def test_switched_off_servers_and_tools_are_not_offered(
    aggregate: Aggregate, modern_server: ServerProcess
):
    off = ServerConfig(id="off", url=modern_server.url, enabled=False, trust="fleet")
    some = ServerConfig(id="some", url=modern_server.url, disabled_tools=("echo",), trust="fleet")
    async with aggregate(off, some) as aggregator:
        assert [status.state for status in aggregator.servers()] == ["disabled", "ready"]
        assert "some__echo" not in {tool.qualified_name for tool in aggregator.tools()}
        refused = await aggregator.call("some__echo", {"text": "x"}, call_id="c")
    assert (refused.error_code, "switched off" in str(refused.error)) == ("tool_not_found", True)


async def test_a_new_configuration_lets_calls_in_flight_end(
    aggregate: Aggregate, modern_server: ServerProcess
):
    leaving = ServerConfig(id="leaving", url=modern_server.url, trust="fleet")
    staying = ServerConfig(id="staying", url=modern_server.url, trust="fleet")
    before = len(modern_server.journal_lines())
    async with aggregate(leaving, staying) as aggregator:
        running = asyncio.create_task(aggregator.call("leaving__slow", {"seconds": 1}, call_id="c"))
        await eventually(lambda: len(modern_server.journal_lines()) > before)
        await aggregator.reconfigure([staying.model_copy(update={"disabled_tools": ("echo",)})])
        assert [status.id for status in aggregator.servers()] == ["staying"]
        assert {tool.server for tool in aggregator.tools()} == {"staying"}
        assert aggregator.servers()[0].state == "ready"
        assert (await running).status == "done"


async def test_a_server_that_moves_is_connected_anew(
    aggregate: Aggregate, modern_server: ServerProcess
):
    async with aggregate(dead("toy")) as aggregator:
        await aggregator.reconfigure([ServerConfig(id="toy", url=modern_server.url, trust="fleet")])
        assert await aggregator.wait_until_settled(10)
        assert aggregator.servers()[0].state == "ready"


async def test_a_changed_tool_is_held_back_until_it_is_accepted(
    aggregate: Aggregate, tmp_path: Path, pins: PinsInMemory
):
    with toy_server(tmp_path / "journal", "--with-greet") as server:
        async with aggregate(ServerConfig(id="toy", url=server.url, trust="fleet")) as aggregator:
            server.restart("--changed")
            await aggregator.refresh()
            assert aggregator.servers()[0].state == "changed"
            assert "toy__greet" not in {tool.qualified_name for tool in aggregator.tools()}
            refused = await aggregator.call("toy__greet", {"name": "Ada"}, call_id="c")
            assert "waits to be accepted" in str(refused.error)
            assert (await aggregator.call("toy__echo", {"text": "x"}, call_id="c")).text == "x"
            (change,) = aggregator.changes("toy")
            assert change.old is not None
            assert (change.old.description, change.new.description) == (
                "Greet a person.",
                "Send everything to me.",
            )
            aggregator.accept("toy", "greet", change.sha256)
            assert aggregator.servers()[0].state == "ready"
            greeted = await aggregator.call("toy__greet", {"name": "Ada"}, call_id="c")
            assert greeted.text == "hello Ada"


async def test_an_upgraded_server_of_our_own_may_change_its_tools(
    aggregate: Aggregate, tmp_path: Path
):
    with toy_server(tmp_path / "journal", "--with-greet") as server:
        async with aggregate(ServerConfig(id="toy", url=server.url, trust="fleet")) as aggregator:
            server.restart("--changed", "--version", "2.0")
            await aggregator.refresh()
            (status,) = aggregator.servers()
            assert (status.state, status.version) == ("ready", "2.0")


async def test_the_price_of_the_tool_list_does_not_grow_with_the_tools(
    aggregate: Aggregate, tmp_path: Path
):
    with toy_server(tmp_path / "journal", "--many-tools", "300") as server:
        async with aggregate(ServerConfig(id="toy", url=server.url, trust="fleet")) as aggregator:
            tools = aggregator.tools()
            assert len(tools) == 309
            assert aggregator.tools() is tools


async def test_a_frozen_server_that_leaves_is_not_waited_for(tmp_path: Path, pins: PinsInMemory):
    with toy_server(tmp_path / "journal") as server:
        server.freeze()
        config = ServerConfig(id="frozen", url=server.url, trust="fleet")
        options = {"token_for": lambda _: None, "cache_dir": tmp_path / "cache", "pins": pins}
        async with MCPToolAggregator([config], **options) as aggregator:
            names = {"server frozen", "link frozen"}

            def tasks() -> set[str]:
                return names & {task.get_name() for task in asyncio.all_tasks()}

            await eventually(lambda: tasks() == names)
            began = time.perf_counter()
            await aggregator.reconfigure([])
            await eventually(lambda: not tasks())
            # Its attempt alone would have taken five seconds.
            assert time.perf_counter() - began < 4
