"""kill -9 at random moments; the README's command does the same 200 times."""

from pathlib import Path

import pytest

from tests.faults.kill_loop import kill_loop

SEED = 20261120


@pytest.mark.fault
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.long)])
async def test_kills_lose_double_or_leave_open_nothing(tmp_path: Path, kills: int) -> None:
    report = await kill_loop(tmp_path, kills=kills, seed=SEED)
    assert report.is_clean, report
    assert report.accepted >= 2 * kills
    assert report.interrupted >= 1
