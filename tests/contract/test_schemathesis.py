"""The API against its own OpenAPI document: valid and invalid data, signed in."""

import json
import re
import subprocess
from pathlib import Path
from sys import executable

import pytest

from tests.installation import Installation, practice_model, running
from tests.processes import ROOT

SEED = "20261120"
CASES_AT_LEAST = 500
# A schema cannot say which bytes are a file that is accepted.
CONFIG = """
[[operations]]
include-name = "POST /api/uploads"

[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "401", "403", "404", "409", "413", "415", "507"]
"""


@pytest.mark.timeout(180)
def test_no_request_gets_a_5xx_or_an_undocumented_answer(tmp_path: Path) -> None:
    with (
        practice_model("--pace-ms", "0") as model_url,
        running(Installation(tmp_path, model_url)) as installation,
    ):
        document = tmp_path / "openapi.json"
        document.write_bytes((ROOT / "frontend" / "openapi.json").read_bytes())
        config = tmp_path / "schemathesis.toml"
        config.write_text(CONFIG)
        command = [executable, "-m", "schemathesis.cli"]
        command += ["--config-file", str(config), "run", str(document)]
        options = ["--url", installation.url, "--max-examples", "25", "--workers", "2"]
        header = f"Authorization: {installation.bearer['Authorization']}"
        done = subprocess.run(
            [*command, *options, "--seed", SEED, "--header", header],
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            timeout=170,
        )
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    generated = re.search(r"(\d+) generated", done.stdout)
    assert generated, done.stdout[-2_000:]
    assert int(generated[1]) >= CASES_AT_LEAST
    paths = json.loads(document.read_text())["paths"]
    operations = sum(len(methods) for methods in paths.values())
    assert f"Tested: {operations}" in done.stdout
