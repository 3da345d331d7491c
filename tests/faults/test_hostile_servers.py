"""What a broken, dead or hostile server can do to the orchestrator: nothing but fail."""

import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.tools import ToolResult
from orchestrator.tools.aggregator import MCPToolAggregator
from tests.fakes.mcp_pins import PinsInMemory
from tests.fakes.mcp_servers import ServerProcess, closed_port, hostile_server, toy_server
from tests.fakes.mcp_waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120)]

MAX_GROWTH_MB = 64
# Half of the calls to a healthy server may be so much slower beside a hostile one. The machine is
# shared with other tests, so this only catches an event loop that is held.
MAX_HEALTHY_RATIO = 5
MAX_HEALTHY_MORE_MS = 60

TIMES_OUT = "the answer did not come in time"
TOO_LARGE = "the reply is larger than 8388608 bytes"
TOO_MANY = "the reply holds more values than a result may"
NO_MESSAGE = "the reply is not a JSON-RPC message"
BROKE = "the connection broke (RemoteProtocolError)"
FAULTS = {
    "hang": TIMES_OUT,
    "endless_comments": TIMES_OUT,
    "comment_flood": TIMES_OUT,
    "trickle": TIMES_OUT,
    "header_trickle": TIMES_OUT,
    "gigabyte": TOO_LARGE,
    "endless_json": TOO_LARGE,
    "endless_event": TOO_LARGE,
    "progress_flood": TOO_LARGE,
    "many_values": TOO_MANY,
    "nested_json": TOO_MANY,
    "garbage_json": NO_MESSAGE,
    "garbage_sse": NO_MESSAGE,
    "wrong_id": "the reply answers another request",
    "wrong_shape": "the answer does not have the form MCP asks for",
    "gzip_bomb": "it sent an encoded reply that was not asked for",
    "redirect": "it answered with a redirect (HTTP 307)",
    "server_error": "it answered with HTTP 500",
    "internal_error": "it answered with error -32603: boom",
    "html": "it answered with 'text/html', not JSON",
    "reset": BROKE,
    "header_flood": BROKE,
    "resume_trap": "the connection ended before the answer came",
}
# From the start these need five seconds each, and go the way of those that are tried there.
ONLY_IN_CALLS = ("endless_comments", "trickle", "progress_flood")


@pytest.fixture(scope="module")
def healthy_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with toy_server(tmp_path_factory.mktemp("healthy") / "journal") as server:
        yield server


