"""Files come in while the orchestrator is killed, and many large ones at once.

The README's command kills 50 times, with a folder or a bucket, and uploads 200 large files.
"""

import tempfile
from pathlib import Path

import pytest

from tests.faults.upload_loop import MAX_GROWTH_BYTES, growth, kill_loop

pytestmark = pytest.mark.fault

SEED = 20261120


@pytest.mark.timeout(120)
async def test_six_kills_lose_no_upload_and_leave_nothing_behind(tmp_path: Path) -> None:
    report = await kill_loop(tmp_path, kills=6, seed=SEED)
    assert report.is_clean, report
    assert report.kills == 6
    assert report.answered >= 1
    assert report.cut >= 1


@pytest.mark.timeout(120)
async def test_forty_large_uploads_are_not_held_in_memory() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest would keep 200 MB of each run
        assert await growth(Path(folder), uploads=40) < MAX_GROWTH_BYTES


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_kills_lose_no_upload_to_a_bucket_and_leave_nothing_in_it(tmp_path: Path) -> None:
    report = await kill_loop(tmp_path, kills=6, seed=SEED, kind="bucket")
    assert report.is_clean, report
    assert report.kills == 6
    assert report.answered >= 1
    assert report.cut >= 1


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_large_uploads_to_a_bucket_are_not_held_in_memory(tmp_path: Path) -> None:
    assert await growth(tmp_path, uploads=60, kind="bucket") < MAX_GROWTH_BYTES
