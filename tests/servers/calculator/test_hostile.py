"""A hostile caller against the running server: refused in time, and the next call is right."""

import asyncio
import os
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest

from servers.calculator.client import CalculatorClient, open_calculator
from servers.kit.errors import InvalidInput
from tests.servers.kit.process import ServerProcess, running_server

SLOW_CALL = {"expression": "+".join(["gamma(0.1)"] * 90), "precision": 1000}
"""Permitted, but it takes several seconds."""

CORPUS = [
    ("evaluate", {"expression": "9**9**9"}),
    ("evaluate", {"expression": "factorial(10**7)"}),
    ("evaluate", {"expression": "__import__('os').system('true')"}),
    ("evaluate", {"expression": "().__class__.__bases__"}),
    ("evaluate", {"expression": "(lambda: 1)()"}),
    ("evaluate", {"expression": "(" * 999}),
    ("evaluate", {"expression": "1" * 900_000}),
    ("evaluate", {"expression": "2^" * 400 + "1"}),
    ("evaluate", {"expression": "\x00\ud7ff\u202e"}),
    ("evaluate", {"expression": "1e10000^1e10000"}),
    ("evaluate", SLOW_CALL),
    ("convert_units", {"value": 1, "from_unit": "m^999999999", "to_unit": "m"}),
    ("convert_units", {"value": 1e308, "from_unit": "dBm", "to_unit": "mW"}),
    ("convert_units", {"value": 1, "from_unit": "__import__('os')", "to_unit": "m"}),
    ("date_calc", {"op": "add", "date": "2026-01-01", "days": 10**300}),
    ("date_calc", {"op": "add_workdays", "date": "2026-01-01", "days": 10**9}),
    ("finance", {"op": "compound", "amount": 1e300, "rate_percent": 1e300, "years": 1e300}),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServerProcess]:
    with running_server("calculator", tmp_path_factory.mktemp("calculator")) as server:
        yield server


@pytest.mark.parametrize(("tool", "arguments"), CORPUS)
async def test_a_hostile_call_is_refused_and_the_next_one_is_right(
    server: ServerProcess, tool: str, arguments: dict[str, object]
) -> None:
    async with server.client() as client:
        await client.call_tool("evaluate", {"expression": "1"})
        if tool == "convert_units":
            await client.call_tool(tool, {"value": 1, "from_unit": "m", "to_unit": "km"})
        started = time.monotonic()
        refused = await client.call_tool(tool, arguments, raise_on_error=False)
        duration_s = time.monotonic() - started
        answer = await client.call_tool("evaluate", {"expression": "0.1+0.2"})

    assert refused.is_error
    assert duration_s < 2.5
    assert answer.structured_content == {"result": "0.3", "is_exact": True, "fraction": None}


async def test_a_slow_calculation_does_not_hold_up_another() -> None:
    async with open_calculator() as calculator, asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(_refused(calculator, SLOW_CALL))
        await calculator.calculate("evaluate", {"expression": "1"})

        assert not slow.done()


async def test_a_cancelled_calculation_leaves_no_process_behind() -> None:
    others = _children()
    async with open_calculator() as calculator:
        await calculator.calculate("evaluate", {"expression": "1"})
        (worker,) = calculator._idle
        slow = asyncio.create_task(calculator.calculate("evaluate", SLOW_CALL))
        await asyncio.sleep(0)  # it runs up to its question to the worker
        slow.cancel()
        await asyncio.wait([slow])

        assert not worker.is_alive
        assert (await calculator.calculate("evaluate", {"expression": "1+1"}))["result"] == "2"
    assert _children() == others


async def test_a_worker_that_was_killed_from_outside_is_replaced() -> None:
    async with open_calculator() as calculator:
        await calculator.calculate("evaluate", {"expression": "1"})
        (worker,) = calculator._idle
        await worker.kill()

        answer = await calculator.calculate("evaluate", {"expression": "1+1"})

    assert answer["result"] == "2"


async def test_a_worker_has_bounded_memory_and_nothing_of_the_servers_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLOTILLA_TEST_SECRET", "s3cret")
    others = _children()
    async with open_calculator() as calculator:
        await calculator.calculate("evaluate", {"expression": "1"})
        (process_id,) = _children() - others

        assert b"s3cret" not in Path(f"/proc/{process_id}/environ").read_bytes()
        limits = Path(f"/proc/{process_id}/limits").read_text().splitlines()
        assert "Max address space 536870912 536870912 bytes" in [
            " ".join(line.split()) for line in limits
        ]


async def _refused(calculator: CalculatorClient, arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="stopped after 2 s"):
        await calculator.calculate("evaluate", arguments)


def _children() -> set[int]:
    children: set[int] = set()
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        # A thread of another test may end in between.
        with suppress(FileNotFoundError, ProcessLookupError):
            children.update(map(int, (task / "children").read_text().split()))
    return children
