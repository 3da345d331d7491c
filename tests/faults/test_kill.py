"""kill -9 at random moments; the README's command does the same 200 times."""

from pathlib import Path

import pytest

from tests.faults.kill_loop import kill_loop

SEED = 20261120


@pytest.mark.fault
@pytest.mark.timeout(300)
async def test_eight_kills_lose_double_or_leave_open_nothing(tmp_path: Path) -> None:
    report = await kill_loop(tmp_path, kills=8, seed=SEED)
    assert report.is_clean, report
    assert report.accepted >= 20
    assert report.interrupted >= 1