@dataclass
class Caller:
    """An aggregator in a process of its own, so that its memory can be measured."""

    process: subprocess.Popen[str]
    hostile: ServerProcess

    def meet(self, mode: str) -> dict[str, Any]:
        """Let it meet a server in this mode; return what that cost it, once within bounds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(self.hostile.url_of(mode) + "\n")
        self.process.stdin.flush()
        report = json.loads(self.process.stdout.readline())
        assert report["grown_mb"] < MAX_GROWTH_MB
        allowed_ms = report["healthy_alone_ms"] * MAX_HEALTHY_RATIO + MAX_HEALTHY_MORE_MS
        assert report["healthy_beside_ms"] < allowed_ms
        return report


@pytest.fixture(scope="module")
def caller(
    healthy_server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Caller]:
    cache = tmp_path_factory.mktemp("caller")
    command = [sys.executable, "-m", "tests.fakes.mcp_caller", healthy_server.url, str(cache)]
    with (
        hostile_server() as hostile,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        yield Caller(process, hostile)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in errors


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ONLY_IN_CALLS])
def test_a_server_that_is_hostile_from_the_start_is_unavailable_and_says_why(
    caller: Caller, fault: str
):
    report = caller.meet(fault)
    assert (report["state"], report["last_error"]) == ("unavailable", FAULTS[fault])
    assert report["tools"] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_hostile_reply_to_a_call_fails_that_call_only(caller: Caller, fault: str):
    report = caller.meet(f"call_{fault}")
    status, code, error = report["call"]
    if fault == "redirect":
        assert (status, code) == ("failed", "bad_reply")
    else:
        assert (status, code) == ("unknown", "outcome_unknown")
    assert FAULTS[fault] in error
    assert report["call_s"] < 8
    assert report["state"] in ("ready", "degraded")


@pytest.mark.parametrize("mode", ["unauthorized", "call_unauthorized"])
def test_a_refused_token_needs_sign_in(caller: Caller, mode: str):
    report = caller.meet(mode)
    assert report["state"] == "needs_sign_in"
    assert report["last_error"] == "it did not accept the token (HTTP 401)"


def test_a_list_that_never_ends_is_cut(caller: Caller):
    report = caller.meet("endless_pages")
    assert (report["state"], len(report["tools"])) == ("degraded", 50)


def test_a_list_of_too_many_tools_is_cut(caller: Caller):
    report = caller.meet("too_many_tools")
    assert (report["state"], len(report["tools"])) == ("degraded", 512)


def test_a_list_of_ten_thousand_tools_is_refused(caller: Caller):
    report = caller.meet("ten_thousand_tools")
    assert (report["state"], report["last_error"]) == ("unavailable", TOO_MANY)


def test_poisoned_names_and_descriptions_reach_no_model(caller: Caller):
    report = caller.meet("poisoned")
    tools = {name: (description, schema) for name, description, schema in report["tools"]}
    assert [name.split("__")[1][:9] for name in tools] == ["_etc_pass", "na_ve_nam", "poisoned"]
    description, schema = next(tools[name] for name in tools if name.endswith("__poisoned"))
    assert description.startswith("Nice tool.yyy")
    assert len(description) == 2048
    assert schema["properties"]["q"]["description"] == "Input."


@asynccontextmanager
async def aggregating(
    tmp_path: Path, *servers: ServerProcess, call_timeout_s: float = 10
) -> AsyncIterator[MCPToolAggregator]:
    """Aggregate servers under the ids `one`, `two`, ..."""
    names = ("one", "two", "three")[: len(servers)]
    configs = [
        ServerConfig(id=name, url=server.url, call_timeout_s=call_timeout_s, trust="fleet")
        for name, server in zip(names, servers, strict=True)
    ]
    options = {"token_for": lambda _: None, "cache_dir": tmp_path / "c", "pins": PinsInMemory()}
    async with MCPToolAggregator(configs, **options) as aggregator:
        assert await aggregator.wait_until_settled(30)
        assert {status.state for status in aggregator.servers()} == {"ready"}
        yield aggregator


async def called(aggregator: MCPToolAggregator, tool: str, **arguments: object) -> ToolResult:
    return await aggregator.call(tool, arguments, call_id="c")


@pytest.fixture(params=["modern", "legacy"])
def victim(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that may be killed, in each protocol era."""
    options = ["--legacy"] if request.param == "legacy" else []
    with toy_server(tmp_path / "journal", *options) as server:
        yield server


async def test_a_killed_server_fails_its_own_calls_and_comes_back_by_itself(
    healthy_server: ServerProcess, victim: ServerProcess, tmp_path: Path
):
    async with aggregating(tmp_path, victim, healthy_server) as aggregator:
        reading = asyncio.create_task(called(aggregator, "one__slow", seconds=20))
        writing = asyncio.create_task(called(aggregator, "one__write_note", text="x", seconds=20))
        other = asyncio.create_task(called(aggregator, "two__slow", seconds=1))
        await eventually(lambda: len(victim.journal_lines()) == 2)
        victim.kill()
        began = time.perf_counter()
        assert (await reading).error_code == "server_unavailable"
        assert (await writing).status == "unknown"
        assert time.perf_counter() - began < 10
        assert (await other).status == "done"
        await eventually(lambda: aggregator.servers()[0].state == "unavailable")
        victim.start()
        began = time.perf_counter()
        assert (await called(aggregator, "one__echo", text="back")).text == "back"
        assert time.perf_counter() - began < 5
        assert victim.journal_lines().count("note x") == 1


