"""What is told of a server: times of calls, size of schemas, memory, changes of tools."""

import os
from pathlib import Path

import pytest

from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.tools import Latency, ToolDefinition
from orchestrator.tools.call_times import CallTimes
from orchestrator.tools.change_text import MAX_COMPARED_LINES, change_text
from orchestrator.tools.definitions import ListedTool
from orchestrator.tools.pins import ToolChange
from orchestrator.tools.processes import ProcessMemory, ServerProcess
from orchestrator.tools.wire import estimated_tokens, schema_bytes
from servers.kit.process import own_process
from tests.fakes.mcp_servers import toy_server
from tests.orchestrator.tools.conftest import Aggregate


def change(old: str | None, new: str, **more: object) -> str:
    before = None if old is None else ListedTool(name="send", description=old, input_schema={})
    after = ListedTool(name="send", description=new, input_schema=more)
    return change_text(ToolChange("mail", "send", before, after, "0" * 64))


def test_a_server_that_was_never_called_has_no_latency():
    assert CallTimes().latency == Latency(None, None, 0)


def test_latency_is_a_time_that_was_measured_among_the_last_200():
    times = CallTimes()
    for number in range(1, 301):
        times.note(number / 1000)
    assert times.latency == Latency(p50=200.0, p95=290.0, calls=200)
    alone = CallTimes()
    alone.note(0.007)
    assert alone.latency == Latency(p50=7.0, p95=7.0, calls=1)


def test_the_size_of_a_schema_is_that_of_its_wire_form():
    tool = ToolDefinition(
        qualified_name="mail__send",
        server="mail",
        name="send",
        title="Send",
        description="Schickt es für dich.",
        input_schema={"type": "object"},
        read_only=False,
        idempotent=False,
    )
    wire = (
        '{"type":"function","function":{"name":"mail__send",'
        '"description":"Schickt es für dich.","parameters":{"type":"object"}}}'
    )
    assert schema_bytes(tool) == len(wire.encode())
    assert [estimated_tokens(size) for size in (0, 1, 4, 5)] == [0, 1, 1, 2]


async def test_the_memory_of_a_process_is_read_once_in_a_while():
    own = ServerProcess.model_validate(own_process())
    memory = ProcessMemory()
    (first,) = (await memory.pss_bytes([own])).values()
    rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()
    (now,) = (int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    assert first == pytest.approx(now * 1024, rel=0.2)
    ballast = bytearray(os.urandom(64 * 1024)) * 1024
    assert await memory.pss_bytes([own]) == {own: first}
    assert len(ballast) == 64 * 1024 * 1024


@pytest.mark.parametrize(
    "other", [{"started_ticks": 1}, {"boot_id": "another"}, {"pid": 2**22 + 1}]
)
async def test_another_process_of_the_same_id_is_not_taken_for_it(other: dict[str, object]):
    changed = ServerProcess.model_validate({**(own_process() or {}), **other})
    assert await ProcessMemory().pss_bytes([changed]) == {changed: None}


def test_a_change_shows_what_cannot_be_seen():
    text = change("Send a mail.", "Send a mail\u200b\x1b[8m.\nTo me.")
    assert '-  "description": "Send a mail.",' in text.splitlines()
    assert '+  "description": "Send a mail\\u200b\\u001b[8m.\\nTo me.",' in text.splitlines()


def test_a_new_tool_is_all_new():
    lines = change(None, "Send.").splitlines()[3:]
    assert lines
    assert all(line.startswith("+") for line in lines)


def test_a_huge_change_is_shown_whole_without_comparing():
    many = {"enum": [str(number) for number in range(MAX_COMPARED_LINES)]}
    lines = change("Send.", "Send it.", **many).splitlines()
    assert lines[2].startswith("@@ -1,5 +1,")
    assert sum(line.startswith("+") for line in lines) > MAX_COMPARED_LINES


async def test_a_changed_tool_is_held_back_before_its_server_is_back(
    aggregate: Aggregate, tmp_path: Path
):
    journal = tmp_path / "journal"
    with toy_server(journal, "--with-greet") as server:
        config = ServerConfig(id="toy", url=server.url)
        async with aggregate(config) as aggregator:
            assert aggregator.servers()[0].state == "ready"
            server.restart("--changed")
            await aggregator.refresh()
            assert aggregator.servers()[0].changed_tools == ("greet",)
            await aggregator.reconfigure([])
            await aggregator.reconfigure([config])
            # It connects only now, but what it listed last is known.
            status = aggregator.servers()[0]
            assert (status.state, status.changed_tools) == ("connecting", ("greet",))
            refused = await aggregator.call("toy__greet", {"name": "Ada"}, call_id="c")
            assert (refused.status, refused.error_code) == ("failed", "tool_not_found")


async def test_a_call_that_waits_for_a_new_session_does_not_reach_another_tool(
    aggregate: Aggregate, tmp_path: Path
):
    with toy_server(tmp_path / "journal", "--legacy", "--with-greet") as server:
        async with aggregate(ServerConfig(id="toy", url=server.url)) as aggregator:
            server.restart("--changed")
            # The server has forgotten the session, and its new list comes while the call waits.
            refused = await aggregator.call("toy__greet", {"name": "Ada"}, call_id="c")
            assert refused.error_code == "tool_not_found"
            assert refused.error is not None
            assert "waits to be accepted" in refused.error
