"""Every server before foreign judges: the MCP conformance runner and the MCP Inspector."""

import json
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from servers.kit.manifest import all_manifests
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
# One call of each server that needs no account and no network.
CALLS = {
    "calculator": ("evaluate", {"expression": "1 + 1"}),
    "housekeeping": ("now", {}),
}


@pytest.fixture(scope="module", params=[manifest.name for manifest in all_manifests()])
def server_process(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[ServerProcess]:
    with running_server(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


def inspect(server: ServerProcess, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_program(
        "@modelcontextprotocol/inspector",
        *("--cli", server.url, "--transport", "http", "--protocol-era", "modern"),
        *("--header", f"Authorization: Bearer {server.token}", "--format", "json", *arguments),
        home=home,
    )


@pytest.mark.parametrize("scenario", SCENARIOS)
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
    tool, arguments = CALLS[server_process.log.stem]
    called = inspect(
        server_process,
        tmp_path,
        *("--method", "tools/call", "--tool-name", tool),
        *("--tool-args-json", json.dumps(arguments)),
    )

    assert called.returncode == 0, called.stderr
    assert json.loads(called.stdout)["result"]["structuredContent"]
