"""Every server before foreign judges: the MCP conformance runner and the MCP Inspector."""

import json
import subprocess
from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest

from servers.kit.manifest import all_manifests, load_manifest
from tests.fakes.google import FakeGoogle
from tests.fakes.sign_in import consented
from tests.google_house import ANNA
from tests.node.programs import FOLDER, run_program
from tests.servers.kit.process import ServerProcess, running_server

pytestmark = pytest.mark.node

# Those that judge any server; the others need a server made for them.
SCENARIOS = [
    "server-stateless",
    "tools-list",
    "prompts-list",
    "resources-list",
    "caching",
    "http-header-validation",
    "dns-rebinding-protection",
    "sep-2164-resource-not-found",
    "server-sse-multiple-streams",
    "input-required-result-ignore-extra-params",
]
# One call of each server that only reads.
CALLS = {
    "calculator": ("evaluate", {"expression": "1 + 1"}),
    "housekeeping": ("now", {}),
    "gmail": ("list_labels", {}),
    "google_calendar": ("agenda", {"start": "2026-11-20"}),
    "google_tasks": ("list_lists", {}),
}


@pytest.fixture(scope="module")
def google() -> Generator[FakeGoogle]:
    with FakeGoogle() as fake:
        fake.person(ANNA)
        yield fake


OF_EACH_SERVER = ("tools-list", "server-stateless")
"""What depends on the server; all else is the kit's, so that two servers are enough of it."""
PAIRS = [
    pytest.param(
        manifest.name,
        scenario,
        marks=()
        if scenario in OF_EACH_SERVER or manifest.name in ("calculator", "gmail")
        else pytest.mark.long,
    )
    for manifest in all_manifests()
    for scenario in SCENARIOS
]


@pytest.fixture(scope="module", params=[manifest.name for manifest in all_manifests()])
def server_process(
    request: pytest.FixtureRequest, google: FakeGoogle, tmp_path_factory: pytest.TempPathFactory
) -> Generator[ServerProcess]:
    folder = tmp_path_factory.mktemp(request.param)
    environment = {**google.environment, "FLOTILLA_VAULT_KEY_FILE": str(folder / "vault.key")}
    with running_server(request.param, folder, environment) as server:
        yield server


def inspect(server: ServerProcess, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_program(
        "@modelcontextprotocol/inspector",
        *("--cli", server.url, "--transport", "http", "--protocol-era", "modern"),
        *("--header", f"Authorization: Bearer {server.token}", "--format", "json", *arguments),
        home=home,
    )


@pytest.mark.parametrize(("server_process", "scenario"), PAIRS, indirect=["server_process"])
def test_a_server_conforms(server_process: ServerProcess, scenario: str, tmp_path: Path) -> None:
    judged = run_program(
        "@modelcontextprotocol/conformance",
        *("server", "--url", server_process.url, "--scenario", scenario),
        *("--spec-version", "2026-07-28"),
        *("--expected-failures", str(FOLDER / "expected_failures.yml")),
        home=tmp_path,
        bearer_token=server_process.token,
    )

    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_the_inspector_finds_no_fault_in_the_tool_list(
    server_process: ServerProcess, tmp_path: Path
) -> None:
    listed = inspect(server_process, tmp_path, "--strict", "--method", "tools/list")

    assert listed.returncode == 0, listed.stderr
    assert json.loads(listed.stdout)["result"]["tools"]


def test_the_inspector_calls_a_tool(server_process: ServerProcess, tmp_path: Path) -> None:
    name = server_process.log.stem
    tool, arguments = CALLS[name]
    if load_manifest(name).sign_in is not None:
        sign_in(server_process)
    called = inspect(
        server_process,
        tmp_path,
        *("--method", "tools/call", "--tool-name", tool),
        *("--tool-args-json", json.dumps(arguments)),
    )

    assert called.returncode == 0, called.stderr
    assert json.loads(called.stdout)["result"]["structuredContent"]


def sign_in(server: ServerProcess) -> None:
    """Sign Anna in to read, as the orchestrator does it."""
    path = f"{server.origin}/accounts/sign-ins"
    headers = {"Authorization": f"Bearer {server.token}"}
    wanted = {
        "capabilities": ["read"],
        "account": ANNA,
        "redirect_uri": "http://127.0.0.1:1/oauth/any/callback",
    }
    with httpx2.Client(headers=headers, trust_env=False) as http:
        begun = http.post(path, json=wanted)
        assert begun.status_code == 201, begun.text
        back = consented(begun.json()["url"])
        answer = {"state": back["state"], "code": back["code"]}
        assert http.post(f"{path}/complete", json=answer).status_code == 200
