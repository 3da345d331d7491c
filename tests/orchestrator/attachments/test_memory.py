"""A blob is never whole in memory, however large it is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.gcs import Gcs
from tests.processes import ROOT

LIMIT_KB = 32 * 1024


def growth(where: str) -> dict[str, int]:
    """Return by how many kB a process grew that wrote and then read 100 MB there."""
    command = (sys.executable, "-m", "tests.orchestrator.attachments.measure_memory", where)
    run = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.fault
def test_a_large_file_is_never_whole_in_memory(tmp_path: Path):
    assert max(growth(str(tmp_path / "blobs")).values()) < LIMIT_KB


@pytest.mark.fault
@pytest.mark.timeout(120)
def test_a_large_object_is_never_whole_in_memory(gcs: Gcs):
    assert max(growth(gcs.url).values()) < LIMIT_KB
