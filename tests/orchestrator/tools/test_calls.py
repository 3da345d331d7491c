import asyncio
import time

import pytest

from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.tools import Permit
from orchestrator.tools.aggregator import MCPToolAggregator
from orchestrator.tools.calls import MAX_CONCURRENT_CALLS
from orchestrator.tools.results import MAX_TEXT_LENGTH
from tests.fakes.mcp_servers import ServerProcess
from tests.fakes.mcp_toy_server import ONE_PIXEL_PNG
from tests.fakes.mcp_waiting import eventually
from tests.orchestrator.tools.conftest import Aggregate


def toy(server: ServerProcess, **more: object) -> ServerConfig:
    return ServerConfig.model_validate({"id": "toy", "url": server.url, "trust": "fleet", **more})


async def call(aggregator: MCPToolAggregator, tool: str, **arguments: object):
    return await aggregator.call(f"toy__{tool}", arguments, call_id="call_1")


async def test_a_call_returns_text_and_data(aggregate: Aggregate, server: ServerProcess):
    async with aggregate(toy(server)) as aggregator:
        echoed = await call(aggregator, "echo", text="hi")
        added = await call(aggregator, "add", a=1, b=2)
    assert (echoed.status, echoed.text) == ("done", "hi")
    assert (added.text, added.structured) == ('{"total":3.0}', {"total": 3.0})


async def test_a_permit_travels_to_our_own_servers_and_nothing_to_a_third_party(
    aggregate: Aggregate, server: ServerProcess
):
    permit = Permit(turn_id="turn_1", grant="signed", taint=("mail from x",))
    async with aggregate(toy(server), toy(server, id="foreign", trust="third_party")) as aggregator:
        ours = await aggregator.call("toy__meta", {}, call_id="call_1", permit=permit)
        theirs = await aggregator.call("foreign__meta", {}, call_id="call_1", permit=permit)
    assert ours.structured["flotilla"] == {
        "flotilla/call_id": "call_1",
        "flotilla/approvals": "caller",
        "flotilla/turn_id": "turn_1",
        "flotilla/grant": "signed",
        "flotilla/taint": ["mail from x"],
    }
    assert theirs.structured["flotilla"] == {}


async def test_an_image_comes_as_bytes(aggregate: Aggregate, server: ServerProcess):
    async with aggregate(toy(server)) as aggregator:
        (image,) = (await call(aggregator, "image")).media
    assert (image.mime_type, image.data) == ("image/png", ONE_PIXEL_PNG)


async def test_an_error_of_a_tool_is_told_in_its_words(aggregate: Aggregate, server: ServerProcess):
    async with aggregate(toy(server)) as aggregator:
        failed = await call(aggregator, "failing")
    assert (failed.status, failed.error, failed.error_code) == (
        "failed",
        "the mailbox is full",
        "tool_failed",
    )


async def test_wrong_arguments_fail_the_call_only(aggregate: Aggregate, server: ServerProcess):
    async with aggregate(toy(server)) as aggregator:
        failed = await call(aggregator, "echo", words="hi")
        assert (failed.status, failed.error_code) == ("failed", "tool_failed")
        assert (await call(aggregator, "echo", text="hi")).status == "done"


async def test_a_long_text_is_cut_for_the_model(aggregate: Aggregate, server: ServerProcess):
    async with aggregate(toy(server)) as aggregator:
        result = await call(aggregator, "big", size=2_000_000)
    assert result.status == "done"
    assert len(result.text) <= MAX_TEXT_LENGTH
    assert "of 2,000,000 characters are left out]" in result.text


async def test_a_result_over_the_byte_cap_is_refused(aggregate: Aggregate, server: ServerProcess):
    async with aggregate(toy(server)) as aggregator:
        refused = await call(aggregator, "big", size=9_000_000)
        assert (refused.status, refused.error_code) == ("failed", "bad_reply")
        assert "larger than 8388608 bytes" in str(refused.error)
        assert (await call(aggregator, "echo", text="hi")).status == "done"


