import asyncio
import logging
from typing import Never

import pytest

from orchestrator.background import running


async def test_it_runs_beside_the_block_and_ends_with_it():
    steps: list[str] = []
    begun = asyncio.Event()

    async def work() -> Never:
        steps.append("begun")
        begun.set()
        try:
            await asyncio.Event().wait()
            raise AssertionError
        finally:
            steps.append("ended")

    async with running(work()):
        await begun.wait()
        assert steps == ["begun"]
    assert steps == ["begun", "ended"]


async def test_work_that_breaks_is_told_in_the_log_at_once(caplog: pytest.LogCaptureFixture):
    async def work() -> Never:
        raise ValueError("a defect")

    with caplog.at_level(logging.CRITICAL):
        async with running(work()):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert "background_work_ended" in caplog.text
            assert "a defect" in caplog.text