async def test_a_server_restarted_between_calls_is_used_again_without_a_word(
    victim: ServerProcess, tmp_path: Path
):
    async with aggregating(tmp_path, victim) as aggregator:
        for number in range(2):
            victim.restart()
            written = await called(aggregator, "one__write_note", text=f"note {number}")
            assert written.status == "done", written.error
        assert victim.journal_lines() == ["note note 0", "note note 1"]


async def test_a_call_just_after_a_kill_waits_for_the_supervisor_to_restart_the_server(
    victim: ServerProcess, tmp_path: Path
):
    async with aggregating(tmp_path, victim) as aggregator:
        victim.kill()
        calling = asyncio.create_task(called(aggregator, "one__write_note", text="late"))
        await asyncio.to_thread(victim.start)
        result = await calling
        assert result.status == "done", result.error
        assert victim.journal_lines() == ["note late"]


async def test_a_restarted_server_comes_back_even_when_nobody_calls(
    victim: ServerProcess, tmp_path: Path
):
    async with aggregating(tmp_path, victim) as aggregator:
        victim.kill()
        await called(aggregator, "one__echo", text="x")
        assert aggregator.tools() == ()
        victim.start()
        await eventually(lambda: len(aggregator.tools()) == 9, timeout_s=30)


async def test_a_frozen_server_fails_at_its_limit_then_at_once_and_thaws_unharmed(
    healthy_server: ServerProcess, victim: ServerProcess, tmp_path: Path
):
    async with aggregating(tmp_path, victim, healthy_server, call_timeout_s=2) as aggregator:
        victim.freeze()
        try:
            began = time.perf_counter()
            frozen = asyncio.create_task(called(aggregator, "one__echo", text="x"))
            assert (await called(aggregator, "two__echo", text="x")).status == "done"
            assert time.perf_counter() - began < 1.5
            assert (await frozen).error_code == "tool_timeout"
            assert time.perf_counter() - began < 5
            began = time.perf_counter()
            assert (
                await called(aggregator, "one__echo", text="x")
            ).error_code == "server_unavailable"
            assert time.perf_counter() - began < 1
        finally:
            victim.thaw()
        await eventually(lambda: aggregator.servers()[0].state == "ready", timeout_s=30)
        assert (await called(aggregator, "one__echo", text="x")).status == "done"


async def test_closing_does_not_wait_for_a_frozen_server(victim: ServerProcess, tmp_path: Path):
    async with aggregating(tmp_path, victim) as aggregator:
        calls = [asyncio.create_task(called(aggregator, "one__slow", seconds=20)) for _ in range(3)]
        await eventually(lambda: len(victim.journal_lines()) == 3)
        victim.freeze()
        began = time.perf_counter()
        await aggregator.close()
        assert time.perf_counter() - began < 8
        results = [await task for task in calls]
    victim.thaw()
    assert {result.error_code for result in results} == {"server_unavailable"}


async def test_going_down_and_coming_back_are_logged_once_each(
    victim: ServerProcess, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "orchestrator.tools")
    async with aggregating(tmp_path, victim) as aggregator:
        caplog.clear()
        victim.kill()
        for _ in range(5):
            await called(aggregator, "one__echo", text="x")
        victim.start()
        await eventually(lambda: aggregator.servers()[0].state == "ready", timeout_s=30)
    words = [record.message.split()[0] for record in caplog.records]
    assert words == ["server_down", "server_up"]


async def test_an_address_nobody_listens_on_costs_nothing_but_its_own_calls(
    healthy_server: ServerProcess, tmp_path: Path
):
    async with aggregating(tmp_path, healthy_server) as aggregator:
        nobody = ServerConfig(
            id="nobody", url=f"http://127.0.0.1:{closed_port()}/mcp", trust="fleet"
        )
        one = ServerConfig(id="one", url=healthy_server.url, call_timeout_s=10, trust="fleet")
        await aggregator.reconfigure([one, nobody])
        await aggregator.wait_until_settled(5)
        assert [status.state for status in aggregator.servers()] == ["ready", "unavailable"]
        assert aggregator.servers()[1].last_error == "could not connect (ConnectError)"
        assert (await called(aggregator, "one__echo", text="x")).status == "done"