async def test_progress_is_passed_on(aggregate: Aggregate, server: ServerProcess):
    seen: list[tuple[float, float | None, str | None]] = []
    async with aggregate(toy(server)) as aggregator:
        await aggregator.call(
            "toy__slow", {"seconds": 0.5}, call_id="c", on_progress=lambda *step: seen.append(step)
        )
    assert (1.0, 10.0, "step 1") in seen
    assert len(seen) >= 5


async def test_cancelling_the_caller_cancels_the_tool(aggregate: Aggregate, server: ServerProcess):
    lines_before = len(server.journal_lines())
    async with aggregate(toy(server)) as aggregator:
        running = asyncio.create_task(call(aggregator, "slow", seconds=30))
        await eventually(lambda: len(server.journal_lines()) == lines_before + 1)
        began = time.perf_counter()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert time.perf_counter() - began < 2
        await eventually(lambda: server.journal_lines()[-1] == "slow cancelled")
        assert (await call(aggregator, "echo", text="hi")).status == "done"


async def test_a_call_past_its_deadline_fails_and_is_cancelled(
    aggregate: Aggregate, server: ServerProcess
):
    async with aggregate(toy(server)) as aggregator:
        late = await aggregator.call("toy__slow", {"seconds": 30}, call_id="c", timeout_s=0.5)
        assert (late.status, late.error_code) == ("failed", "tool_timeout")
        await eventually(lambda: server.journal_lines()[-1] == "slow cancelled")


async def test_a_changing_call_past_its_deadline_has_an_unknown_outcome(
    aggregate: Aggregate, server: ServerProcess
):
    async with aggregate(toy(server)) as aggregator:
        late = await aggregator.call(
            "toy__write_note", {"text": "late", "seconds": 30}, call_id="c", timeout_s=0.5
        )
    assert (late.status, late.error_code) == ("unknown", "outcome_unknown")
    assert server.journal_lines().count("note late") == 1


async def test_one_slow_tool_does_not_silence_its_server(
    aggregate: Aggregate, server: ServerProcess
):
    async with aggregate(toy(server)) as aggregator:
        await aggregator.call("toy__slow", {"seconds": 30}, call_id="c", timeout_s=0.3)
        await eventually(lambda: aggregator.servers()[0].state == "ready")
        assert (await call(aggregator, "echo", text="hi")).status == "done"


async def test_nothing_a_third_party_says_makes_its_tools_harmless(
    aggregate: Aggregate, server: ServerProcess
):
    async with aggregate(toy(server, trust="third_party")) as aggregator:
        tool = aggregator.tool("toy__echo")
        late = await aggregator.call("toy__slow", {"seconds": 30}, call_id="c", timeout_s=0.3)
    assert tool is not None
    assert not tool.read_only
    assert late.status == "unknown"


async def test_calls_beyond_the_limit_of_a_server_wait_for_their_turn(
    aggregate: Aggregate, modern_server: ServerProcess
):
    async with aggregate(toy(modern_server)) as aggregator:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            calls = [
                group.create_task(call(aggregator, "slow", seconds=0.3))
                for _ in range(2 * MAX_CONCURRENT_CALLS)
            ]
        assert time.perf_counter() - began > 0.6
    assert {task.result().status for task in calls} == {"done"}


async def test_a_call_that_never_got_its_turn_says_that_it_was_not_started(
    aggregate: Aggregate, modern_server: ServerProcess
):
    async with aggregate(toy(modern_server)) as aggregator:
        slow = [
            asyncio.create_task(call(aggregator, "slow", seconds=30))
            for _ in range(MAX_CONCURRENT_CALLS)
        ]
        await asyncio.sleep(0)
        waiting = await aggregator.call(
            "toy__write_note", {"text": "never"}, call_id="c", timeout_s=0.2
        )
        for task in slow:
            task.cancel()
        await asyncio.wait(slow)
    assert (waiting.status, waiting.error_code) == ("failed", "server_busy")
    assert "note never" not in modern_server.journal_lines()


async def test_a_tool_that_asks_in_the_middle_of_a_call_fails_clearly(
    aggregate: Aggregate, modern_server: ServerProcess
):
    async with aggregate(toy(modern_server)) as aggregator:
        failed = await call(aggregator, "asking")
    assert failed.status == "failed"
    assert "asks for input" in str(failed.error)
