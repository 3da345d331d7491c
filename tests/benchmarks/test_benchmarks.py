import json
import subprocess
import sys
from pathlib import Path

from tests.processes import ROOT

STAGES = ("relay", "stop", "large")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_quick_run_measures_every_row_and_writes_what_it_measured(tmp_path: Path):
    path = tmp_path / "numbers.json"
    ran = run("--quick", "--only", *STAGES, "--json", str(path))
    assert ran.returncode == 0, ran.stderr
    document = json.loads(path.read_text())
    assert set(document) == {"rig", "rounds", "quick", "rows", "failures"}
    assert {"date", "cores", "cpu", "python", "load_average", "fsync_ms"} <= set(document["rig"])
    assert (document["rounds"], document["quick"], document["failures"]) == (1, True, {})
    assert {row["stage"] for row in document["rows"]} == set(STAGES)
    for row in document["rows"]:
        assert row["what"].strip() in ran.stdout
        assert len(row["values"]) == document["rounds"]
        assert row["min"] <= row["median"] <= row["max"]
        assert isinstance(row["met"], bool) == (row["bar"] is not None)


def test_an_unknown_stage_is_refused_with_the_names_of_all():
    ran = run("--only", "nothing")
    assert ran.returncode == 2
    assert "relay" in ran.stderr
