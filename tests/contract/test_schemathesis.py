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
ACCEPTED = ["2xx", "401", "403", "404", "409"]
# What a schema cannot say: which bytes are a file that is accepted,
BY_BYTES = {"POST /api/uploads": ["400", "413", "415", "507"]}
# which endpoints, zones, days, numbers and addresses there are, what can be called a preset,
# and what a provider puts into an address.
BY_MEANING = (
    "POST /api/accounts/{server}/sign-ins/complete",
    "GET /api/models",
    "GET /api/usage",
    "GET /api/usage/export",
    "PUT /api/mcp/servers",
    "PATCH /api/mcp/servers/{server_id}",
    "PATCH /api/sessions/{session_id}",
    "PUT /api/settings/model",
    "PATCH /api/settings/model",
    "PUT /api/settings/endpoints",
    "PUT /api/settings/endpoints/{name}",
    "PUT /api/secrets/{name}",
    "POST /api/chat/stream",
    "POST /api/chat/turns/{turn_id}/regenerate",
    "POST /api/sessions/{session_id}/messages/{message_id}/edit",
    "POST /api/sessions/import",
    "POST /api/presets",
    "POST /api/presets/import",
)
ALSO_RIGHT = BY_BYTES | {operation: ["400", "422"] for operation in BY_MEANING}
CONFIG = "".join(
    f"""
[[operations]]
include-name = "{operation}"

[operations.checks.positive_data_acceptance]
expected-statuses = {json.dumps(ACCEPTED + statuses)}
"""
    for operation, statuses in ALSO_RIGHT.items()
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("phases", "examples"),
    [
        ("examples,coverage,fuzzing", "4"),
        pytest.param("examples,coverage,fuzzing,stateful", "50", marks=pytest.mark.long),
    ],
)
def test_no_request_gets_a_5xx_or_an_undocumented_answer(
    tmp_path: Path, phases: str, examples: str
) -> None:
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
        # One worker: Python 3.11 can raise SystemError where two threads parse source at once.
        options = ["--url", installation.url, "--max-examples", examples, "--workers", "1"]
        options += ["--phases", phases]
        header = f"Authorization: {installation.bearer['Authorization']}"
        done = subprocess.run(
            [*command, *options, "--seed", SEED, "--header", header],
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            timeout=570,
        )
    shown = "\n".join(line[:400] for line in done.stdout.splitlines())
    assert done.returncode == 0, shown[-12_000:] + done.stderr[-2_000:]
    generated = re.search(r"(\d+) generated", done.stdout)
    assert generated, done.stdout[-2_000:]
    assert int(generated[1]) >= CASES_AT_LEAST
    paths = json.loads(document.read_text())["paths"]
    operations = sum(len(methods) for methods in paths.values())
    assert f"Tested: {operations}" in done.stdout
